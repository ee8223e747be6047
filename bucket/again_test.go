package bucket_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// What is asked of a key whose load has gone stale is done by the flight after it, and
// that is what was asked for.

func TestRefreshKey_after_a_Set_is_filtered_and_removes_what_is_gone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "gone": 1})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			FilterRefreshFunc: func(_ context.Context, _ string, value int, err error) (int, error) {
				if value < 0 {
					return 0, errors.New("refused")
				}
				return value, err
			},
		}, quiet())
		start(t, b)
		for _, key := range []string{"a", "gone"} {
			open := src.gate(key)
			go func() { _, _ = b.RefreshKey(context.Background(), key) }()
			synctest.Wait()
			require.NoError(t, b.DirectSet(t.Context(), key, 5))
			src.set("a", -1)
			src.fail("gone", loader.ErrNotFound)
			after := make(chan error, 1)
			go func() {
				_, err := b.RefreshKey(context.Background(), key)
				after <- err
			}()
			synctest.Wait()
			open()
			require.Error(t, <-after)
		}
		value, ok := b.DirectGet("a")
		assert.True(t, ok)
		assert.Equal(t, 5, value, "the filter refused what the source has")
		_, ok = b.DirectGet("gone")
		assert.False(t, ok)
	})
}

func TestRefresh_loads_a_key_again_whose_load_has_gone_stale(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		open := src.gate("a")
		fetch(t.Context(), b, "a")
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "a", 5))
		src.set("a", 2)
		done := make(chan bucket.Report, 1)
		go func() {
			report, _ := b.Refresh(context.Background())
			done <- report
		}()
		synctest.Wait()
		open()
		report := <-done
		assert.Equal(t, 1, report.Loaded)
		assert.Equal(t, 1, report.Changed)
		value, _ := b.DirectGet("a")
		assert.Equal(t, 2, value)
	})
}

func TestLoadRelated_does_not_overwrite_what_a_younger_load_brought(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		older := make(chan struct{})
		var removed atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				switch {
				case key == "older":
					<-older
					return 1, map[string]int{"shared": 1, "removed": 1, "alone": 1}, nil
				case key == "removed" && removed.Load():
					return 0, nil, loader.ErrNotFound
				default:
					return 2, map[string]int{key: 2}, nil
				}
			},
		}, quiet())
		start(t, b)
		_, err := b.Fetch(t.Context(), "removed")
		require.NoError(t, err)
		removed.Store(true)
		answer := fetch(t.Context(), b, "older")
		synctest.Wait()
		_, err = b.Fetch(t.Context(), "shared")
		require.NoError(t, err)
		_, err = b.RefreshKey(t.Context(), "removed")
		require.ErrorIs(t, err, loader.ErrNotFound)
		close(older)
		require.NoError(t, (<-answer).err)
		value, _ := b.DirectGet("shared")
		assert.Equal(t, 2, value)
		_, ok := b.DirectGet("removed")
		assert.False(t, ok, "it does not come back")
		value, _ = b.DirectGet("alone")
		assert.Equal(t, 1, value)
	})
}

func TestLoadRelated_that_went_well_clears_the_trouble_of_its_key(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var fail, unchanged atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				switch {
				case fail.Load():
					return 0, nil, errDown
				case unchanged.Load():
					return 0, nil, loader.ErrUnchanged
				}
				return 1, nil, nil
			},
		}, quiet())
		start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "a", 7))
		set, _ := b.Entry("a")
		for _, how := range []bool{false, true} {
			unchanged.Store(how)
			fail.Store(true)
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
			assert.Equal(t, bucket.Degraded, b.Health().State)
			fail.Store(false)
			time.Sleep(time.Minute)
			report, err := b.Refresh(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 1, report.Unchanged)
			assert.Equal(t, bucket.Ready, b.Health().State)
			entry, _ := b.Entry("a")
			assert.Equal(t, 7, entry.Value)
			assert.Equal(t, how, entry.LoadedAt.After(set.LoadedAt), "only ErrUnchanged renews the age")
		}
	})
}

func TestFetch_with_MaxAge_of_a_young_key_does_not_wait_for_a_restart(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}))
		system := newSystem()
		sup := supervisor.New(system, noLog(), supervisor.Backoff(5*time.Second, 5*time.Second))
		require.NoError(t, sup.Start(t.Context(), b))
		require.Error(t, failure(t, request(t, system, b.PID(), bucket.Crash{Reason: "drill"})))
		begun := time.Now()
		value, err := b.Fetch(t.Context(), "a", bucket.MaxAge(time.Hour), nil)
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		assert.Zero(t, time.Since(begun))
		require.NoError(t, sup.Stop(t.Context()))
	})
}

func TestRefresh_compares_what_pointers_point_to(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		type price struct{ cents *int }
		b := bucket.New("widgets", loader.Func(func(context.Context, string) (*price, error) {
			cents := 7
			return &price{&cents}, nil
		}), quiet())
		start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		before, _ := b.Entry("a")
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Unchanged)
		after, _ := b.Entry("a")
		assert.Equal(t, before.Version, after.Version)
	})
}

func TestBucket_forgets_loads_that_nobody_waits_for_although_no_slot_is_free(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"hung": 1, "last": 2})
		open := src.gate("hung")
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1), bucket.LoadTimeout(0))
		start(t, b)
		fetch(t.Context(), b, "hung")
		synctest.Wait()
		last := fetch(t.Context(), b, "last")
		for range 1000 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			_, err := b.Fetch(ctx, time.Now().String())
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
		}
		synctest.Wait()
		assert.LessOrEqual(t, b.Queued(), 3)
		open()
		assert.Equal(t, got{2, nil}, <-last)
	})
}

func TestOptionsFunc_may_look_at_the_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		calls := 0
		var b *bucket.Bucket[string, int]
		b = bucket.New("widgets", newSource(nil), quiet(), bucket.OptionsFunc(func() ([]bucket.Option, error) {
			calls++
			config, err := b.Config()
			return []bucket.Option{bucket.BatchSize(config.BatchSize + 1)}, err
		}))
		start(t, b)
		config, err := b.Config()
		require.NoError(t, err)
		assert.Equal(t, bucket.DefaultBatchSize+1, config.BatchSize)
		assert.Equal(t, 1, calls)
	})
}

func TestSecond_spawn_of_a_bucket_is_in_the_log(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, log := captured()
		b := bucket.New("widgets", newSource(nil), logger)
		system, _ := start(t, b)
		system.Root.Spawn(b.Props())
		synctest.Wait()
		assert.Contains(t, log.LastEntry().Message, "running already")
	})
}

func TestFetchMany_with_an_ended_context_says_so_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		start(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		_, err := b.FetchMany(ctx, []string{"a", "b", "c"})
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, context.Canceled.Error(), err.Error())
	})
}
