package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
)

// Handle asks a bucket that is placed in the cluster, wherever it is. Its methods mean what those of
// a [bucket.Bucket] do and return the same errors, but for what is about the way: they need a context
// with a deadline, or may wait for ever for a member that does not answer.
//
// What was lost with the member that owned the bucket is asked again while the context lasts, a write
// included: it may be made twice, at the owner that is lost and at the next one. That makes no difference
// unless somebody else writes the same key at the same time, and who comes last was open anyway.
//
// A Handle may be used by many goroutines. Values are shared with other readers, and must not be
// changed.
type Handle[K comparable, V any] struct {
	bucket    *bucket.Bucket[K, V]
	system    *protoactor.ActorSystem
	invalid   error // why it cannot be used
	placement *placement[K, V]
	seats     []*seat  // of the parts
	enough    []func() // of losses

	mirror    *mirror[K, V] // what is kept in this member; nil if nothing is
	followers []*protoactor.PID
	closing   sync.Once
}

// ErrLost is a reason why there was no answer before the context ended: the question, or its answer, was
// lost with the member that owned the bucket. A write may or may not have been made.
var ErrLost = errors.New("the owner was lost before it answered")

// HandleOption says how a [Handle] is to be.
type HandleOption func(s *handleSettings)

type handleSettings struct{ nearFor time.Duration }

// NearCache has the handle keep what it fetches, for at most that time: it is then read as fast as in
// the member that owns it. A change in the owner's bucket drops the value here, within the time that
// a message takes, so maxAge matters when the owner cannot be heard, and for what a bucket does not
// hold itself. Whoever writes by this handle, reads what was written. What is kept is bounded by
// its age alone. A [Replicated] bucket needs none.
func NearCache(maxAge time.Duration) HandleOption {
	return func(s *handleSettings) { s.nearFor = maxAge }
}

// Of returns the handle of a bucket that is placed in this member: by [OneOwner], [Partitioned] or
// [Replicated], in the options of [Open]. Anything wrong is the error of each call, an [ErrConfig].
// Close it when it is not needed any more, and before the cluster is shut down.
func Of[K comparable, V any](b *bucket.Bucket[K, V], c *protocluster.Cluster, options ...HandleOption) *Handle[K, V] {
	h := &Handle[K, V]{bucket: b, system: c.ActorSystem}
	var s handleSettings
	for _, option := range options {
		if option != nil {
			option(&s)
		}
	}
	if h.placement, h.invalid = placementOf(b, c.ActorSystem); h.invalid == nil && s.nearFor < 0 {
		h.invalid = fmt.Errorf("%w: NearCache(%v): must not be negative; 0 is none", ErrConfig, s.nearFor)
	}
	if h.invalid != nil {
		return h
	}
	losses := h.placement.border.losses
	for _, part := range h.placement.parts {
		s := &seat{identity: part.identity, kind: h.placement.kind(), cluster: c, losses: losses}
		h.enough = append(h.enough, losses.tell(s.lost))
		h.seats = append(h.seats, s)
	}
	if h.placement.copies != nil {
		h.follow(newMirror[K, V](h.placement.border, b.Name(), 1, 0))
		h.placement.copies.add(h.mirror)
	} else if s.nearFor > 0 {
		h.follow(newMirror[K, V](h.placement.border, b.Name(), len(h.seats), s.nearFor))
	}
	return h
}

func placementOf[K comparable, V any](b *bucket.Bucket[K, V], system *protoactor.ActorSystem) (*placement[K, V], error) {
	if border := borderOf(system); border != nil {
		if p, ok := border.places[b].(*placement[K, V]); ok {
			return p, nil
		}
	}
	return nil, fmt.Errorf("%w: bucket %q has no place here: give Open a OneOwner, Partitioned or Replicated of it",
		ErrConfig, b.Name())
}

// follow has the mirror follow each part.
func (h *Handle[K, V]) follow(m *mirror[K, V]) {
	h.mirror = m
	for i, s := range h.seats {
		props := actor.Guard(func() protoactor.Actor {
			return &follower{seat: s, whole: m.maxAge == 0, mirror: m.feeds[i]}
		}, nil)
		pid := h.system.Root.Spawn(props)
		h.followers = append(h.followers, pid)
		h.enough = append(h.enough, s.losses.tell(func(address string) { h.system.Root.Send(pid, lost{address}) }))
	}
}

// Close ends the handle's part in the cluster. Calls that are under way go on.
func (h *Handle[K, V]) Close() {
	if h.invalid != nil {
		return
	}
	h.closing.Do(func() {
		for _, enough := range h.enough {
			enough()
		}
		for _, pid := range h.followers {
			h.system.Root.Stop(pid)
		}
		if h.mirror == nil {
			return
		}
		if h.placement.copies != nil {
			h.placement.copies.remove(h.mirror)
		}
		h.mirror.close()
	})
}

// Ready blocks until what is kept in this member follows the owner: the copy of a [Replicated] bucket is
// then whole, and a [NearCache] keeps what it fetches. It may not be any more a moment later, if the owner
// is lost. Nothing needs to wait for it: until then the owner is asked. The error is ctx's.
func (h *Handle[K, V]) Ready(ctx context.Context) error {
	if h.invalid != nil || h.mirror == nil {
		return h.invalid
	}
	return h.mirror.ready(ctx)
}

// Fetch is [bucket.Bucket.Fetch].
func (h *Handle[K, V]) Fetch(ctx context.Context, key K) (V, error) {
	if h.mirror != nil {
		if value, ok := h.mirror.get(key); ok {
			return value, nil
		}
	}
	part, err := h.part(key)
	if err != nil {
		var none V
		return none, err
	}
	if h.mirror == nil {
		return h.fetch(ctx, part, key)
	}
	return h.mirror.fetch(key, part, func() (V, error) { return h.fetch(ctx, part, key) })
}

func (h *Handle[K, V]) fetch(ctx context.Context, part int, key K) (V, error) {
	if here := h.here(part); here != nil {
		if value, err := here.Fetch(ctx, key); !again(err) {
			return value, err
		}
		h.seats[part].owner.Store(nil)
	}
	found, err := ask[bucket.Found](ctx, h.seats[part], bucket.Fetch{Key: key})
	if err != nil {
		var none V
		return none, err
	}
	return valueOf[V](found.Value)
}

// Get is [bucket.Bucket.Get].
func (h *Handle[K, V]) Get(ctx context.Context, key K) (V, bool) {
	value, err := h.Fetch(ctx, key)
	return value, err == nil
}

// DirectSet is [bucket.Bucket.DirectSet].
func (h *Handle[K, V]) DirectSet(ctx context.Context, key K, value V) error {
	return h.write(ctx, key, bucket.Set{Key: key, Value: value}, func(here *bucket.Bucket[K, V]) error {
		return here.DirectSet(ctx, key, value)
	})
}

// Delete is [bucket.Bucket.Delete].
func (h *Handle[K, V]) Delete(ctx context.Context, key K) error {
	return h.write(ctx, key, bucket.Delete{Key: key}, func(here *bucket.Bucket[K, V]) error {
		return here.Delete(ctx, key)
	})
}

func (h *Handle[K, V]) write(ctx context.Context, key K, question any, write func(here *bucket.Bucket[K, V]) error) error {
	part, err := h.part(key)
	if err != nil {
		return err
	}
	here := h.here(part)
	if here != nil {
		if err = write(here); again(err) {
			h.seats[part].owner.Store(nil)
			here = nil
		}
	}
	if here == nil {
		_, err = ask[bucket.Done](ctx, h.seats[part], question)
	}
	if h.mirror != nil {
		h.mirror.forget(key) // also if it is not sure whether it was made
		if err == nil && h.placement.copies != nil {
			h.catchUp(ctx, part)
		}
	}
	return err
}

// catchUp waits until what this handle has written is in what it keeps.
func (h *Handle[K, V]) catchUp(ctx context.Context, part int) {
	ctx, stop := context.WithTimeout(ctx, mostCatchUp)
	defer stop()
	if now, err := ask[position](ctx, h.seats[part], where{}); err == nil {
		h.mirror.catchUp(ctx, part, now)
	}
}

// here is the bucket of a part that is owned by this member.
func (h *Handle[K, V]) here(part int) *bucket.Bucket[K, V] {
	if who := h.seats[part].owner.Load(); who == nil || !who.here {
		return nil
	}
	if p := &h.placement.parts[part]; p.serving.Load() {
		return p.bucket
	}
	return nil
}

// part is where a key belongs.
func (h *Handle[K, V]) part(key K) (int, error) {
	if h.invalid != nil {
		return 0, h.invalid
	}
	return h.placement.where(key)
}

// valueOf gives what came over the border its type. Nil is that of an interface.
func valueOf[V any](value any) (V, error) {
	v, ok := typed[V](value)
	if !ok {
		return v, fmt.Errorf("%w: got a %T", bucket.ErrValueType, value)
	}
	return v, nil
}
