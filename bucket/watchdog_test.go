package bucket_test

import (
	"context"
	"fmt"
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

// hanging is a source whose loads hang as long as it is stuck, whatever their contexts say.
type hanging struct {
	stuck    atomic.Bool
	release  chan struct{}
	calls    atomic.Int64
	duration time.Duration
}

func newHanging() *hanging {
	h := &hanging{release: make(chan struct{})}
	h.stuck.Store(true)
	return h
}

func (h *hanging) wait() {
	h.calls.Add(1)
	if h.stuck.Load() {
		<-h.release
	}
	time.Sleep(h.duration)
}

// ways are the ways to load of which a full refresh has one.
func (h *hanging) ways(seed map[string]int) map[string]loader.Funcs[string, int] {
	all := map[string]int{}
	for key := range seed {
		all[key] = 1000
	}
	base := loader.Funcs[string, int]{
		InitFunc: func(context.Context) (map[string]int, error) { return seed, nil },
		LoadFunc: func(context.Context, string) (int, error) { h.wait(); return 1000, nil },
	}
	batches, inOneGo := base, base
	batches.LoadBatchFunc = func(context.Context, []string) (map[string]int, error) { h.wait(); return all, nil }
	inOneGo.LoadAllFunc = func(context.Context) (map[string]int, error) { h.wait(); return all, nil }
	return map[string]loader.Funcs[string, int]{"one by one": base, "in batches": batches, "in one go": inOneGo}
}

func TestRefresh_that_stands_still_begins_anew(t *testing.T) {
	for _, way := range []string{"one by one", "in batches", "in one go"} {
		t.Run(way, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newHanging()
				logger, hook := captured()
				b := bucket.New("widgets", h.ways(seedOf(20))[way], logger, bucket.RefreshEvery(0),
					bucket.LoadTimeout(0), bucket.StallTimeout(time.Minute), bucket.RefreshConcurrency(2), bucket.MaxConcurrentLoads(2))
				system, sup := start(t, b)
				stalled := make(chan bucket.RefreshStalled, 10)
				system.EventStream.Subscribe(func(event any) {
					if event, ok := event.(bucket.RefreshStalled); ok {
						stalled <- event
					}
				})
				began := time.Now()
				refreshed := make(chan bucket.Report, 1)
				go func() {
					report, err := b.Refresh(t.Context())
					assert.NoError(t, err)
					refreshed <- report
				}()
				event := <-stalled
				assert.Equal(t, bucket.RefreshStalled{Bucket: "widgets", Stood: time.Minute, Total: 20}, event)
				assert.Equal(t, 75*time.Second, time.Since(began), "a quarter more at most")
				synctest.Wait()
				health := b.Health()
				assert.Equal(t, bucket.Degraded, health.State)
				assert.Contains(t, fmt.Sprint(health.Reasons), "stood still for 1m0s")
				assert.EqualValues(t, 1, b.Stats().Stalls)
				lost := b.Stats().Abandoned
				assert.Positive(t, lost)

				h.stuck.Store(false) // too late for the second, whose loads have begun
				report := <-refreshed
				assert.Equal(t, 20, report.Changed)
				assert.Equal(t, 150*time.Second, time.Since(began))
				assert.EqualValues(t, 2, b.Stats().Stalls)
				assert.Equal(t, 2*lost, b.Stats().Abandoned)
				assert.NotContains(t, fmt.Sprint(b.Health().Reasons), "stood still")
				assert.Zero(t, b.Stats().Running)
				lines := 0
				for _, entry := range hook.AllEntries() {
					if entry.Message == "the refresh stood still; it was given up, and begins anew" {
						lines++
					}
				}
				assert.Equal(t, 2, lines)

				close(h.release)
				synctest.Wait()
				assert.Zero(t, b.Stats().Abandoned)
				assert.Equal(t, bucket.Ready, b.Health().State)
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 20, report.Unchanged)
				require.NoError(t, sup.Stop(t.Context()))
			})
		})
	}
}

func TestRefresh_that_gets_on_is_not_given_up(t *testing.T) {
	tests := map[string]struct {
		takes time.Duration
		opts  []bucket.Option
	}{
		"slowly":                           {50 * time.Second, []bucket.Option{bucket.LoadTimeout(0)}},
		"with loads that take their time":  {5 * time.Minute, []bucket.Option{bucket.LoadTimeout(6 * time.Minute)}},
		"at a low rate":                    {0, []bucket.Option{bucket.RefreshRate(0.004)}},
		"of which nobody wants to know it": {time.Hour, []bucket.Option{bucket.LoadTimeout(0), bucket.StallTimeout(0)}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				h := newHanging()
				h.stuck.Store(false)
				h.duration = test.takes
				opts := []bucket.Option{quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1), bucket.StallTimeout(time.Minute)}
				b := bucket.New("widgets", h.ways(seedOf(10))["one by one"], append(opts, test.opts...)...)
				start(t, b)
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				assert.Equal(t, 10, report.Changed)
				assert.EqualValues(t, 10, h.calls.Load())
				assert.Zero(t, b.Stats().Stalls)
			})
		})
	}
}

func TestRefresh_that_stands_still_lets_go_of_those_who_wait_for_its_loads(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHanging()
		b := bucket.New("widgets", h.ways(seedOf(1))["one by one"], quiet(), bucket.RefreshEvery(0),
			bucket.LoadTimeout(0), bucket.StallTimeout(time.Minute))
		start(t, b)
		var wait sync.WaitGroup
		wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
		synctest.Wait()
		wait.Go(func() {
			value, err := b.RefreshKey(t.Context(), "key0")
			assert.NoError(t, err)
			assert.Equal(t, 1000, value)
		})
		wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
		synctest.Wait()
		assert.EqualValues(t, 1, h.calls.Load(), "one load of a key at a time")
		h.stuck.Store(false)
		wait.Wait()
		close(h.release)
		synctest.Wait()
		assert.EqualValues(t, 1, b.Stats().Stalls)
		assert.EqualValues(t, 1, b.Stats().Refreshes, "the one that follows is for both who asked")
	})
}

func TestRefresh_that_waits_for_a_slot_for_ever_is_noticed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHanging()
		b := bucket.New("widgets", h.ways(seedOf(3))["one by one"], quiet(), bucket.RefreshEvery(0),
			bucket.LoadTimeout(0), bucket.StallTimeout(time.Minute), bucket.MaxConcurrentLoads(1))
		start(t, b)
		var wait sync.WaitGroup
		wait.Go(func() { _, _ = b.Fetch(t.Context(), "new") })
		synctest.Wait()
		wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
		time.Sleep(4 * time.Minute)
		assert.EqualValues(t, 3, b.Stats().Stalls)
		assert.Equal(t, bucket.Degraded, b.Health().State)
		h.stuck.Store(false)
		close(h.release)
		wait.Wait()
		assert.EqualValues(t, 1, b.Stats().Refreshes)
		synctest.Wait()
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestRefresh_that_stands_still_is_noticed_although_the_bucket_crashes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHanging()
		b := bucket.New("widgets", h.ways(seedOf(3))["one by one"], quiet(), bucket.RefreshEvery(0),
			bucket.LoadTimeout(0), bucket.StallTimeout(time.Minute))
		for nth := 1; nth <= 4; nth++ {
			_, sup := start(t, saboteur{b, nthOf("*bucket.patrol[", nth)})
			h.stuck.Store(true)
			var wait sync.WaitGroup
			wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
			synctest.Wait()
			h.stuck.Store(false)
			wait.Wait()
			assert.EqualValues(t, 1, b.Stats().Restarts)
			require.NoError(t, sup.Stop(t.Context()))
		}
		close(h.release)
	})
}

func TestRefresh_that_stands_still_does_not_outlive_the_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHanging()
		b := bucket.New("widgets", h.ways(seedOf(3))["one by one"], quiet(), bucket.RefreshEvery(0),
			bucket.LoadTimeout(0), bucket.StallTimeout(time.Minute))
		_, sup := start(t, b)
		refreshed := make(chan error, 1)
		go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
		time.Sleep(30 * time.Second)
		require.NoError(t, sup.Stop(t.Context()))
		require.ErrorIs(t, <-refreshed, bucket.ErrStopped)
		time.Sleep(time.Hour)
		assert.Zero(t, b.Stats().Stalls)
		close(h.release)
	})
}

func TestHealth_names_what_fails_and_how_old_it_is(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(3))
		b := seeded(src, bucket.RefreshEvery(0))
		start(t, b)
		seededAt := time.Now()
		time.Sleep(time.Hour)
		src.fail("key1", errDown)
		for range 2 {
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
		}
		now := time.Now()
		health, stats := b.Health(), b.Stats()
		require.Len(t, health.Failing, 1)
		failing := health.Failing[0]
		assert.Equal(t, "key1", failing.Key)
		assert.Equal(t, 2, failing.Failures)
		require.ErrorIs(t, failing.Err, errDown)
		assert.True(t, seededAt.Equal(failing.LoadedAt))
		assert.True(t, seededAt.Equal(health.Oldest))
		assert.True(t, seededAt.Equal(stats.Oldest))
		assert.True(t, now.Equal(health.CompletedAt))
		assert.True(t, now.Equal(stats.CompletedAt))
		assert.Equal(t, 1, stats.Failing)
		assert.Equal(t, []string{
			`1 of 3 keys keep an old value because their last refresh failed; for instance, 2 in a row: bucket "widgets": load of key "key1": source is down`,
		}, health.Reasons)

		time.Sleep(time.Hour)
		src.set("key1", 1)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		health = b.Health()
		assert.Empty(t, health.Failing)
		assert.True(t, time.Now().Equal(health.Oldest))
		assert.Equal(t, bucket.Ready, health.State)
	})
}

func TestStats_Oldest_is_that_of_all_workers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(40))
		b := seeded(src, bucket.RefreshEvery(0), bucket.RefreshConcurrency(4))
		start(t, b)
		seededAt := time.Now()
		for key := range seedOf(40) { // each of them is the oldest in turn
			time.Sleep(time.Hour)
			src.fail(key, errDown)
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
			entry, _ := b.Entry(key)
			require.Truef(t, entry.LoadedAt.Equal(b.Stats().Oldest), "%v, and not %v", b.Stats().Oldest.Sub(seededAt), entry.LoadedAt.Sub(seededAt))
			src.set(key, 1)
			_, err = b.Refresh(t.Context())
			require.NoError(t, err)
		}
	})
}

func TestStats_count_the_time_of_refreshes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHanging()
		h.stuck.Store(false)
		h.duration = time.Second
		b := bucket.New("widgets", h.ways(seedOf(4))["one by one"], quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1))
		start(t, b)
		assert.True(t, time.Now().Equal(b.Stats().Oldest))
		for range 3 {
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
		}
		assert.Equal(t, 12*time.Second, b.Stats().RefreshTime)
		assert.Equal(t, 12*time.Second, b.Stats().LoadTime)
	})
}

func TestProgress_counts_each_slow_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		h := newHanging()
		h.stuck.Store(false)
		h.duration = time.Second
		b := bucket.New("widgets", h.ways(seedOf(100))["one by one"], quiet(), bucket.RefreshConcurrency(1))
		start(t, b)
		var reports []int
		_, err := b.Refresh(t.Context(), bucket.Progress(func(done, total int) {
			assert.Equal(t, 100, total)
			reports = append(reports, done)
		}))
		require.NoError(t, err)
		require.GreaterOrEqual(t, len(reports), 98)
		for i, done := range reports {
			assert.InDelta(t, i+1, done, 1)
		}
	})
}

func TestRefresh_is_not_held_up_by_a_caller_whose_load_hangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		end := make(chan struct{})
		var hang atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(_ context.Context, k string) (int, error) {
				if k == "a" && hang.CompareAndSwap(true, false) {
					<-end
				}
				return 2, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
		}, quiet(), bucket.RefreshEvery(time.Minute), bucket.LoadTimeout(0))
		start(t, b)
		hang.Store(true)
		go func() { _, _ = b.RefreshKey(context.Background(), "a") }()
		time.Sleep(24 * time.Hour)
		got, _ := b.DirectGet("b")
		assert.Equal(t, 2, got, "one hung RefreshKey(a) stops all refreshing for ever")
		close(end)
	})
}
