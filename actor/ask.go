package actor

import (
	"context"
	"fmt"
	"reflect"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// Ask sends msg to pid as a request and waits for the reply, as long as ctx
// allows. The first reply wins; later ones are ignored. Nothing is left behind,
// however it ends.
//
// The error is ctx's as soon as ctx ends; [ErrNoActor] when nobody lives at pid;
// [ErrReplyType], naming both types, when the reply is no T. A reply that is an
// error itself is returned as the error, unless it is a T as well.
//
// Ask blocks, so it must not be called by an actor in its Receive. It is safe
// for use by many goroutines.
func Ask[T any](ctx context.Context, system *protoactor.ActorSystem, pid *protoactor.PID, msg any) (T, error) {
	var none T
	if err := ctx.Err(); err != nil {
		return none, err
	}
	if pid == nil {
		return none, fmt.Errorf("%w: the PID is nil", ErrNoActor)
	}

	in := newInbox(system, "ask")
	defer in.close()
	system.Root.RequestWithCustomSender(pid, msg, in.pid)

	select {
	case reply := <-in.messages:
		return replyAs[T](pid, reply)
	case <-ctx.Done():
		return none, ctx.Err()
	}
}

func replyAs[T any](pid *protoactor.PID, reply any) (T, error) {
	var none T
	if _, dead := reply.(*protoactor.DeadLetterResponse); dead { // even where T is any
		return none, fmt.Errorf("%w: %s", ErrNoActor, pid.Id)
	}
	if value, ok := reply.(T); ok {
		return value, nil
	}
	if err, ok := reply.(error); ok {
		return none, err
	}
	return none, fmt.Errorf("%w: %s answered with a %T, not a %v", ErrReplyType, pid.Id, reply, reflect.TypeFor[T]())
}

// inbox is a PID for a goroutine that is not an actor: it keeps the first
// message that arrives and drops the rest. protoactor's Future does the same
// with a lock that its writers do not take, so late answers race with readers.
type inbox struct {
	system   *protoactor.ActorSystem
	pid      *protoactor.PID
	messages chan any // the first user message; buffered
}

func newInbox(system *protoactor.ActorSystem, prefix string) *inbox {
	in := &inbox{system: system, messages: make(chan any, 1)}
	for {
		pid, absent := system.ProcessRegistry.Add(in, prefix+system.ProcessRegistry.NextId())
		if absent {
			in.pid = pid
			return in
		}
	}
}

func (in *inbox) close() { in.system.ProcessRegistry.Remove(in.pid) }

// SendUserMessage implements protoactor.Process. It is called by senders, in
// their goroutines, and never blocks them.
func (in *inbox) SendUserMessage(_ *protoactor.PID, message any) {
	select {
	case in.messages <- protoactor.UnwrapEnvelopeMessage(message):
	default:
	}
}

// SendSystemMessage implements protoactor.Process.
func (in *inbox) SendSystemMessage(*protoactor.PID, any) {}

// Stop implements protoactor.Process.
func (in *inbox) Stop(*protoactor.PID) {}
