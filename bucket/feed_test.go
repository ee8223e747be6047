package bucket_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// watched collects the changes of a bucket until the test is over.
type watched[V any] struct {
	mu      sync.Mutex
	changes []bucket.Change[string, V]
}

func watch[V any](t *testing.T, b *bucket.Bucket[string, V]) *watched[V] {
	t.Helper()
	w := &watched[V]{}
	ctx, cancel := context.WithCancel(context.Background())
	changes := b.Watch(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for change := range changes {
			w.mu.Lock()
			w.changes = append(w.changes, change)
			w.mu.Unlock()
		}
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return w
}

// take returns what has come since the last time.
func (w *watched[V]) take() []bucket.Change[string, V] {
	synctest.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	changes := w.changes
	w.changes = nil
	return changes
}

func TestWatch_tells_of_writes_loads_and_publications(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		type change = bucket.Change[string, int]
		src := newSource(map[string]int{"a": 1, "b": 2, "late": 7})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 2}, nil },
		}, quiet())
		start(t, b)
		w := watch(t, b)
		assert.Empty(t, w.take())

		require.NoError(t, b.DirectSet(t.Context(), "a", 5))
		require.NoError(t, b.DirectSet(t.Context(), "a", 5)) // the same
		_, err := b.Fetch(t.Context(), "late")
		require.NoError(t, err)
		require.NoError(t, b.Delete(t.Context(), "late"))
		require.NoError(t, b.Delete(t.Context(), "none"))
		assert.Equal(t, []change{
			{Kind: bucket.Changed, Key: "a", Old: 1, New: 5, Seq: 1, Generation: 1},
			{Kind: bucket.Added, Key: "late", New: 7, Seq: 2, Generation: 1},
			{Kind: bucket.Removed, Key: "late", Old: 7, Seq: 3, Generation: 1},
		}, w.take())

		src.set("a", 6)
		src.fail("b", loader.ErrNotFound)
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		got := map[string]change{}
		for _, c := range w.take() {
			assert.EqualValues(t, 2, c.Generation)
			c.Seq = 0
			got[c.Key] = c
		}
		assert.Equal(t, map[string]change{
			"a": {Kind: bucket.Changed, Key: "a", Old: 5, New: 6, Generation: 2},
			"b": {Kind: bucket.Removed, Key: "b", Old: 2, Generation: 2},
		}, got)

		_, err = b.Refresh(t.Context()) // nothing new
		require.NoError(t, err)
		src.fail("a", errDown) // and what fails is nothing new
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Empty(t, w.take())
	})
}

// Whoever applies the changes to a snapshot that was taken after the watch began has what the
// bucket has.
func TestWatch_and_a_snapshot_make_a_replica(t *testing.T) {
	ctx := context.Background()
	src := newSource(seedOf(100))
	b := seeded(src, bucket.RefreshEvery(0))
	_, sup := start(t, b)
	var replicas sync.WaitGroup
	results := make(chan map[string]int, 4)
	for range cap(results) {
		changes := b.Watch(ctx)
		replica := maps.Collect(b.Snapshot().All())
		replicas.Go(func() {
			var seq uint64
			for c := range changes {
				if c.Kind == bucket.Missed {
					assert.Fail(t, "missed")
				}
				if seq > 0 {
					assert.Equal(t, seq+1, c.Seq)
				}
				if seq = c.Seq; c.Kind == bucket.Removed {
					delete(replica, c.Key)
				} else {
					replica[c.Key] = c.New
				}
			}
			results <- replica
		})
	}
	var writers sync.WaitGroup
	for g := range 4 {
		writers.Go(func() {
			for i := range 300 {
				key := fmt.Sprint("key", (i*7+g)%130)
				switch i % 5 {
				case 0:
					_ = b.Delete(ctx, key)
				case 1:
					src.set(key, i)
					_, _ = b.RefreshKey(ctx, key)
				default:
					_ = b.DirectSet(ctx, key, i*10+g)
				}
			}
		})
	}
	for i := range 60 {
		src.set(fmt.Sprint("key", i), -i)
		_, err := b.Refresh(ctx)
		require.NoError(t, err)
	}
	writers.Wait()
	want := maps.Collect(b.All())
	require.NoError(t, sup.Stop(ctx)) // ends the watches
	replicas.Wait()
	for range cap(results) {
		assert.Equal(t, want, <-results)
	}
}

func TestWatch_that_begins_while_a_generation_is_made_misses_nothing_unnoticed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		judging, judged := make(chan struct{}), make(chan struct{})
		b := seeded(src, bucket.Gate(func(bucket.Candidate) error { close(judging); <-judged; return nil }))
		start(t, b)
		src.set("a", 2)
		go func() { _, _ = b.Refresh(context.Background()) }()
		<-judging
		w := watch(t, b)
		close(judged)
		changes := w.take()
		require.Len(t, changes, 1)
		assert.Equal(t, bucket.Missed, changes[0].Kind)
		assert.EqualValues(t, 2, changes[0].Generation)
		assert.GreaterOrEqual(t, b.Snapshot().Generation(), changes[0].Generation)
	})
}

func TestWatch_of_a_slow_reader_holds_nobody_up_and_tells_what_it_missed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Func(func(context.Context, string) (int, error) { return 0, nil }), quiet(), bucket.RefreshEvery(0))
		start(t, b)
		fast := watch(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		slow := b.Watch(ctx)
		const n = 100_000
		for i := range n {
			require.NoError(t, b.DirectSet(t.Context(), "a", i))
			if i%10_000 == 0 {
				synctest.Wait()
			}
		}
		all := fast.take()
		require.Len(t, all, n)
		for i, c := range all {
			require.EqualValues(t, i+1, c.Seq)
		}

		var seen []bucket.Change[string, int]
		for c := range slow {
			if seen = append(seen, c); c.Seq == n {
				break
			}
		}
		require.NotEmpty(t, seen)
		assert.Equal(t, bucket.Missed, seen[0].Kind)
		assert.Greater(t, seen[0].Seq, uint64(1<<16))
		for i, c := range seen[1:] {
			require.Equal(t, seen[i].Seq+1, c.Seq)
			require.Equal(t, bucket.Changed, c.Kind)
		}
	})
}

func TestWatch_ends_with_its_context_and_with_the_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}))
		for range b.Watch(t.Context()) {
			t.Error("a change of a bucket that does not run")
		}
		_, sup := start(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		for range b.Watch(ctx) {
			t.Error("a change of nothing")
		}
		assert.Equal(t, time.Second, time.Since(began))

		time.AfterFunc(time.Second, func() { _ = sup.Stop(context.Background()) })
		for range b.Watch(t.Context()) {
			t.Error("a change of nothing")
		}
		assert.Equal(t, 2*time.Second, time.Since(began))
	})
}

func TestWatch_is_not_flooded_by_NaN(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		type point struct{ X, Y float64 }
		b := bucket.New("points", loader.Func(func(context.Context, string) (point, error) { return point{math.NaN(), 1}, nil }), quiet())
		start(t, b)
		w := watch(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Len(t, w.take(), 1)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Unchanged)
		assert.Empty(t, w.take())
	})
}

func TestWatch_keeps_only_what_a_reader_has_yet_to_see(t *testing.T) {
	b := bucket.New("widgets", loader.Func(func(context.Context, string) ([]byte, error) { return nil, nil }), quiet(), bucket.RefreshEvery(0))
	start(t, b)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	for range 100 { // that never read
		_ = b.Watch(ctx)
	}
	before := heap()
	for i := range 200_000 {
		require.NoError(t, b.DirectSet(ctx, "a", fmt.Appendf(make([]byte, 0, 1024), "%d", i)))
	}
	assert.Less(t, heap()-before, int64(mostKept))
}

// mostKept is that of 2^16 changes and those up to the next look, with their values.
const mostKept = (1<<16 + 1<<12) * (1024 + 512)

func heap() int64 {
	runtime.GC()
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.HeapAlloc)
}

func TestWatch_takes_no_context_as_one_that_never_ends(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}), bucket.RefreshEvery(0))
		start(t, b)
		assert.NotPanics(t, func() { b.Watch(nil) }) //nolint:staticcheck // as others do
	})
}
