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
//
// Each time an actor wakes up it runs in a goroutine with a small new stack, and a
// stack that has to grow costs more than a hit. So this frame and those below it are
// kept small: notes travel as pointers, and what is large has a function of its own.
func (a *bucketActor[K, V]) Receive(ctx protoactor.Context) {
	if a.run != nil {
		a.run.settleStaged(ctx.Message())
	}
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		a.started(ctx)

	case *ask[K, V], *askMany[K, V], Fetch, FetchMany, Get, Set, Delete, Refresh, Keys:
		a.run.request(msg, ctx.Sender())
	case Inspect:
		a.inspect(ctx)
	case Subscribe:
		a.subscribe(ctx, msg.To)
	case Unsubscribe:
		a.unsubscribe(ctx, msg.To)
	case Crash:
		panic(msg.Reason)

	case *resolved:
		a.resolved(ctx, msg)
	case *opened:
		a.opened(ctx, msg)
	case *seeded[K, V]:
		a.seeded(ctx, msg)
	case *founded:
		a.founded(ctx, msg)
	case *loaded[K, V]:
		a.run.land(msg)
	case *left[K, V]:
		a.run.forget(msg.ask)
	case *shift[K, V]:
		a.run.shift(msg)
	case *rode[K, V]:
		a.run.rode(msg)
	case alarmRang:
		a.run.giveUpLate()
	case windowOver:
		a.run.closeWindow()
		a.run.launch()
	case *unsubscribed[K, V]:
		a.run.forgetSubscriber(msg.subscriber)
	case *keysMapped[K, V]:
		a.run.mapped(msg.pass)
	case *reindexed[K, V]:
		a.run.adopt(msg.reindexing)
	case *passed[K, V]:
		a.run.passed(msg.pass)
	case *patrol[K, V]:
		a.run.patrol(msg.pass)
	case writesDue:
		a.run.writesDue()
	case rewritten:
		a.run.fileRewritten(msg)
	case dumpTrouble:
		a.run.dumpTroubled(msg.err)
	case refreshDue:
		a.run.clockStruck()
	case crashed:
		a.carryOn(ctx)
	case actor.Tick:
		a.tick(ctx, msg)

	case *protoactor.Terminated:
		a.gone(ctx, msg)
	case *protoactor.Restarting:
		a.restarting = true
	case *protoactor.Stopping:
		a.stopping(ctx)
	case *protoactor.Stopped:
		a.stopped(ctx)

	case protoactor.AutoRespond, protoactor.SystemMessage, protoactor.AutoReceiveMessage:
	default:
		a.stranger(ctx, msg)
	}
}

func (a *bucketActor[K, V]) inspect(ctx protoactor.Context) { a.answer(ctx, a.bucket.status()) }

// answer replies to a request; somebody may also have sent it as a plain message.
func (a *bucketActor[K, V]) answer(ctx protoactor.Context, reply any) {
	a.run.send(ctx.Sender(), reply)
}

// stranger answers what no bucket understands, most of all the pointer to a message.
func (a *bucketActor[K, V]) stranger(ctx protoactor.Context, msg any) {
	a.answer(ctx, Failed{a.bucket.errorf(
		"a message of type %T is not understood: send Fetch, FetchMany, Get, Set, Delete, Refresh, Keys, Inspect, Subscribe or Unsubscribe, by value", msg)})
}

// gone is for an actor that the bucket watches: its clock, or a subscriber.
func (a *bucketActor[K, V]) gone(ctx protoactor.Context, msg *protoactor.Terminated) {
	if a.run == nil {
		return
	}
	a.run.dropSubscriber(msg.Who)
	a.clockStopped(ctx, msg)
}

func (a *bucketActor[K, V]) tick(ctx protoactor.Context, tick actor.Tick) {
	if tick.Incarnation != a.run.incarnation {
		return
	}
	switch tick.Message.(type) {
	case respawn:
		a.spawnClock(ctx)
	case repairDue:
		a.run.retryRepair()
	}
}

func (a *bucketActor[K, V]) stopping(ctx protoactor.Context) {
	r := a.own(ctx)
	if r == nil {
		return
	}
	reason := errStopped
	if r.crash != nil {
		reason = fmt.Errorf("%w; it was stopped after a crash: %w", errStopped, r.crash)
	}
	r.end(reason)
	a.report(a.bucket.errorf("%w", r.why()))
}

func (a *bucketActor[K, V]) stopped(ctx protoactor.Context) {
	if r := a.own(ctx); r != nil {
		r.close()
	}
}

// own returns the run of this actor, also if this incarnation never got as far as to
// handle its Started; nil if the bucket has another actor.
func (a *bucketActor[K, V]) own(ctx protoactor.Context) *run[K, V] {
	if r := a.bucket.run.Load(); r != nil && r.self == ctx.Self() {
		return r
	}
	return nil
}

// answerFor speaks for an actor that cannot: it panicked on msg, or is stopping. It
// runs in the actor's turn, like Receive.
func (b *Bucket[K, V]) answerFor(msg any, err error) any {
	r := b.run.Load()
	var crash *actor.CrashError
	if errors.As(err, &crash) {
		err = fmt.Errorf("%w: %w", ErrCrashed, crash)
		if r != nil && r.self == crash.Who {
			r.crash = crash
			r.recoverNote(msg, err)
			if _, again := msg.(crashed); !again { // or one fault would crash it for ever
				r.tell(crashed{})
			}
		}
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
	case *askMany[K, V]:
		for _, a := range msg.asks {
			a.reply(answer[V]{err: err})
		}
		return nil
	case protoactor.AutoRespond:
		return nil
	default:
		return refusal(msg, err)
	}
}

// recoverNote makes up for a note to itself that the actor did not survive: what a load
// brought is lost, but nobody may wait for it any longer; what happened to the file has to be
// known.
func (r *run[K, V]) recoverNote(msg any, crash error) {
	switch msg := msg.(type) {
	case *loaded[K, V]:
		r.abandon(msg.flight, crash)
	case *shift[K, V]:
		r.shift(msg)
	case *rode[K, V]:
		if f := r.flights[msg.key]; msg.pass == r.pass && f != nil && f.riding {
			r.abandon(f, crash)
		}
	case *keysMapped[K, V]:
		r.mapped(msg.pass)
	case *reindexed[K, V]:
		r.adopt(msg.reindexing)
	case *passed[K, V]:
		r.passed(msg.pass)
	case *patrol[K, V]:
		r.patrol(msg.pass)
	case *unsubscribed[K, V]:
		r.forgetSubscriber(msg.subscriber)
	case alarmRang:
		r.giveUpLate()
	case windowOver:
		r.closeWindow() // the next incarnation launches
	case *opened:
		r.startAgain(msg.step)
	case *seeded[K, V]:
		r.startAgain(msg.step)
	case *founded:
		r.startAgain(msg.step)
	case *resolved:
		r.startAgain(msg.step)
	case rewritten:
		r.fileRewritten(msg)
	case dumpTrouble:
		r.dumpTroubled(msg.err)
	}
}

// startAgain lets the start begin anew, unless the step whose note was lost had been taken.
func (r *run[K, V]) startAgain(step int) {
	if step == r.step {
		r.starting = false
	}
}
