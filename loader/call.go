package loader

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// Go runs callback in a goroutine of its own and hands what came of it to done,
// exactly once, whatever the callback does:
//
//	it returns              its value and error
//	it panics               a *PanicError with the stack
//	it calls Goexit         ErrGoexit
//	it outlives timeout     context.DeadlineExceeded, at that moment
//	ctx ends first          the cause of ctx's end, at that moment
//
// In the last two cases the callback is abandoned: its goroutine lives on until
// it returns, and what it returns is thrown away. A value that comes with an
// error is dropped. A timeout of zero or less is none.
//
// Go returns at once. done runs in a goroutine of Go's and must not panic.
func Go[T any](
	ctx context.Context,
	timeout time.Duration,
	callback func(context.Context) (T, error),
	done func(T, error),
) {
	cancel := context.CancelFunc(func() {})
	if timeout > 0 {
		ctx, cancel = context.WithTimeout(ctx, timeout)
	}

	var finished atomic.Bool
	finish := func(value T, err error) {
		if finished.CompareAndSwap(false, true) {
			done(value, err)
		}
	}
	unwatch := context.AfterFunc(ctx, func() {
		var none T
		finish(none, context.Cause(ctx))
	})

	go func() {
		// Deferred, because Goexit runs nothing else; ErrGoexit stands unless the
		// callback returns or panics.
		var value T
		err := ErrGoexit
		defer cancel()
		defer func() {
			unwatch()
			finish(value, err)
		}()
		defer func() {
			if p := recover(); p != nil {
				err = &PanicError{Value: p, Stack: debug.Stack()}
			}
		}()

		if value, err = callback(ctx); err != nil {
			var none T
			value = none
			err = LateError(ctx, err) // runs methods of the error, which may panic
		}
	}()
}

// LateError names the deadline in the error of a callback that noticed it but
// answered with words of its own ("driver: bad connection"). [Go] does so by itself. It calls
// methods of the error, which may panic.
func LateError(ctx context.Context, err error) error {
	cause := context.Cause(ctx)
	if cause == nil || errors.Is(err, cause) {
		return err
	}
	return fmt.Errorf("%w: %w", cause, err)
}

// Call is [Go] for a caller who waits. It blocks until the callback returns, at
// most until timeout or the end of ctx.
func Call[T any](
	ctx context.Context,
	timeout time.Duration,
	callback func(context.Context) (T, error),
) (T, error) {
	type outcome struct {
		value T
		err   error
	}
	outcomes := make(chan outcome, 1)
	Go(ctx, timeout, callback, func(value T, err error) { outcomes <- outcome{value, err} })
	o := <-outcomes
	return o.value, o.err
}
