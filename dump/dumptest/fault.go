package dumptest

import (
	"errors"
	"fmt"
	"io"
	"sync/atomic"
)

// FailNth returns a hook for [Injected.Inject] by which the nth call of these kinds,
// from 1, has this error. It counts from its own beginning.
func FailNth(n int, err error, kinds Kind) func(Op) error {
	return fail(kinds, err, func(count int64) bool { return count == int64(n) })
}

// FailFrom is [FailNth] for the nth call and all that follow.
func FailFrom(n int, err error, kinds Kind) func(Op) error {
	return fail(kinds, err, func(count int64) bool { return count >= int64(n) })
}

func fail(kinds Kind, err error, hit func(count int64) bool) func(Op) error {
	var count atomic.Int64
	return func(op Op) error {
		if op.Kind&kinds != 0 && hit(count.Add(1)) {
			return err
		}
		return nil
	}
}

// Done returns an error for a call that does all it should, and has this error
// nevertheless.
func Done(err error) error { return &done{err} }

// Partly returns an error for a Read or a Write of which only the first n bytes are
// done; err may be nil for a Write. For other calls it is err itself.
func Partly(n int, err error) error {
	if err == nil {
		err = io.ErrShortWrite
	}
	return &partly{n, err}
}

type done struct{ err error }

func (d *done) Error() string { return fmt.Sprintf("%v, though it was done", d.err) }
func (d *done) Unwrap() error { return d.err }

type partly struct {
	n   int
	err error
}

func (p *partly) Error() string { return fmt.Sprintf("%v, after %d bytes", p.err, p.n) }
func (p *partly) Unwrap() error { return p.err }

// verdict is what a hook decided about a call.
type verdict struct {
	err   error // what the caller gets; nil if nothing is injected
	skip  bool  // the call is not made
	bytes int   // this much of it is; negative for all
}

func verdictOf(err error) verdict {
	if err == nil {
		return verdict{bytes: -1}
	}
	if d := (*done)(nil); errors.As(err, &d) {
		return verdict{err: d.err, bytes: -1}
	}
	if p := (*partly)(nil); errors.As(err, &p) {
		return verdict{err: p.err, skip: true, bytes: max(0, p.n)}
	}
	return verdict{err: err, skip: true}
}
