package actor

import (
	"log/slog"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// Answer gives the reply for a message that its actor will not answer itself.
// err says why: a [*CrashError] when the actor crashed on it, [ErrStopped] when
// the actor is stopping or has stopped.
//
// It is called for every such message, whether somebody waits for a reply or
// not, so it is also the place to release what a message carried. The reply goes
// to the sender, if there is one; nil is no reply. It runs in the actor's own
// turn, between messages, and must not panic.
type Answer func(msg any, err error) (reply any)

// Guard returns props for an actor that leaves nobody without an answer and
// cannot be talked out of stopping; the package comment has the tables. A panic
// still reaches the supervisor, as a [*CrashError].
//
// produce makes an incarnation. As with all producers it may be called for an
// actor that is never started, so it must have no side effects. answer may be nil:
// nobody is answered then, but the rest holds.
//
// The guard is in the mailbox and in the producer of the props; an option that
// replaces one of them takes it off.
func Guard(produce func() protoactor.Actor, answer Answer, opts ...protoactor.PropsOption) *protoactor.Props {
	return GuardWithTurn(new(Turn), produce, answer, opts...)
}

// GuardWithTurn is [Guard] for an actor that shares its turn: it takes turn for each message.
func GuardWithTurn(turn *Turn, produce func() protoactor.Actor, answer Answer, opts ...protoactor.PropsOption) *protoactor.Props {
	if answer == nil {
		answer = func(any, error) any { return nil }
	}
	props := protoactor.PropsFromProducer(
		func() protoactor.Actor { return guardActor(produce()) },
		protoactor.WithMailbox(func() protoactor.Mailbox { return newMailbox(answer, turn) }),
	)
	return props.Configure(opts...)
}

// guardActor makes an actor's last messages crash free: protoactor turns a panic
// in Stopping into a restart, one in Stopped into a parent that waits for ever,
// and one in Restarting into another restart.
func guardActor(inner protoactor.Actor) protoactor.Actor {
	g := &guarded{inner: inner}
	if strategy, ok := inner.(protoactor.SupervisorStrategy); ok {
		return struct {
			protoactor.Actor
			protoactor.SupervisorStrategy
		}{g, strategy}
	}
	return g
}

type guarded struct {
	inner   protoactor.Actor
	leaving bool // Stopping or Restarting has come; what follows is cleaning up
}

func (g *guarded) Receive(ctx protoactor.Context) {
	switch ctx.Message().(type) {
	case *protoactor.Stopping, *protoactor.Restarting:
		g.leaving = true
		g.receiveCalmly(ctx)
	case *protoactor.Stopped:
		g.receiveCalmly(ctx)
	case *protoactor.Terminated:
		if g.leaving {
			g.receiveCalmly(ctx)
			return
		}
		g.inner.Receive(ctx)
	default:
		g.inner.Receive(ctx)
	}
}

// receiveCalmly has a message handled in a goroutine of its own, because a Goexit
// would otherwise end protoactor's half of the stop, too. The actor's turn waits for
// it.
func (g *guarded) receiveCalmly(ctx protoactor.Context) {
	crashes := make(chan *CrashError, 1)
	go func() {
		returned := false
		defer func() {
			if returned {
				crashes <- nil
			} else {
				crashes <- newCrash(ctx.Self(), recover())
			}
		}()
		g.inner.Receive(ctx)
		returned = true
	}()
	if crash := <-crashes; crash != nil {
		logLateCrash(ctx.Logger(), crash)
	}
}

// logLateCrash is for a crash that no supervisor hears of.
func logLateCrash(logger *slog.Logger, crash *CrashError) {
	logger.Error("panic while stopping or restarting",
		"actor", crash.Who.GetId(), "panic", text(crash.Value), "stack", string(crash.Stack))
}
