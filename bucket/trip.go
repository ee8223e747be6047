package bucket

import (
	"context"
	"runtime/debug"
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// trip is the call of the loader for a flight that travels alone, which most do. It makes the
// promises of [loader.Go] with nothing but the goroutine: all that it needs is in the flight, and
// one alarm watches over the trips of a run. Whoever changes the fate of the call first, the
// goroutine that returns or the actor that gives it up, has the word on the flight:
//
//	it returns, or panics, or calls Goexit     fateReturned: the goroutine tells what it brought
//	it outlives its time                       fateAbandoned: the alarm says so, what it brings is dropped
//	the run ends                               fateAbandoned, too; its context ends with the run's
type trip[K comparable, V any] struct {
	call
	until deadline // its context, unless it has no time-out

	// What it has to know of the flight, which belongs to the actor's turn.
	again bool
	held  *record[V]

	note loaded[K, V] // its own goroutine's until it is told

	earlier, later *trip[K, V] // of those that the alarm watches
}

// begin launches a flight that travels alone.
func (r *run[K, V]) begin(f *flight[K, V], timeout time.Duration) {
	t := &f.trip
	r.take(&t.call, f)
	t.note.flight = f
	if t.again = f.again; t.again {
		t.held, _ = r.table.get(f.key)
	}
	if timeout > 0 {
		t.until.Context, t.until.at = r.ctx, t.started.Add(timeout)
		r.watch(t)
	}
	go t.fly()
}

// exited stands for what a load brought, unless it returns or panics.
var exited = classify(loader.ErrGoexit)

// fly calls the loader. What it calls is the user's, and may do what it likes.
func (t *trip[K, V]) fly() {
	r, note := t.note.flight.run, &t.note
	note.failure = exited
	defer func() { // Goexit runs nothing else
		if p := recover(); p != nil {
			note.failure = &failure{&loader.PanicError{Value: p, Stack: debug.Stack()}, panicked}
		}
		t.until.end()
		if r.returned(&t.call) {
			r.tell(note)
		}
	}()

	ctx := r.ctx
	if t.until.Context != nil {
		ctx = &t.until
	}
	note.at = r.now.Add(1)
	o, err := r.load(ctx, note.flight.key, t.again, t.held)
	t.held = nil // whoever keeps the context keeps the trip, and must not keep the values before as well
	if err != nil {
		note.failure = classifyLate(ctx, err)
		return
	}
	note.outcome, note.failure = o, nil
}

// classifyLate looks into the error of a load, whose methods may panic.
func classifyLate(ctx context.Context, err error) *failure {
	return classify(loader.LateError(ctx, err))
}
