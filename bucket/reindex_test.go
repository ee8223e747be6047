package bucket_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
)

// written is a bucket with what was written to it.
type written struct {
	*bucket.Bucket[string, int]
	want map[string]int
}

func (w *written) set(t *testing.T, key string, value int) {
	t.Helper()
	require.NoError(t, w.DirectSet(t.Context(), key, value))
	w.want[key] = value
}

func (w *written) delete(t *testing.T, key string) {
	t.Helper()
	require.NoError(t, w.Delete(t.Context(), key))
	delete(w.want, key)
}

func (w *written) check(t *testing.T) {
	t.Helper()
	require.Equal(t, w.want, maps.Collect(w.All()))
	require.Equal(t, len(w.want), w.Len())
	for key, value := range w.want {
		got, ok := w.DirectGet(key)
		require.True(t, ok, key)
		require.Equal(t, value, got)
	}
}

// The table is made anew a second after the last time at the earliest, so what is written in that
// second is written while it is being made.
func TestTable_that_is_made_anew_has_what_was_written_meanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := &written{seeded(newSource(nil), bucket.RefreshEvery(0)), map[string]int{}}
		start(t, w.Bucket)
		random := rand.New(rand.NewPCG(1, 2))
		for round := range 20 {
			for i := range 1500 { // more than are worth a table of their own
				w.set(t, fmt.Sprint("key", round, "-", i), i)
			}
			for range 300 {
				key := fmt.Sprint("key", random.IntN(round+1), "-", random.IntN(1500))
				w.delete(t, key)
				if random.IntN(2) == 0 {
					w.set(t, key, -1)
				}
			}
			w.check(t)
			time.Sleep(2 * time.Second)
			w.check(t)
			_, found := w.DirectGet("no such key")
			require.False(t, found)
		}
		loose, worn := w.Scattered()
		assert.LessOrEqual(t, loose, len(w.want)/4, "they have moved into the index")
		assert.LessOrEqual(t, worn, len(w.want)/4)
		assert.Zero(t, w.Stats().Generation-1, "it is no refresh")
	})
}

func TestTable_is_made_anew_once_a_second_at_most(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		w := &written{seeded(newSource(seedOf(1)), bucket.RefreshEvery(0)), seedOf(1)}
		start(t, w.Bucket)
		w.set(t, "key0", 1)
		synctest.Wait()
		_, worn := w.Scattered()
		require.Zero(t, worn, "the first time at once")
		for i := range 10 {
			w.set(t, "key0", i)
			time.Sleep(99 * time.Millisecond)
			_, worn := w.Scattered()
			require.Equal(t, 1, worn)
		}
		time.Sleep(time.Second)
		_, worn = w.Scattered()
		require.Equal(t, 1, worn, "what was written meanwhile is later than what it was made of")
		time.Sleep(10 * time.Second)
		w.check(t)
	})
}

func TestTable_that_is_being_made_anew_gives_way_to_a_refresh(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(100))
		w := &written{seeded(src, bucket.RefreshEvery(0)), seedOf(100)}
		start(t, w.Bucket)
		for range 2 { // the second waits for its second to be over
			for key := range seedOf(50) {
				w.set(t, key, 7)
			}
			synctest.Wait()
		}
		for key := range seedOf(100) {
			src.set(key, 8)
		}
		open := src.gate("key99")
		var wait sync.WaitGroup
		wait.Go(func() { _, err := w.Refresh(t.Context()); assert.NoError(t, err) })
		time.Sleep(5 * time.Second)
		w.set(t, "key1", 9)
		w.set(t, "new", 9)
		open()
		wait.Wait()
		for key := range seedOf(100) {
			w.want[key] = 8
		}
		w.want["key1"] = 9
		time.Sleep(5 * time.Second)
		w.check(t)
	})
}

// The refresh first has to find slots for keys that came after its table was made.
func TestRefresh_loads_what_has_no_place_in_the_index_yet(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(500))
		b := seeded(src, bucket.RefreshEvery(0))
		start(t, b)
		for i := range 500 {
			src.set(fmt.Sprint("late", i), i)
			_, err := b.Fetch(t.Context(), fmt.Sprint("late", i))
			require.NoError(t, err)
		}
		loose, _ := b.Scattered()
		require.Equal(t, 500, loose)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1000, report.Loaded)
		loose, _ = b.Scattered()
		assert.Zero(t, loose)
	})
}

func TestTable_is_made_anew_although_the_word_of_it_crashes_the_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		panicOn := nthOf("*bucket.reindexed[", 1)
		var crashed atomic.Bool
		b := seeded(newSource(seedOf(100)), bucket.RefreshEvery(0))
		w := &written{b, seedOf(100)}
		start(t, saboteur{b, func(msg any) bool { return panicOn(msg) && !crashed.Swap(true) }})
		for range 3 {
			for key := range seedOf(100) {
				w.set(t, key, 1)
			}
			time.Sleep(3 * time.Second)
		}
		require.True(t, crashed.Load())
		w.set(t, "key1", 2)
		time.Sleep(3 * time.Second)
		_, worn := b.Scattered()
		assert.LessOrEqual(t, worn, 1, "it was made anew after the crash as before")
		w.check(t)
	})
}

func TestStop_while_the_table_is_made_anew_leaves_nothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(seedOf(10)), bucket.RefreshEvery(0))
		life(t, b, func() {
			for range 2 {
				for key := range seedOf(10) {
					require.NoError(t, b.DirectSet(context.Background(), key, 1))
				}
				synctest.Wait()
			}
		})
		assert.Zero(t, b.Len())
	})
}
