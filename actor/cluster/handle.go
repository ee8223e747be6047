package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// Handle asks a bucket that is placed in the cluster, wherever it is. Its methods mean what those of
// a [bucket.Bucket] do and return the same errors, but for what is about the way: they need a context
// with a deadline, or may wait for ever for a member that does not answer.
//
// What may be asked twice is asked again while the context lasts, when its answer was lost with the
// member that owned the bucket. A write is made again only if it is sure that it was not made.
//
// A Handle may be used by many goroutines.
type Handle[K comparable, V any] struct {
	bucket  *bucket.Bucket[K, V]
	cluster *protocluster.Cluster
	owner   atomic.Pointer[protoactor.PID]

	mu        sync.Mutex
	losses    map[string]chan struct{} // by address; closed when the member is lost
	searching *search                  // nil if nobody looks for the owner
	ear       *eventstream.Subscription
}

// ErrLost is the error of a write whose answer was lost with the member that owned the bucket. It may
// or may not have been made.
var ErrLost = errors.New("the owner was lost before it answered")

// Of returns the handle of a bucket that is placed in all members of the cluster by [OneOwner].
// Close it when it is not needed any more.
func Of[K comparable, V any](b *bucket.Bucket[K, V], c *protocluster.Cluster) *Handle[K, V] {
	h := &Handle[K, V]{bucket: b, cluster: c, losses: map[string]chan struct{}{}}
	h.ear = c.ActorSystem.EventStream.Subscribe(func(event any) {
		switch event := event.(type) {
		case *remote.EndpointTerminatedEvent:
			h.lose(event.Address)
		case *protocluster.ClusterTopology:
			for _, member := range event.Left {
				h.lose(member.Address())
			}
		}
	})
	return h
}

// Close ends the handle's part in the cluster. Calls that are under way go on.
func (h *Handle[K, V]) Close() { h.cluster.ActorSystem.EventStream.Unsubscribe(h.ear) }

// Fetch is [bucket.Bucket.Fetch].
func (h *Handle[K, V]) Fetch(ctx context.Context, key K) (V, error) {
	found, err := ask[bucket.Found](ctx, h, bucket.Fetch{Key: key}, true)
	return h.value(found, err)
}

// Get is [bucket.Bucket.Get].
func (h *Handle[K, V]) Get(ctx context.Context, key K) (V, bool) {
	value, err := h.Fetch(ctx, key)
	return value, err == nil
}

// DirectSet is [bucket.Bucket.DirectSet]. An [ErrLost] says that the value may or may not be there.
func (h *Handle[K, V]) DirectSet(ctx context.Context, key K, value V) error {
	_, err := ask[bucket.Done](ctx, h, bucket.Set{Key: key, Value: value}, false)
	return err
}

// Delete is [bucket.Bucket.Delete]. An [ErrLost] says that the key may or may not be there.
func (h *Handle[K, V]) Delete(ctx context.Context, key K) error {
	_, err := ask[bucket.Done](ctx, h, bucket.Delete{Key: key}, false)
	return err
}

// Refresh is [bucket.Bucket.Refresh].
func (h *Handle[K, V]) Refresh(ctx context.Context) (bucket.Report, error) {
	refreshed, err := ask[bucket.Refreshed](ctx, h, bucket.Refresh{}, true)
	return refreshed.Report, err
}

// Keys is [bucket.Bucket.Keys].
func (h *Handle[K, V]) Keys(ctx context.Context) ([]K, error) {
	list, err := ask[bucket.KeyList](ctx, h, bucket.Keys{}, true)
	if err != nil {
		return nil, err
	}
	keys := make([]K, len(list.Keys))
	for i, key := range list.Keys {
		typed, ok := key.(K)
		if !ok {
			return nil, fmt.Errorf("%w: got a %T", bucket.ErrKeyType, key)
		}
		keys[i] = typed
	}
	return keys, nil
}

func (h *Handle[K, V]) value(found bucket.Found, err error) (V, error) {
	var none V
	if err != nil {
		return none, err
	}
	value, ok := found.Value.(V)
	if !ok && found.Value != nil { // nil is that of an interface
		return none, fmt.Errorf("%w: got a %T", bucket.ErrValueType, found.Value)
	}
	return value, nil
}

// pauseAgain is how long a question waits that found no owner, before it looks for it again.
const pauseAgain = 20 * time.Millisecond

// ask asks the owner, and a new one if that has gone.
func ask[T any, K comparable, V any](ctx context.Context, h *Handle[K, V], question any, twice bool) (T, error) {
	var none T
	var last error
	for {
		answer, err := askOnce[T](ctx, h, question)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return none, because(ctx.Err(), last)
		case loader.IsVeto(err):
			return none, err
		case again(err), errors.Is(err, ErrLost) && twice:
		default:
			return none, err
		}
		last = err
		select {
		case <-time.After(pauseAgain):
		case <-ctx.Done():
			return none, because(ctx.Err(), last)
		}
	}
}

// because says why there was no answer in time.
func because(ended, last error) error {
	if last == nil {
		return ended
	}
	return fmt.Errorf("%w: %w", ended, last)
}

// askOnce asks whom it takes for the owner.
func askOnce[T any, K comparable, V any](ctx context.Context, h *Handle[K, V], question any) (T, error) {
	var none T
	pid, err := h.find(ctx)
	if err != nil {
		return none, err
	}
	lost := h.loss(pid.GetAddress())
	attempt, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go func() {
		select {
		case <-lost:
			stop(ErrLost)
		case <-attempt.Done():
		}
	}()
	reply, err := actor.Ask[any](attempt, h.cluster.ActorSystem, pid, question)
	if err != nil && ctx.Err() == nil && attempt.Err() != nil {
		err = ErrLost
	}
	if failed, ok := reply.(bucket.Failed); ok {
		err = failed.Err
	}
	if err != nil {
		if again(err) || errors.Is(err, ErrLost) {
			h.forget(pid)
		}
		return none, err
	}
	answer, ok := reply.(T)
	if !ok {
		return none, fmt.Errorf("%w: bucket %q answered with a %T", ErrUnknownMessage, h.bucket.Name(), reply)
	}
	return answer, nil
}

// find returns the owner. Many may look for it at a time, and one search is made for all of them.
func (h *Handle[K, V]) find(ctx context.Context) (*protoactor.PID, error) {
	if pid := h.owner.Load(); pid != nil {
		return pid, nil
	}
	h.mu.Lock()
	s := h.searching
	if s == nil {
		s = &search{over: make(chan struct{})}
		h.searching = s
		go h.search(s)
	}
	h.mu.Unlock()
	select {
	case <-s.over:
		if s.found == nil {
			return nil, fmt.Errorf("bucket %q: %w: no member of the cluster has it: place it with OneOwner",
				h.bucket.Name(), bucket.ErrNotRunning)
		}
		return s.found, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// search is a search for the owner.
type search struct {
	over  chan struct{}
	found *protoactor.PID // nil if there is none; to be read when it is over
}

// pauseSearch is how long a look at the cluster may take before another one is made beside it:
// protoactor's own waits five seconds for a member that has just been killed, and does not notice that
// another has taken its place.
const pauseSearch = 250 * time.Millisecond

func (h *Handle[K, V]) search(s *search) {
	looks := make(chan *protoactor.PID)
	over := make(chan struct{})
	look := func() {
		pid := h.cluster.Get(h.bucket.Name(), kindOf(h.bucket.Name()))
		select {
		case looks <- pid:
		case <-over:
		}
	}
	again := time.NewTicker(pauseSearch)
	defer again.Stop()
	go look()
	for searching := true; searching; {
		select {
		case s.found = <-looks:
			searching = false
		case <-again.C:
			go look()
		}
	}
	close(over)
	h.mu.Lock()
	h.searching = nil
	h.mu.Unlock()
	if s.found != nil {
		h.owner.Store(s.found)
	}
	close(s.over)
}

// forget has the owner looked up again.
func (h *Handle[K, V]) forget(pid *protoactor.PID) { h.owner.CompareAndSwap(pid, nil) }

// loss is closed when the member at that address is lost.
func (h *Handle[K, V]) loss(address string) <-chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	lost := h.losses[address]
	if lost == nil {
		lost = make(chan struct{})
		h.losses[address] = lost
	}
	return lost
}

// lose is called in the event's turn: it must not block.
func (h *Handle[K, V]) lose(address string) {
	h.mu.Lock()
	lost := h.losses[address]
	delete(h.losses, address)
	h.mu.Unlock()
	if lost != nil {
		close(lost)
	}
	if pid := h.owner.Load(); pid != nil && pid.GetAddress() == address {
		h.forget(pid)
	}
}
