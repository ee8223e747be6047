package bucket

import (
	"errors"
	"fmt"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

// bucketActor is one incarnation of a bucket's actor. All that it knows is its run.
type bucketActor[K comparable, V any] struct {
	bucket  *Bucket[K, V]
	options []Option
	report  actor.Report

	run        *run[K, V] // nil if the bucket has another actor
	restarting bool
}

// Receive is the table of contents.
func (a *bucketActor[K, V]) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		a.started(ctx)

	case *ask[K, V], Fetch, Get, Set, Delete, Refresh, Keys:
		a.run.request(msg, ctx.Sender())
	case Inspect:
		a.answer(ctx, a.bucket.status())
	case Crash:
		panic(msg.Reason)

	case resolved:
		a.resolved(ctx, msg)
	case seeded[K, V]:
		a.seeded(ctx, msg)
	case loaded[K, V]:
		a.run.land(msg.flight, msg.outcome, msg.failure)
	case left[K, V]:
		a.run.forget(msg.ask)
	case refreshDue:
		a.run.refresh(nil)
	case actor.Tick:
		a.tick(ctx, msg)

	case *protoactor.Terminated:
		a.clockStopped(ctx, msg)
	case *protoactor.Restarting:
		a.restarting = true
	case *protoactor.Stopping:
		a.stopping()
	case *protoactor.Stopped:
		a.stopped()

	case protoactor.AutoRespond, protoactor.SystemMessage, protoactor.AutoReceiveMessage:
	default:
		a.stranger(ctx, msg)
	}
}

// answer replies to a request; somebody may also have sent it as a plain message.
func (a *bucketActor[K, V]) answer(ctx protoactor.Context, reply any) {
	if ctx.Sender() != nil {
		ctx.Respond(reply)
	}
}

// stranger answers what no bucket understands, most of all the pointer to a message.
func (a *bucketActor[K, V]) stranger(ctx protoactor.Context, msg any) {
	a.answer(ctx, Failed{a.bucket.errorf(
		"a message of type %T is not understood: send Fetch, Get, Set, Delete, Refresh, Keys or Inspect, by value", msg)})
}

func (a *bucketActor[K, V]) tick(ctx protoactor.Context, tick actor.Tick) {
	if tick.Incarnation != a.run.incarnation {
		return
	}
	switch tick.Message.(type) {
	case paced:
		a.run.advance()
	case respawn:
		a.spawnClock(ctx)
	}
}

func (a *bucketActor[K, V]) stopping() {
	if a.run == nil {
		return
	}
	reason := errStopped
	if a.run.crash != nil {
		reason = fmt.Errorf("%w; it was stopped after a crash: %w", errStopped, a.run.crash)
	}
	a.run.end(reason)
	a.report(a.bucket.errorf("%w", a.run.why()))
}

func (a *bucketActor[K, V]) stopped() {
	if a.run != nil {
		a.run.close()
	}
}

// answerFor speaks for an actor that cannot: it panicked on msg, or is stopping. It
// runs in the actor's turn, like Receive.
func (b *Bucket[K, V]) answerFor(msg any, err error) any {
	r := b.run.Load()
	var crash *actor.CrashError
	if errors.As(err, &crash) {
		if r != nil && r.self == crash.Who {
			r.crash = crash
			r.recoverNote(msg, crash)
		}
		err = fmt.Errorf("%w: %w", ErrCrashed, crash)
	} else {
		err = errStopped
		if r != nil {
			err = r.why()
		}
	}
	err = b.errorf("%w", err)

	switch msg := msg.(type) {
	case *ask[K, V]:
		msg.reply(answer[V]{err: err})
		return nil
	case protoactor.AutoRespond:
		return nil
	default:
		return Failed{err}
	}
}

// recoverNote makes up for a note to itself that the actor did not survive: what it
// brought is lost, but nobody may wait for it any longer.
func (r *run[K, V]) recoverNote(msg any, crash error) {
	switch msg := msg.(type) {
	case loaded[K, V]:
		r.abandon(msg.flight, crash)
	case seeded[K, V], resolved:
		r.starting = false // the next incarnation starts again
	}
}
