package bucket_test

import (
	"context"
	"maps"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// racing says that the race detector slows everything down.
var racing = func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// A generation of a large bucket takes its time to be made. That is when a reader could see a
// part of it: all values of a generation are its number, so a mixture shows.
func TestReaders_of_a_large_bucket_never_see_a_mixture(t *testing.T) {
	entries := 1_000_000
	if racing || testing.Short() {
		entries = 50_000
	}
	for _, way := range []string{inBatch, inOneGo} {
		t.Run(way, func(t *testing.T) {
			l := newLargeBucket(t, way, entries)
			readers := map[string]func(*rand.Rand) int64{
				"All":             l.readAll,
				"Keys, Snapshot":  l.readKeys,
				"FetchMany":       l.readMany,
				"a Snapshot held": l.readHeld,
				"messages":        l.readMessages,
			}
			began := make(chan struct{}, len(readers))
			var all sync.WaitGroup
			for name, read := range readers {
				all.Go(func() {
					random := rand.New(rand.NewPCG(1, uint64(len(name))))
					last := read(random)
					began <- struct{}{}
					for !l.over.Load() && !t.Failed() {
						seen := read(random)
						if seen < last {
							t.Errorf("%s: generation %d after %d", name, seen, last)
						}
						last = seen
					}
				})
			}
			defer all.Wait()
			defer l.over.Store(true)
			for range readers {
				<-began
			}
			for range 4 {
				l.next.Add(1)
				report, err := l.bucket.Refresh(context.Background())
				require.NoError(t, err)
				assert.Equal(t, entries, report.Changed)
			}
		})
	}
}

// largeBucket has values that are all the number of their generation.
type largeBucket struct {
	t       *testing.T
	bucket  *bucket.Bucket[int, int64]
	system  *protoactor.ActorSystem
	entries int
	next    atomic.Int64 // what the source gives
	over    atomic.Bool
}

func newLargeBucket(t *testing.T, way string, entries int) *largeBucket {
	l := &largeBucket{t: t, entries: entries}
	l.next.Store(1)
	everything := func(context.Context) (map[int]int64, error) {
		values := make(map[int]int64, entries)
		for key := range entries {
			values[key] = l.next.Load()
		}
		return values, nil
	}
	funcs := loader.Funcs[int, int64]{
		LoadFunc: func(context.Context, int) (int64, error) { return l.next.Load(), nil },
		InitFunc: everything,
	}
	switch way {
	case inBatch:
		funcs.LoadBatchFunc = func(_ context.Context, keys []int) (map[int]int64, error) {
			values := make(map[int]int64, len(keys))
			for _, key := range keys {
				values[key] = l.next.Load()
			}
			return values, nil
		}
	case inOneGo:
		funcs.LoadAllFunc = everything
	}
	l.bucket = bucket.New("large", funcs, quiet(), bucket.RefreshEvery(0), bucket.BatchSize(2000))
	l.system, _ = start(t, l.bucket)
	return l
}

// isOne says whose generation the values are; it has failed if they are not all of one, or not
// so many.
func (l *largeBucket) isOne(what string, values func(yield func(int64) bool), want int) int64 {
	var first int64
	seen := 0
	for value := range values {
		if seen++; first == 0 {
			first = value
		}
		if value != first {
			l.t.Errorf("%s: a value of generation %d in generation %d", what, value, first)
			return first
		}
	}
	if seen != want {
		l.t.Errorf("%s: %d entries, want %d", what, seen, want)
	}
	return first
}

func (l *largeBucket) readAll(*rand.Rand) int64 {
	return l.isOne("All", func(yield func(int64) bool) {
		l.bucket.All()(func(_ int, value int64) bool { return yield(value) })
	}, l.entries)
}

// readSnapshot looks keys up, and at the number that the snapshot says it has.
func (l *largeBucket) readSnapshot(s bucket.Snapshot[int, int64], keys []int) int64 {
	seen := l.isOne("Snapshot", func(yield func(int64) bool) {
		for _, key := range keys {
			if value, ok := s.Get(key); ok && !yield(value) {
				return
			}
		}
	}, len(keys))
	if generation := int64(s.Generation()); seen != generation {
		l.t.Errorf("Snapshot: a value of generation %d in generation %d", seen, generation)
	}
	return seen
}

func (l *largeBucket) readKeys(*rand.Rand) int64 {
	keys := l.bucket.Keys()
	if len(keys) != l.entries {
		l.t.Errorf("%d keys, want %d", len(keys), l.entries)
	}
	return l.readSnapshot(l.bucket.Snapshot(), keys)
}

func (l *largeBucket) someKeys(random *rand.Rand, n int) []int {
	keys := map[int]struct{}{}
	for len(keys) < n {
		keys[random.IntN(l.entries)] = struct{}{}
	}
	return slices.Collect(maps.Keys(keys))
}

func (l *largeBucket) readMany(random *rand.Rand) int64 {
	keys := l.someKeys(random, 300)
	values, err := l.bucket.FetchMany(context.Background(), keys)
	if err != nil {
		l.t.Errorf("FetchMany: %v", err)
	}
	return l.isOne("FetchMany", maps.Values(values), len(keys))
}

// readHeld reads a snapshot until two generations have been published after it.
func (l *largeBucket) readHeld(random *rand.Rand) int64 {
	s := l.bucket.Snapshot()
	for {
		seen := l.readSnapshot(s, l.someKeys(random, 1000))
		if l.over.Load() || l.t.Failed() || l.bucket.Snapshot().Generation() > s.Generation()+1 {
			l.isOne("a Snapshot held", func(yield func(int64) bool) {
				s.All()(func(_ int, value int64) bool { return yield(value) })
			}, l.entries)
			return seen
		}
		if s.Generation() == 1 { // or the refreshes would wait for this reader to begin
			return seen
		}
	}
}

// readMessages asks the actor. Each answer is of its own moment.
func (l *largeBucket) readMessages(random *rand.Rand) int64 {
	if keys := l.ask(bucket.Keys{}).(bucket.KeyList).Keys; len(keys) != l.entries {
		l.t.Errorf("KeyList: %d keys, want %d", len(keys), l.entries)
	}
	var last int64
	for _, key := range l.someKeys(random, 100) {
		for range 2 {
			seen := l.ask(bucket.Fetch{Key: key}).(bucket.Found).Value.(int64)
			if seen < last {
				l.t.Errorf("Fetch: generation %d after %d", seen, last)
			}
			last = seen
		}
	}
	return last
}

func (l *largeBucket) ask(msg any) any {
	reply, err := l.system.Root.RequestFuture(l.bucket.PID(), msg, 5*time.Minute).Result()
	if err != nil {
		l.t.Errorf("%T: %v", msg, err)
		switch msg.(type) { // so that the reader ends as usual
		case bucket.Keys:
			return bucket.KeyList{}
		default:
			return bucket.Found{Value: int64(0)}
		}
	}
	return reply
}
