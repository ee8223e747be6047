package loader

import (
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

var (
	// ErrNotFound is a loader's word that the source is sure: the key does not
	// exist. A refresh that hears it removes the entry.
	ErrNotFound = errors.New("loader: not found")

	// ErrUnchanged is a loader's word that the value which the bucket holds is
	// still the right one. It renews the entry's age and writes nothing. As the
	// answer for a key that the bucket does not hold it is a failed load.
	ErrUnchanged = errors.New("loader: unchanged")

	// ErrGoexit is the error of a callback that ended its goroutine with
	// runtime.Goexit, as t.FailNow does, instead of returning.
	ErrGoexit = errors.New("loader: callback called runtime.Goexit")
)

// Error reports one failed load. It unwraps to what the callback returned (or
// to a [*PanicError], [ErrGoexit] or context.DeadlineExceeded), so errors.Is
// and errors.As see through it.
type Error struct {
	Bucket string
	Key    any
	Err    error
}

// Error says which key of which bucket could not be loaded, and why. It is safe
// to call whatever the key and the error are.
func (e *Error) Error() string {
	return fmt.Sprintf("bucket %q: load of key %s: %s", e.Bucket, formatKey(e.Key), text(e.Err))
}

// Unwrap returns the reason.
func (e *Error) Unwrap() error { return e.Err }

// longestKey bounds, in bytes, how much of a key an error message shows.
const longestKey = 120

func formatKey(key any) string {
	whole, quoted := key.(string)
	if !quoted {
		whole = text(key)
	}
	shown, ellipsis := whole, ""
	if len(whole) > longestKey {
		cut := longestKey
		for cut > longestKey-utf8.UTFMax && !utf8.RuneStart(whole[cut]) {
			cut-- // between letters
		}
		shown, ellipsis = whole[:cut], "…"
	}
	if quoted {
		shown = strconv.Quote(shown)
	}
	return shown + ellipsis
}

// text is v as fmt shows it. fmt survives a String or Error method that panics, but
// not one that panics with a value that panics when it is shown, too.
func text(v any) (shown string) {
	defer func() {
		if recover() != nil {
			shown = fmt.Sprintf("(unprintable %T)", v)
		}
	}()
	return fmt.Sprint(v)
}

// PanicError reports a callback that panicked.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // the goroutine's stack at the panic, as debug.Stack gives it
}

// Error returns the value of the panic, without the stack.
func (e *PanicError) Error() string { return "panic: " + text(e.Value) }

// Unwrap returns the value of the panic where that is an error, else nil.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// Veto makes the error with which [Initializer.Init] says that the bucket must
// not start. It unwraps to reason; a nil reason is a veto without one.
func Veto(reason error) error { return &veto{reason} }

// IsVeto reports whether err was made by [Veto], or wraps one that was.
func IsVeto(err error) bool {
	var v *veto
	return errors.As(err, &v)
}

type veto struct{ reason error }

func (v *veto) Error() string {
	if v.reason == nil {
		return "vetoed"
	}
	return "vetoed: " + text(v.reason)
}

func (v *veto) Unwrap() error { return v.reason }
