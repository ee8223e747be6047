package bucket_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// With one processor a worker comes to its first slot only after that was given to it.
func TestMaxConcurrentLoads_bounds_a_refresh_and_callers_together(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var running, most atomic.Int64
	b := bucket.New("widgets", loader.Funcs[string, int]{
		LoadFunc: func(context.Context, string) (int, error) {
			n := running.Add(1)
			defer running.Add(-1)
			if n > most.Load() {
				most.Store(n)
			}
			time.Sleep(time.Millisecond)
			return 1, nil
		},
		InitFunc: func(context.Context) (map[string]int, error) { return seedOf(10), nil },
	}, quiet(), bucket.RefreshEvery(0), bucket.MaxConcurrentLoads(1))
	start(t, b)
	for round := range 10 {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		var callers sync.WaitGroup
		for i := range 5 {
			callers.Go(func() { _, _ = b.Fetch(ctx, fmt.Sprint("new", round, "-", i)) })
		}
		_, err := b.Refresh(ctx)
		require.NoError(t, err)
		callers.Wait()
		_, err = b.Fetch(ctx, fmt.Sprint("after", round))
		require.NoError(t, err)
		cancel()
	}
	assert.EqualValues(t, 1, most.Load())
}

func TestLoadAll_brings_a_key_back_that_was_gone(t *testing.T) {
	ways := map[string]func(t *testing.T, b *bucket.Bucket[string, int], all map[string]int){
		"at the source": func(t *testing.T, b *bucket.Bucket[string, int], all map[string]int) {
			delete(all, "b")
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
			all["b"] = 2
		},
		"because a caller deleted it": func(t *testing.T, b *bucket.Bucket[string, int], _ map[string]int) {
			require.NoError(t, b.Delete(t.Context(), "b"))
		},
	}
	for name, lose := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				all := map[string]int{"a": 1, "b": 2, "c": 3}
				s := &scripted{script: func([]string) (map[string]int, error) { return maps.Clone(all), nil }}
				b := bucket.New("widgets", s.inOneGo(maps.Clone(all)), quiet())
				start(t, b)
				lose(t, b, all)
				assert.Equal(t, 2, b.Len())
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 1, report.Added)
				assert.Equal(t, all, maps.Collect(b.All()))
			})
		})
	}
}

func TestLoadAll_is_one_load_for_the_rate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: func([]string) (map[string]int, error) { return seedOf(10_000), nil }}
		b := bucket.New("widgets", s.inOneGo(seedOf(10_000)), quiet(), bucket.RefreshRate(0.1))
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Zero(t, report.Took)
	})
}

// The load that the refresh has begun brings b as well, as it was before the Set.
func TestRefreshKey_that_gets_a_refreshs_load_does_not_undo_a_Set(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		gate, gated := make(chan struct{}), atomic.Bool{}
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				if key != "a" {
					return 1, map[string]int{key: 1}, nil
				}
				if gated.Load() {
					<-gate
				}
				return 1, map[string]int{"a": 1, "b": 1}, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
		}, quiet(), bucket.RefreshConcurrency(2))
		start(t, b)
		gated.Store(true)
		go func() { _, _ = b.Refresh(context.Background()) }()
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "b", 99))
		done := make(chan struct{})
		go func() { _, _ = b.RefreshKey(context.Background(), "a"); close(done) }()
		synctest.Wait()
		close(gate)
		<-done
		synctest.Wait()
		value, _ := b.DirectGet("b")
		assert.Equal(t, 99, value)
	})
}

func TestLoadRelated_brings_back_a_key_that_was_deleted_before_the_refresh(t *testing.T) {
	for _, order := range []int{0, 1, 2, 3, 4, 5} { // of the keys, which is the map's
		inBubble(t, func(t *testing.T) {
			b := bucket.New(fmt.Sprint("widgets", order), loader.Funcs[string, int]{
				LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
					if key == "a" {
						return 1, map[string]int{"a": 1, "b": 2}, nil
					}
					return 1, map[string]int{key: 1}, nil
				},
				InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1, "c": 1}, nil },
			}, quiet(), bucket.RefreshConcurrency(1))
			start(t, b)
			require.NoError(t, b.Delete(t.Context(), "b"))
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
			assert.Equal(t, map[string]int{"a": 1, "b": 2, "c": 1}, maps.Collect(b.All()))
			assert.Equal(t, 3, b.Len())
		})
	}
}

func TestStats_count_a_failed_load_once_that_two_waited_for(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(1))
		b := seeded(src)
		start(t, b)
		src.fail("key0", errDown)
		open := src.gate("key0")
		go func() { _, _ = b.Refresh(context.Background()) }()
		synctest.Wait()
		go func() { _, _ = b.RefreshKey(context.Background(), "key0") }()
		synctest.Wait()
		open()
		synctest.Wait()
		assert.EqualValues(t, 1, b.Stats().Loads)
		assert.EqualValues(t, 1, b.Stats().LoadFailures)
	})
}

func TestWatch_that_begins_before_the_bucket_is_ready_is_told_so(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 0, nil },
			InitFunc: func(context.Context) (map[string]int, error) { <-gate; return seedOf(3), nil },
		}, quiet())
		system := newSystem()
		system.Root.Spawn(b.Props())
		synctest.Wait()
		w := watch(t, b)
		assert.Zero(t, b.Snapshot().Len())
		close(gate)
		changes := w.take()
		require.Len(t, changes, 1)
		assert.Equal(t, bucket.Missed, changes[0].Kind)
		assert.Equal(t, 3, b.Snapshot().Len())
		require.NoError(t, stopByHand(system, b))
	})
}
