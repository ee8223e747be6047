package bucket_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func seedOf(n int) map[string]int {
	seed := make(map[string]int, n)
	for i := range n {
		seed[fmt.Sprint("key", i)] = i
	}
	return seed
}

// seeded is a bucket over src that starts with everything src has.
func seeded(src *source, opts ...bucket.Option) *bucket.Bucket[string, int] {
	return bucket.New("widgets", loader.Funcs[string, int]{
		LoadFunc: src.Load,
		InitFunc: func(context.Context) (map[string]int, error) {
			src.mu.Lock()
			defer src.mu.Unlock()
			return src.values, nil
		},
	}, append([]bucket.Option{quiet()}, opts...)...)
}

func TestRefresh_comes_by_the_clock_counted_from_the_end_of_the_last(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		slow := loader.Func(func(ctx context.Context, key string) (int, error) {
			time.Sleep(20 * time.Second)
			return src.Load(ctx, key)
		})
		b := bucket.New("widgets", slow, quiet(), bucket.RefreshEvery(time.Minute), bucket.Jitter(0))
		start(t, b)
		begun := time.Now()
		require.NoError(t, b.DirectSet(t.Context(), "a", 0))
		for i := range 5 {
			<-src.begun // a load ends 20 s after it began
			assert.Equal(t, time.Duration(i+1)*80*time.Second, time.Since(begun))
		}
		synctest.Wait()
		value, _ := b.DirectGet("a")
		assert.Equal(t, 1, value)
	})
}

func TestRefresh_by_hand_puts_the_next_one_off(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src, bucket.RefreshEvery(time.Minute), bucket.Jitter(0))
		start(t, b)
		time.Sleep(50 * time.Second)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		time.Sleep(59 * time.Second)
		assert.EqualValues(t, 1, src.loads.Load())
		time.Sleep(2 * time.Second)
		assert.EqualValues(t, 2, src.loads.Load())
	})
}

func TestRefresh_is_off_when_its_interval_is_zero(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src, bucket.RefreshEvery(0))
		start(t, b)
		time.Sleep(1000 * time.Hour)
		assert.Zero(t, src.loads.Load())
		assert.Equal(t, bucket.Ready, b.Health().State)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.EqualValues(t, 1, src.loads.Load())
	})
}

func TestRefresh_is_spread_by_the_jitter(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src, bucket.RefreshEvery(time.Minute), bucket.Jitter(0.5))
		start(t, b)
		seen := map[time.Duration]bool{}
		last := time.Now()
		for range 50 {
			<-src.begun
			pause := time.Since(last)
			last = time.Now()
			seen[pause] = true
			assert.GreaterOrEqual(t, pause, 30*time.Second)
			assert.LessOrEqual(t, pause, 90*time.Second)
			synctest.Wait()
		}
		assert.Greater(t, len(seen), 40)
	})
}

func TestRefresh_reports_what_it_did(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"same": 1, "other": 2, "gone": 3, "failing": 4})
		b := seeded(src)
		system, _ := start(t, b)
		var published []bucket.Refreshed
		sub := system.EventStream.Subscribe(func(event any) {
			if refreshed, ok := event.(bucket.Refreshed); ok {
				published = append(published, refreshed)
			}
		})
		defer system.EventStream.Unsubscribe(sub)

		b2 := b.Stats().LastRefresh
		assert.Zero(t, b2.Generation)
		src.set("other", 20)
		src.fail("gone", fmt.Errorf("really: %w", loader.ErrNotFound))
		src.fail("failing", errDown)
		open := src.gate("same")
		go func() {
			time.Sleep(3 * time.Second)
			open()
		}()
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		failures := report.Failures
		report.Failures, report.Slowest = nil, nil
		want := bucket.Report{Generation: 2, Loaded: 2, Unchanged: 1, Changed: 1, Removed: 1, Failed: 1, Took: 3 * time.Second}
		assert.Equal(t, want, report)
		require.Len(t, failures, 1)
		require.ErrorIs(t, failures[0], errDown)
		assert.Equal(t, "widgets", failures[0].Bucket)

		require.Len(t, published, 1)
		assert.Equal(t, "widgets", published[0].Bucket)
		assert.Equal(t, uint64(2), published[0].Report.Generation)
		assert.Equal(t, 1, b.Stats().LastRefresh.Changed)
		assert.EqualValues(t, 1, b.Stats().Refreshes)
	})
}

func TestRefresh_of_an_empty_bucket_ends_at_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, bucket.Report{Generation: 2}, report)
	})
}

func TestRefresh_shows_only_the_first_few_failures_and_logs_one_line(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(1000))
		logger, log := captured()
		b := seeded(src, logger)
		start(t, b)
		for key := range seedOf(1000) {
			src.fail(key, errDown)
		}
		before := len(log.AllEntries())
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1000, report.Failed)
		assert.Len(t, report.Failures, 10)
		assert.Equal(t, before+1, len(log.AllEntries()))
		assert.Equal(t, 1000, b.Len())
	})
}

func TestRefresh_bounds_its_workers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(100))
		var opens []func()
		for key := range seedOf(100) {
			opens = append(opens, src.gate(key))
		}
		b := seeded(src, bucket.RefreshConcurrency(5))
		start(t, b)
		done := make(chan struct{})
		go func() {
			_, _ = b.Refresh(t.Context())
			close(done)
		}()
		synctest.Wait()
		assert.EqualValues(t, 5, src.loads.Load())
		for _, open := range opens {
			open()
		}
		<-done
		assert.EqualValues(t, 100, src.loads.Load())
	})
}

func TestRefresh_leaves_slots_to_callers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(20))
		var opens []func()
		for key := range seedOf(20) {
			opens = append(opens, src.gate(key))
		}
		src.values["late"] = 7
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return seedOf(20), nil },
		}, quiet(), bucket.RefreshConcurrency(2), bucket.MaxConcurrentLoads(3))
		start(t, b)
		go func() { _, _ = b.Refresh(context.Background()) }()
		synctest.Wait()
		assert.EqualValues(t, 2, src.loads.Load())
		value, err := b.Fetch(t.Context(), "late")
		require.NoError(t, err)
		assert.Equal(t, 7, value)
		for _, open := range opens {
			open()
		}
		synctest.Wait()
	})
}

func TestRefresh_keeps_to_its_rate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(101))
		b := seeded(src, bucket.RefreshRate(10))
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 101, report.Loaded)
		assert.InDelta(t, 10*time.Second, report.Took, float64(time.Millisecond))
	})
}

func TestRefresh_is_shared_by_all_who_ask_while_another_runs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := seeded(src)
		system, _ := start(t, b)
		go func() { _, _ = b.Refresh(context.Background()) }()
		synctest.Wait()
		reports := make(chan bucket.Report, 10)
		for range 10 {
			go func() {
				report, err := b.Refresh(t.Context())
				assert.NoError(t, err)
				reports <- report
			}()
		}
		future := system.Root.RequestFuture(b.PID(), bucket.Refresh{}, time.Hour)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := b.Refresh(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		open()
		first := <-reports
		for range 9 {
			assert.Equal(t, first, <-reports)
		}
		reply, err := future.Result()
		require.NoError(t, err)
		assert.Equal(t, bucket.Refreshed{Bucket: "widgets", Report: first}, reply)
		assert.EqualValues(t, 2, src.loads.Load())
	})
}

// What it brings may be older than the question.
func TestRefresh_loads_again_what_is_being_loaded_when_it_comes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src)
		start(t, b)
		open := src.gate("a")
		go func() { _, _ = b.RefreshKey(context.Background(), "a") }()
		synctest.Wait()
		done := make(chan bucket.Report, 1)
		go func() {
			report, _ := b.Refresh(context.Background())
			done <- report
		}()
		synctest.Wait()
		open()
		assert.Equal(t, 1, (<-done).Loaded)
		assert.EqualValues(t, 2, src.loads.Load())
		assert.False(t, src.overlap.Load(), "one after the other")
	})
}

func TestRefresh_ends_although_loads_hang(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(1000))
		var opens []func()
		for i := range 50 {
			opens = append(opens, src.gate(fmt.Sprint("key", i)))
		}
		b := seeded(src, bucket.LoadTimeout(time.Second), bucket.RefreshEvery(time.Minute), bucket.Jitter(0))
		_, sup := start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 50, report.Failed)
		assert.Equal(t, 950, report.Loaded)
		assert.LessOrEqual(t, report.Took, 50*time.Second)
		loads := src.loads.Load()
		time.Sleep(61 * time.Second)
		assert.Greater(t, src.loads.Load(), loads, "and the next one starts on time")
		require.NoError(t, sup.Stop(t.Context()))
		for _, open := range opens {
			open()
		}
	})
}
