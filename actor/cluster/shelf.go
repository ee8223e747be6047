package cluster

import (
	"context"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// shelf is where a mirror keeps its values: a bucket without a source, for the sake of its table, which is
// read as fast as the owner's.
type shelf[K comparable, V any] struct {
	system *protoactor.ActorSystem
	bucket *bucket.Bucket[K, V]
	pid    *protoactor.PID
}

// patienceForShelf is for a machine that is at its end: a shelf has nothing to wait for.
const patienceForShelf = time.Minute

// newShelf makes a shelf that holds the entries, which belong to it.
func newShelf[K comparable, V any](
	system *protoactor.ActorSystem, log logrus.FieldLogger, name string, entries map[K]V,
) (*shelf[K, V], error) {
	ctx, stop := context.WithTimeout(context.Background(), patienceForShelf)
	defer stop()
	name += system.ProcessRegistry.NextId()
	s := &shelf[K, V]{system: system, bucket: bucket.New(name, loader.Funcs[K, V]{
		LoadFunc: func(context.Context, K) (v V, err error) { return v, loader.ErrNotFound },
		InitFunc: func(context.Context) (map[K]V, error) { return entries, nil },
	}, bucket.RefreshEvery(0), bucket.InitTimeout(0), bucket.Logger(log))}
	var err error
	s.pid, err = actor.Start(ctx, system, name, s.bucket.Announce)
	return s, err
}

// drop is for a shelf that nobody looks at any more. It does not block.
func (s *shelf[K, V]) drop() {
	if s != nil {
		s.system.Root.Stop(s.pid)
	}
}

func (s *shelf[K, V]) has(key K) bool {
	_, ok := s.bucket.DirectGet(key)
	return ok
}

// put and remove fail only when the shelf was dropped, or the actor system ends.
func (s *shelf[K, V]) put(key K, value V) { _ = s.bucket.DirectSet(context.Background(), key, value) }

func (s *shelf[K, V]) remove(key K) {
	if s.has(key) {
		_ = s.bucket.Delete(context.Background(), key)
	}
}

func (s *shelf[K, V]) size() int { return s.bucket.Len() }

// sweep removes what was put there before that moment.
func (s *shelf[K, V]) sweep(before time.Time) {
	held := s.bucket.Snapshot()
	for key := range held.All() {
		if e, ok := held.Entry(key); ok && e.LoadedAt.Before(before) {
			s.remove(key)
		}
	}
}

// replica is what the shelf holds. It stays when the shelf is dropped.
func (s *shelf[K, V]) replica(at position) *replica[K, V] {
	held := s.bucket.Snapshot()
	return &replica[K, V]{
		at:  at,
		all: held.All(),
		has: func(key K) bool { _, ok := held.Get(key); return ok },
	}
}
