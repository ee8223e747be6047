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
	"github.com/dataworker-go/dataworker/loader"
)

// Replicated has a bucket live once in the cluster, as [OneOwner] does, and a full copy of it in every
// member that opens a handle with [Of]. That reads its copy, and asks the owner for what is not in it.
// What is written, loaded and refreshed goes to the owner, and from there to the copies, in order. A
// copy that misses something notices it by the numbers of the changes, and is made anew beside the
// old one, which serves meanwhile.
//
// An owner that takes the bucket over begins with the freshest copy that any member has, so what has
// reached a copy outlives the owner. A write that was acknowledged an instant before the owner is
// killed may not have.
//
// Open one handle in a member: each has a copy of its own.
func Replicated[K comparable, V any](b *bucket.Bucket[K, V], opts ...bucket.Option) Placed {
	return Placed{
		carried: Carry(b),
		bucket:  b,
		open: func(border *Border) place {
			kept := &copies[K, V]{border: border, name: b.Name(), mirrors: map[*mirror[K, V]]struct{}{}}
			served := b.Like(b.Name(), kept.insteadOfInit)
			return &placement[K, V]{
				border: border,
				name:   b.Name(),
				parts:  []part[K, V]{{b.Name(), served, opts}},
				where:  func(K) (int, error) { return 0, nil },
				copies: kept,
			}
		},
	}
}

// copies are those of a replicated bucket in this member. An owner asks those of all members for what
// they have, before it serves:
//
//	new owner ──where──▶ copies in each member
//	new owner ──follow─▶ the freshest
//	new owner ◀──page──── its copy
type copies[K comparable, V any] struct {
	border *Border
	name   string

	mu      sync.Mutex
	mirrors map[*mirror[K, V]]struct{}
	holder  *protoactor.PID // answers for them; nil while there are none
	taken   *mirror[K, V]   // the copy with which the owner that starts here will begin
}

// copyKept is for how long after it has last heard of an owner a copy can begin another one.
const copyKept = time.Minute

// holderOf is the name of the actor that answers for the copies of a bucket in a member.
func holderOf(name string) string { return "dataworker.copies." + name }

// add has others ask for a copy.
func (c *copies[K, V]) add(m *mirror[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mirrors[m] = struct{}{}
	if c.holder == nil {
		props := actor.Guard(func() protoactor.Actor { return &holder[K, V]{copies: c} }, nil)
		if pid, err := c.border.system.Root.SpawnNamed(props, holderOf(c.name)); err == nil {
			c.holder = pid
		} else {
			c.border.log.WithError(err).Errorf("bucket %q: nobody can have its copy", c.name)
		}
	}
}

func (c *copies[K, V]) remove(m *mirror[K, V]) {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.mirrors, m)
	if len(c.mirrors) == 0 && c.holder != nil {
		c.border.system.Root.Stop(c.holder)
		c.holder = nil
	}
}

// best is a copy that is whole, nil if there is none.
func (c *copies[K, V]) best() *mirror[K, V] {
	c.mu.Lock()
	defer c.mu.Unlock()
	for m := range c.mirrors {
		if m.whole() != nil && m.live(copyKept) {
			return m
		}
	}
	return nil
}

// insteadOfInit spares the source the question for a seed if there is a copy.
func (c *copies[K, V]) insteadOfInit(l loader.Loader[K, V]) loader.Loader[K, V] {
	f := loader.FuncsOf(l)
	init := f.InitFunc
	if init == nil {
		return l
	}
	f.InitFunc = func(ctx context.Context) (map[K]V, error) {
		c.mu.Lock()
		taken := c.taken != nil
		c.mu.Unlock()
		if taken {
			return nil, nil
		}
		return init(ctx)
	}
	return f
}

// take looks for the freshest copy in all members.
func (c *copies[K, V]) take(ctx context.Context) {
	taken := c.freshest(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = taken
}

// restore has the bucket hold what the copy held.
func (c *copies[K, V]) restore(ctx context.Context, b *bucket.Bucket[K, V]) error {
	c.mu.Lock()
	m := c.taken
	c.taken = nil
	c.mu.Unlock()
	if m == nil {
		return nil
	}
	var last error
	failed := 0
	note := func(err error) {
		if err != nil {
			last = err
			failed++
		}
	}
	whole := m.whole()
	for key, k := range whole.All() {
		note(b.DirectSet(ctx, key, k.value))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for _, key := range b.Keys() { // of a seed, or an old file
		if _, held := whole.Load(key); !held {
			note(b.Delete(ctx, key))
		}
	}
	if failed > 0 {
		c.border.log.WithError(last).Errorf("bucket %q: the new owner lacks %d changes that its copies had", c.name, failed)
	}
	return nil
}

// patienceForCopies is how long an owner that starts waits for a member to say whether it has a copy.
const patienceForCopies = time.Second

// freshest is the best copy of this member, or one from another member that has seen more.
func (c *copies[K, V]) freshest(ctx context.Context) *mirror[K, V] {
	best := c.best()
	var seen uint64
	if best != nil {
		seen = best.position().Seq
	}
	who := c.furthest(ctx, seen, best == nil)
	if who == nil {
		return best
	}
	copied, err := collect[K, V](ctx, c.border.system, who)
	if err != nil {
		c.border.log.WithError(err).WithField("from", who.Address).Warnf("bucket %q: no copy of another member", c.name)
		return best
	}
	return copied
}

// furthest is the holder of a copy in another member that has seen more than that, or anything.
func (c *copies[K, V]) furthest(ctx context.Context, seen uint64, anything bool) (furthest *protoactor.PID) {
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
			if anything || has.Seq > seen {
				furthest, seen, anything = pid, has.Seq, false
			}
		})
	}
	asking.Wait()
	return furthest
}

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
	case where, follow:
		m := h.copies.best()
		if m == nil {
			ctx.Respond(bucket.Failed{Err: fmt.Errorf("bucket %q: %w: no copy here", h.copies.name, bucket.ErrNotRunning)})
			return
		}
		f, ok := msg.(follow)
		if !ok {
			ctx.Respond(m.position())
			return
		}
		border, serving, to := h.copies.border, h.serving, ctx.Sender()
		go func() {
			at := m.position()
			s := &session[K, V]{border: border, name: h.copies.name, to: to, follow: f, run: at.Run, seq: at.Seq}
			if s.copy(serving, m.all()) {
				s.send(serving, nil, at.Seq, true)
			}
		}()
	}
}

// collect gets a copy from a holder.
func collect[K comparable, V any](ctx context.Context, system *protoactor.ActorSystem, from *protoactor.PID) (*mirror[K, V], error) {
	m := newMirror[K, V](1, 0)
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
	select {
	case err := <-ready:
		return m, err
	case err := <-failed:
		return nil, err
	}
}

// collector is the actor that gets one copy.
type collector struct {
	feed listener
	from *protoactor.PID
	fail func(err error)

	next  uint64
	heard int
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
