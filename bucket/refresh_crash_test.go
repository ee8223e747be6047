package bucket_test

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// nthOf panics on the nth note of a type.
func nthOf(prefix string, nth int) func(any) bool {
	seen := 0
	return func(msg any) bool {
		if strings.HasPrefix(fmt.Sprintf("%T", msg), prefix) {
			seen++
			return seen == nth
		}
		return false
	}
}

func TestRefresh_ends_whichever_of_its_notes_crashes_the_bucket(t *testing.T) {
	notes := map[string]int{"*bucket.keysMapped[": 1, "*bucket.shift[": 4, "*bucket.rode[": 1, "*bucket.passed[": 1}
	for note, most := range notes {
		for nth := 1; nth <= most; nth++ {
			t.Run(fmt.Sprint(note, nth), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					src := newSource(seedOf(20))
					panicOn := nthOf(note, nth)
					var crashed atomic.Bool
					b := seeded(src, bucket.MaxConcurrentLoads(4), bucket.RefreshConcurrency(4))
					start(t, saboteur{b, func(msg any) bool { return panicOn(msg) && !crashed.Swap(true) }})
					for key := range seedOf(20) {
						src.set(key, 1000)
					}
					open := src.gate("key5")
					refreshed, reloaded := make(chan error, 1), make(chan error, 1)
					go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
					synctest.Wait()
					go func() { _, err := b.RefreshKey(t.Context(), "key5"); reloaded <- err }()
					synctest.Wait()
					open()
					require.NoError(t, <-refreshed)
					if err := <-reloaded; err != nil {
						require.ErrorIs(t, err, bucket.ErrCrashed)
					}
					for _, value := range maps.Collect(b.All()) {
						require.Equal(t, 1000, value)
					}
					synctest.Wait() // the last worker's note may come after the publication
					assert.True(t, crashed.Load())
					assert.Zero(t, b.Stats().Running)

					src.set("late", 1)
					_, err := b.Fetch(t.Context(), "late")
					require.NoError(t, err)
					report, err := b.Refresh(t.Context())
					require.NoError(t, err)
					assert.Equal(t, 21, report.Loaded)
					assert.False(t, src.overlap.Load())
				})
			})
		}
	}
}

func TestWatch_tells_of_keys_that_a_source_gives_in_one_go(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: func([]string) (map[string]int, error) { return map[string]int{"a": 1, "b": 2}, nil }}
		b := bucket.New("widgets", s.inOneGo(map[string]int{"a": 1}), quiet())
		start(t, b)
		w := watch(t, b)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, []bucket.Change[string, int]{{Kind: bucket.Added, Key: "b", New: 2, Seq: 1, Generation: 2}}, w.take())
	})
}

func TestRefresh_with_related_keys_takes_each_from_one_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				if key == "slow" {
					<-gate // began first, and brings all
					return 0, map[string]int{"slow": 1, "a": 1, "b": 1, "new": 1}, nil
				}
				return 0, map[string]int{key: 2}, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"slow": 0, "a": 0, "b": 0}, nil },
		}, quiet(), bucket.RefreshConcurrency(3))
		start(t, b)
		done := make(chan bucket.Report, 1)
		go func() { report, _ := b.Refresh(t.Context()); done <- report }()
		synctest.Wait()
		close(gate)
		report := <-done
		assert.Equal(t, map[string]int{"slow": 1, "a": 2, "b": 2, "new": 1}, maps.Collect(b.All()))
		assert.Equal(t, 4, b.Len())
		assert.Equal(t, 3, report.Changed)
		assert.Equal(t, 1, report.Added)
	})
}
