package cluster

import (
	"context"
	"iter"
	"sync"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// copies are those of a replicated bucket in this member: what its handles keep, and what the owner that
// was here held when it stopped. An owner that starts takes the freshest of all members before it serves.
type copies[K comparable, V any] struct {
	border *Border
	name   string

	mu      sync.Mutex
	mirrors map[*mirror[K, V]]struct{}
	last    *replica[K, V]  // of the owner that was here
	serving int             // owners that are here
	holder  *protoactor.PID // answers for them
	taken   *replica[K, V]  // with which the owner that starts here will begin
}

// replica is a copy that does not change any more, or not in a way that matters.
type replica[K comparable, V any] struct {
	at  position
	all iter.Seq2[K, V]
	has func(key K) bool
}

// copyKept is for how long after it has last heard of an owner a copy can begin another one.
const copyKept = time.Minute

func newCopies[K comparable, V any](border *Border, name string) *copies[K, V] {
	return &copies[K, V]{border: border, name: name, mirrors: map[*mirror[K, V]]struct{}{}}
}

// add takes in what a handle keeps.
func (c *copies[K, V]) add(m *mirror[K, V]) {
	c.change(func() { c.mirrors[m] = struct{}{} })
}

func (c *copies[K, V]) remove(m *mirror[K, V]) {
	c.change(func() { delete(c.mirrors, m) })
}

// serve has the life of an owner here told.
func (c *copies[K, V]) serve(s *service, b *bucket.Bucket[K, V]) {
	var held bucket.Snapshot[K, V]
	began, ending := s.began, s.ending
	s.began = func() {
		c.change(func() { c.serving++ })
		began()
	}
	s.ending = func() {
		ending()
		held = b.Snapshot() // it still shows what is written until the bucket has stopped
	}
	s.stopped = func() {
		if held.Generation() == 0 { // it had been given up before
			c.change(func() { c.serving-- })
			return
		}
		stopped := time.Now()
		last := &replica[K, V]{
			at:  position{Run: s.run, Seq: b.Seq(), heard: stopped},
			all: held.All(),
			has: func(key K) bool { _, ok := held.Get(key); return ok },
		}
		c.change(func() { c.serving, c.last = c.serving-1, last })
		time.AfterFunc(copyKept, func() {
			c.change(func() {
				if c.last == last {
					c.last = nil
				}
			})
		})
	}
}

// change also has others ask for a copy from now on. Who answers them stays: it is asked by a name, which is
// not free again at once.
func (c *copies[K, V]) change(do func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	do()
	if c.holder != nil {
		return
	}
	props := actor.Guard(func() protoactor.Actor { return &holder[K, V]{copies: c} }, nil)
	pid, err := c.border.system.Root.SpawnNamed(props, holderOf(c.name))
	if err != nil {
		c.border.log.WithError(err).Errorf("bucket %q: nobody can have its copy", c.name)
	}
	c.holder = pid
}

// best is the freshest copy here, nil if there is none; live says that an owner is here or followed.
func (c *copies[K, V]) best() (best *replica[K, V], live bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	best, live = c.last, c.serving > 0
	for m := range c.mirrors {
		whole, at := m.whole(), m.position()
		live = live || at.Live
		if whole == nil || time.Since(at.heard) > copyKept || best != nil && !at.fresher(best.at) {
			continue
		}
		best = whole.replica(at)
	}
	return best, live
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

// restore has the bucket hold what the copy held that was taken for it.
func (c *copies[K, V]) restore(ctx context.Context, b *bucket.Bucket[K, V]) error {
	c.mu.Lock()
	taken := c.taken
	c.taken = nil
	c.mu.Unlock()
	if taken == nil {
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
	for key, value := range taken.all {
		note(b.DirectSet(ctx, key, value))
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	for _, key := range b.Keys() { // of an old file
		if !taken.has(key) {
			note(b.Delete(ctx, key))
		}
	}
	if failed > 0 {
		c.border.log.WithError(last).Errorf("bucket %q: the new owner lacks %d changes that its copies had", c.name, failed)
	}
	return nil
}
