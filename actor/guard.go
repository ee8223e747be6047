package actor

import (
	"runtime/debug"

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
	if answer == nil {
		answer = func(any, error) any { return nil }
	}
	props := protoactor.PropsFromProducer(
		func() protoactor.Actor { return guardActor(produce()) },
		protoactor.WithMailbox(func() protoactor.Mailbox { return newMailbox(answer) }),
	)
	return props.Configure(opts...)
}

// guardActor makes an actor's last messages panic free: protoactor turns a panic
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
	inner    protoactor.Actor
	stopping bool
}

func (g *guarded) Receive(ctx protoactor.Context) {
	switch ctx.Message().(type) {
	case *protoactor.Stopping:
		g.stopping = true
		g.receiveCalmly(ctx)
	case *protoactor.Stopped, *protoactor.Restarting:
		g.receiveCalmly(ctx)
	case *protoactor.Terminated:
		if g.stopping {
			g.receiveCalmly(ctx)
			return
		}
		g.inner.Receive(ctx)
	default:
		g.inner.Receive(ctx)
	}
}

func (g *guarded) receiveCalmly(ctx protoactor.Context) {
	defer func() {
		if p := recover(); p != nil {
			ctx.Logger().Error("panic while stopping or restarting",
				"actor", ctx.Self().Id, "panic", p, "stack", string(debug.Stack()))
		}
	}()
	g.inner.Receive(ctx)
}
