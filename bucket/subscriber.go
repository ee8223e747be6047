package bucket

import (
	"context"
	"errors"
	"slices"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

// Subscribe asks for the changes of the bucket from now on, as [Bucket.Watch] gives them: they come
// as [Changes]. The reply is a [Done]; a [Snapshot] that is taken after it lacks nothing that does
// not come. To subscribe twice is to subscribe once.
//
// The subscription ends with [Unsubscribe], when the subscriber stops, or when the bucket does; it
// outlives a crash of the bucket. A subscriber gets no more before it has handled what it was sent:
// one that is tens of thousands of changes behind gets a [Missed] in their place.
type Subscribe struct {
	To *protoactor.PID // nil is the sender
}

// Unsubscribe ends a subscription. The reply is a [Done], also when there was none. What is on its
// way may still come.
type Unsubscribe struct {
	To *protoactor.PID // nil is the sender
}

// Changes are sent to those who have subscribed, in the order in which readers see them. Behind
// each comes a protoactor Touch, which protoactor answers itself.
type Changes struct {
	Bucket  string
	Changes []Change[any, any]
}

// IgnoreDeadLetterLogging keeps the changes out of the log.
func (Changes) IgnoreDeadLetterLogging() {}

// subscriber carries changes to an actor, in a goroutine of its own. An actor's mailbox has no
// bound, so the next part is sent when the one before it has been handled:
//
//	feed ──▶ subscriber ──Changes, Touch──▶ actor
//	             ▲                            │
//	             └──────────Touched───────────┘     protoactor answers it when the actor gets there
type subscriber[K comparable, V any] struct {
	run    *run[K, V]
	to     *protoactor.PID
	ctx    context.Context
	cancel context.CancelFunc
}

// mostAtOnce is how many changes go into one message.
const mostAtOnce = 256

func (a *bucketActor[K, V]) subscribe(ctx protoactor.Context, to *protoactor.PID) {
	r := a.run
	if to == nil {
		to = ctx.Sender()
	}
	if to == nil { // nobody asked
		return
	}
	ctx.Watch(to) // again by each incarnation that is asked
	if s := r.subscribers[to.String()]; s == nil || s.ctx.Err() != nil {
		s := &subscriber[K, V]{run: r, to: to}
		s.ctx, s.cancel = context.WithCancel(context.Background())
		r.subscribers[to.String()] = s
		w, _ := r.feed.join()
		go s.deliver(w)
	}
	a.answer(ctx, Done{})
}

func (a *bucketActor[K, V]) unsubscribe(ctx protoactor.Context, to *protoactor.PID) {
	if to == nil {
		to = ctx.Sender()
	}
	if to != nil {
		ctx.Unwatch(to)
		a.run.dropSubscriber(to)
	}
	a.answer(ctx, Done{})
}

func (r *run[K, V]) dropSubscriber(to *protoactor.PID) {
	if s := r.subscribers[to.String()]; s != nil {
		s.cancel()
		delete(r.subscribers, to.String())
	}
}

// forgetSubscriber is for a subscriber that nothing can be delivered to.
func (r *run[K, V]) forgetSubscriber(s *subscriber[K, V]) {
	if r.subscribers[s.to.String()] == s {
		delete(r.subscribers, s.to.String())
	}
}

// deliver sends what w reads. At the end of the run nobody is waited for any more.
func (s *subscriber[K, V]) deliver(w *watcher[K, V]) {
	r := s.run
	defer r.tell(&unsubscribed[K, V]{s})
	defer s.cancel()
	defer r.feed.leave(w)
	waiting, stop := context.WithCancel(s.ctx)
	defer stop()
	defer context.AfterFunc(r.ctx, stop)()
	for page := range w.pages(s.ctx, r.over) {
		for part := range slices.Chunk(page, mostAtOnce) {
			if s.ctx.Err() != nil {
				return
			}
			changes := make([]Change[any, any], len(part))
			for i, c := range part {
				changes[i] = c.untyped()
			}
			r.send(s.to, Changes{Bucket: r.bucket.name, Changes: changes})
			// Some actors answer everything in their own words: whatever comes, it got there.
			_, err := actor.Ask[any](waiting, r.system, s.to, &protoactor.Touch{})
			if errors.Is(err, actor.ErrNoActor) && r.ctx.Err() == nil {
				return
			}
		}
	}
}

// untyped is the change for an actor. What is absent is nil.
func (c Change[K, V]) untyped() Change[any, any] {
	u := Change[any, any]{Kind: c.Kind, Seq: c.Seq, Generation: c.Generation}
	if c.Kind != Missed {
		u.Key = c.Key
	}
	if c.Kind == Changed || c.Kind == Removed {
		u.Old = c.Old
	}
	if c.Kind == Changed || c.Kind == Added {
		u.New = c.New
	}
	return u
}
