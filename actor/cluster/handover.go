package cluster

import (
	"context"
	"fmt"
	"sync"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
)

// An owner of a replicated bucket that starts asks all members for what they have, before it serves:
//
//	new owner ──where──▶ holder of each member     until no owner is alive that any of them knows of
//	new owner ──follow─▶ holder of the freshest
//	new owner ◀──page──── its copy

const (
	// patienceForCopies is how long an owner that starts waits for a member to say whether it has a copy.
	patienceForCopies = time.Second

	// patienceForOwner is how long it waits for the owner of before to stop: other members may notice
	// later that it is not the owner any more. Then there are two, and what the other is told is lost.
	patienceForOwner = 5 * time.Second

	pauseSurvey = 50 * time.Millisecond
)

// take looks for the freshest copy in all members, once the owner of before is gone: that one may still
// serve, and what it is told must not be lost.
func (c *copies[K, V]) take(ctx context.Context) {
	waiting, stop := context.WithTimeout(ctx, patienceForOwner)
	defer stop()
	seen := c.survey(ctx)
	for seen.live && waiting.Err() == nil {
		select {
		case <-time.After(pauseSurvey):
			seen = c.survey(ctx)
		case <-waiting.Done():
		}
	}
	taken := c.freshest(ctx, seen)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = taken
	context.AfterFunc(ctx, func() { // the owner may have gone before it was ready
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.taken == taken {
			c.taken = nil
		}
	})
}

// survey is what copies there are.
type survey[K comparable, V any] struct {
	here  *replica[K, V]  // nil if there is none
	there *protoactor.PID // the holder of one that is fresher; nil if there is none
	live  bool            // an owner is alive
}

// survey asks all members.
func (c *copies[K, V]) survey(ctx context.Context) (s survey[K, V]) {
	var best position
	if s.here, s.live = c.best(); s.here != nil {
		best = s.here.at
	}
	ctx, stop := context.WithTimeout(ctx, patienceForCopies)
	defer stop()
	system := c.border.system
	var mu sync.Mutex
	var asking sync.WaitGroup
	for _, member := range protocluster.GetCluster(system).MemberList.Members().Members() {
		if member.Address() == system.Address() {
			continue
		}
		pid := protoactor.NewPID(member.Address(), holderOf(c.name))
		asking.Go(func() {
			reply, err := actor.Ask[any](ctx, system, pid, where{})
			has, ok := reply.(position)
			if err != nil || !ok {
				return
			}
			mu.Lock()
			defer mu.Unlock()
			s.live = s.live || has.Live
			if has.Run != 0 && (best.Run == 0 || has.fresher(best)) {
				s.there, best = pid, has
			}
		})
	}
	asking.Wait()
	return s
}

// freshest is the copy of this member, or that of another one if it is fresher.
func (c *copies[K, V]) freshest(ctx context.Context, seen survey[K, V]) *replica[K, V] {
	if seen.there == nil {
		return seen.here
	}
	m, err := collect[K, V](ctx, c.border, seen.there)
	if err != nil {
		c.border.log.WithError(err).WithField("from", seen.there.Address).
			Warnf("bucket %q: no copy of another member", c.name)
		return seen.here
	}
	defer m.close()
	return m.whole().replica(m.position())
}

// holderOf is the name of the actor that answers for the copies of a bucket in a member.
func holderOf(name string) string { return "dataworker.copies." + name }

// holder answers for the copies of a member.
type holder[K comparable, V any] struct {
	copies  *copies[K, V]
	serving context.Context // ends with it
	stop    context.CancelFunc
}

// Receive implements protoactor.Actor.
func (h *holder[K, V]) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		h.serving, h.stop = context.WithCancel(context.Background())
	case *protoactor.Stopping, *protoactor.Restarting:
		h.stop()
	case where:
		var at position
		best, live := h.copies.best()
		if best != nil {
			at = best.at
		}
		at.Live = live
		ctx.Respond(at)
	case follow:
		best, _ := h.copies.best()
		if best == nil {
			ctx.Respond(bucket.Failed{Err: fmt.Errorf("bucket %q: %w: no copy here", h.copies.name, bucket.ErrNotRunning)})
			return
		}
		s := &session[K, V]{
			border: h.copies.border, name: h.copies.name, to: ctx.Sender(), follow: msg, run: best.at.Run, seq: best.at.Seq,
		}
		serving := h.serving
		go func() {
			if s.copy(serving, best.all) {
				s.send(serving, nil, best.at.Seq, true)
			}
		}()
	}
}

// collect gets a copy from a holder.
func collect[K comparable, V any](ctx context.Context, border *Border, from *protoactor.PID) (*mirror[K, V], error) {
	system := border.system
	m := newMirror[K, V](border, "taken", 1, 0)
	failed := make(chan error, 1)
	pid := system.Root.Spawn(actor.Guard(func() protoactor.Actor {
		return &collector{feed: m.feeds[0], from: from, fail: func(err error) {
			select {
			case failed <- err:
			default:
			}
		}}
	}, nil))
	defer system.Root.Stop(pid)
	ready := make(chan error, 1)
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	go func() { ready <- m.ready(waiting) }()
	var err error
	select {
	case err = <-ready:
	case err = <-failed:
	}
	if err != nil {
		m.close()
	}
	return m, err
}

// collector is the actor that gets one copy.
type collector struct {
	feed listener
	from *protoactor.PID
	fail func(err error)

	next  uint64
	timer *time.Timer
}

// Receive implements protoactor.Actor.
func (c *collector) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		ctx.Request(c.from, follow{Session: 1, Whole: true})
		c.timer = time.AfterFunc(patience, func() { c.fail(context.DeadlineExceeded) })
	case page:
		if msg.Number != c.next || !c.feed.hear(msg) {
			c.fail(fmt.Errorf("%w: page %d of a copy is missing", ErrNotCarried, c.next))
			return
		}
		c.next++
		c.timer.Reset(patience)
		ctx.Respond(heard{Session: 1})
	case bucket.Failed:
		c.fail(msg.Err)
	case *protoactor.DeadLetterResponse:
		c.fail(actor.ErrNoActor)
	case *protoactor.Stopping, *protoactor.Restarting:
		c.timer.Stop()
	}
}
