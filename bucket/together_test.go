package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
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

// sizes are those of the batches so far, the smallest first.
func (s *scripted) sizes() []int {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sizes []int
	for _, batch := range s.batches {
		sizes = append(sizes, len(batch))
	}
	slices.Sort(sizes)
	return sizes
}

// ones gives each key the value 1.
func ones(keys []string) (map[string]int, error) {
	values := map[string]int{}
	for _, key := range keys {
		values[key] = 1
	}
	return values, nil
}

func names(n int) (keys []string) {
	for i := range n {
		keys = append(keys, fmt.Sprint("key", i))
	}
	return keys
}

func TestFetchMany_loads_its_misses_in_batches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: ones}
		b := bucket.New("widgets", s.inBatches(map[string]int{"key3": 3}), quiet(), bucket.BatchSize(10), bucket.MaxConcurrentLoads(1))
		start(t, b)
		got, err := b.FetchMany(t.Context(), append(names(25), "key1", "key3"))
		require.NoError(t, err)
		assert.Len(t, got, 25)
		assert.Equal(t, 3, got["key3"])
		assert.Equal(t, []int{4, 10, 10}, s.sizes())
		assert.Equal(t, 25, b.Len())
		assert.EqualValues(t, 3, b.Stats().Loads)
		entry, _ := b.Entry("key7")
		assert.Equal(t, bucket.SourceLoad, entry.Source)
	})
}

func TestFetchMany_has_a_rule_for_every_answer_to_a_batch(t *testing.T) {
	tests := []struct {
		name   string
		script func([]string) (map[string]int, error)
		want   map[string]int
		cause  error // of key1, and of key0 if it is not wanted
	}{
		{"what is absent was not found", func([]string) (map[string]int, error) { return map[string]int{"key0": 1}, nil }, map[string]int{"key0": 1}, loader.ErrNotFound},
		{"no map at all", func([]string) (map[string]int, error) { return nil, nil }, nil, loader.ErrNotFound},
		{"what comes with an error counts", func([]string) (map[string]int, error) { return map[string]int{"key0": 1}, errPartial }, map[string]int{"key0": 1}, errPartial},
		{"unchanged what was never there", func([]string) (map[string]int, error) { return nil, loader.ErrUnchanged }, nil, loader.ErrUnchanged},
		{"keys that nobody asked for", func([]string) (map[string]int, error) { return map[string]int{"key0": 1, "other": 2}, nil }, map[string]int{"key0": 1}, loader.ErrNotFound},
		{"Goexit", func([]string) (map[string]int, error) { runtime.Goexit(); return nil, nil }, nil, loader.ErrGoexit},
		{"a hang", func([]string) (map[string]int, error) { time.Sleep(time.Minute); return nil, nil }, nil, context.DeadlineExceeded},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &scripted{script: test.script}
				b := bucket.New("widgets", s.inBatches(nil), quiet(), bucket.MaxConcurrentLoads(1))
				start(t, b)
				got, err := b.FetchMany(t.Context(), names(2))
				assert.Len(t, got, len(test.want))
				for key, value := range test.want {
					assert.Equal(t, value, got[key])
					assert.True(t, has(b, key))
				}
				require.ErrorIs(t, err, test.cause)
				assert.Contains(t, err.Error(), `"key1"`)
				assert.Equal(t, len(test.want) == 0, strings.Contains(err.Error(), `"key0"`))
				assert.Equal(t, len(test.want), b.Len(), "nothing else is saved")
				s.mu.Lock()
				s.script = ones
				s.mu.Unlock()
				_, err = b.FetchMany(t.Context(), names(3))
				require.NoError(t, err, "the slot is free again")
				time.Sleep(2 * time.Minute)
				assert.Zero(t, b.Stats().Abandoned)
				assert.Zero(t, b.Stats().Running)
			})
		})
	}
}

func has(b *bucket.Bucket[string, int], key string) bool {
	_, ok := b.DirectGet(key)
	return ok
}

func TestFetchMany_survives_a_batch_that_panics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: func([]string) (map[string]int, error) { panic("no driver") }}
		b := bucket.New("widgets", s.inBatches(nil), quiet())
		start(t, b)
		_, err := b.FetchMany(t.Context(), names(2))
		var panicError *loader.PanicError
		require.ErrorAs(t, err, &panicError)
		assert.Equal(t, "no driver", panicError.Value)
	})
}

func TestFetchMany_batch_that_notices_its_end_names_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		funcs := (&scripted{}).funcs(seedOf(1))
		funcs.LoadBatchFunc = func(ctx context.Context, _ []string) (map[string]int, error) {
			<-ctx.Done()
			return nil, errors.New("driver: bad connection")
		}
		b := bucket.New("widgets", funcs, quiet())
		start(t, b)
		_, err := b.FetchMany(t.Context(), []string{"a"})
		require.ErrorIs(t, err, context.DeadlineExceeded)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		require.Len(t, report.Failures, 1)
		require.ErrorIs(t, report.Failures[0], context.DeadlineExceeded)
		assert.EqualValues(t, 2, b.Stats().LoadTimeouts)
	})
}

func TestFetchMany_hung_batch_is_one_abandoned_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := make(chan struct{})
		s := &scripted{script: func([]string) (map[string]int, error) { <-hang; return nil, nil }}
		b := bucket.New("widgets", s.inBatches(nil), quiet(), bucket.LoadTimeout(time.Second))
		start(t, b)
		go func() { _, _ = b.FetchMany(t.Context(), names(5)) }()
		synctest.Wait()
		assert.Equal(t, 1, b.Stats().Running)
		time.Sleep(2 * time.Second)
		assert.Equal(t, 1, b.Stats().Abandoned)
		assert.Zero(t, b.Stats().Running)
		close(hang)
		synctest.Wait()
		assert.Zero(t, b.Stats().Abandoned)
	})
}

func TestFetchMany_that_comes_before_the_bucket_is_ready_travels_together(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, ready := &scripted{script: ones}, make(chan struct{})
		funcs := s.inBatches(nil)
		funcs.InitFunc = func(context.Context) (map[string]int, error) { <-ready; return nil, nil }
		b := bucket.New("widgets", funcs, quiet())
		system := newSystem()
		go startIn(t, system, b)
		synctest.Wait()
		fetched := make(chan error, 1)
		go func() { _, err := b.FetchMany(t.Context(), names(20)); fetched <- err }()
		synctest.Wait()
		close(ready)
		require.NoError(t, <-fetched)
		assert.Equal(t, []int{20}, s.sizes())
	})
}

func TestFetchMany_waits_with_as_many_callers_as_are_let_in(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: ones}
		b := bucket.New("widgets", s.inBatches(nil), quiet(), bucket.BatchSize(10), bucket.MaxConcurrentLoads(2), bucket.MaxWaiting(0))
		start(t, b)
		got, err := b.FetchMany(t.Context(), names(20))
		require.NoError(t, err, "two batches of ten have slots")
		assert.Len(t, got, 20)

		for _, key := range names(25) {
			require.NoError(t, b.Delete(t.Context(), key))
		}
		got, err = b.FetchMany(t.Context(), names(25))
		require.ErrorIs(t, err, bucket.ErrBusy)
		assert.Len(t, got, 20)
		assert.EqualValues(t, 5, b.Stats().Busy)
	})
}

func TestFetchMany_waits_in_company_and_for_nothing_else(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(3))
		open := src.gate("key0")
		b := bucket.New("widgets", src, quiet(), bucket.MaxWaiting(1))
		start(t, b)
		var wait sync.WaitGroup
		wait.Go(func() { _, err := b.Fetch(t.Context(), "key0"); assert.NoError(t, err) })
		synctest.Wait()
		wait.Go(func() {
			_, err := b.FetchMany(t.Context(), []string{"key1", "key2", "key0"})
			assert.NoError(t, err, "the first two have slots")
		})
		synctest.Wait()
		_, err := b.Fetch(t.Context(), "key0")
		require.ErrorIs(t, err, bucket.ErrBusy)
		open()
		wait.Wait()
	})
}

func TestFetchMany_batch_brings_nothing_that_was_overtaken(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		open := make(chan struct{})
		s := &scripted{script: func(keys []string) (map[string]int, error) { <-open; return ones(keys) }}
		b := bucket.New("widgets", s.inBatches(nil), quiet())
		start(t, b)
		var got map[string]int
		var wait sync.WaitGroup
		wait.Go(func() {
			var err error
			got, err = b.FetchMany(t.Context(), names(4))
			assert.NoError(t, err)
		})
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "key0", 7))
		require.NoError(t, b.Delete(t.Context(), "key1"))
		joined := make(chan int, 1)
		go func() { value, _ := b.Fetch(t.Context(), "key2"); joined <- value }()
		synctest.Wait()
		close(open)
		wait.Wait()
		assert.Equal(t, map[string]int{"key0": 7, "key1": 1, "key2": 1, "key3": 1}, got)
		assert.Equal(t, 1, <-joined, "one load of a key at a time")
		assert.Equal(t, []int{4}, s.sizes())
		value, _ := b.DirectGet("key0")
		assert.Equal(t, 7, value)
		assert.False(t, has(b, "key1"), "a delete is younger than the load")
	})
}

func TestFetchMany_takes_what_a_refresh_is_loading(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		open := make(chan struct{})
		s := &scripted{script: func(keys []string) (map[string]int, error) { <-open; return ones(keys) }}
		b := bucket.New("widgets", s.inBatches(seedOf(4)), quiet())
		start(t, b)
		refreshed := make(chan error, 1)
		go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
		synctest.Wait()
		for _, key := range names(2) {
			require.NoError(t, b.Delete(t.Context(), key))
		}
		fetched := make(chan map[string]int, 1)
		go func() { got, _ := b.FetchMany(t.Context(), []string{"key0", "new", "key1"}); fetched <- got }()
		synctest.Wait()
		assert.Equal(t, []int{1, 4}, s.sizes(), "only what the refresh does not load")
		close(open)
		require.NoError(t, <-refreshed)
		assert.Equal(t, map[string]int{"key0": 1, "key1": 1, "new": 1}, <-fetched)
		assert.Equal(t, 5, b.Len())
	})
}

func TestFetchMany_batch_leaves_out_what_has_a_reason_of_its_own(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s, open := &scripted{script: ones}, make(chan struct{})
		funcs := s.inBatches(map[string]int{"held": 0})
		funcs.LoadFunc = func(_ context.Context, key string) (int, error) {
			<-open
			return 100, nil
		}
		b := bucket.New("widgets", funcs, quiet(), bucket.MaxConcurrentLoads(1))
		start(t, b)
		ask := func(f func()) *sync.WaitGroup {
			var wait sync.WaitGroup
			wait.Go(f)
			synctest.Wait()
			return &wait
		}
		slot := ask(func() { _, _ = b.Fetch(t.Context(), "slot") })
		ctx, leave := context.WithCancel(t.Context())
		var got map[string]int
		waits := []*sync.WaitGroup{
			ask(func() { got, _ = b.FetchMany(t.Context(), []string{"a", "b", "c", "d"}) }),
			ask(func() { _, _ = b.RefreshKey(t.Context(), "c") }),
			ask(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) }),
			ask(func() { _, err := b.FetchMany(ctx, []string{"e", "f"}); assert.Error(t, err) }),
			ask(func() { _, err := b.FetchMany(t.Context(), []string{"f", "g"}); assert.NoError(t, err) }),
		}
		leave()
		synctest.Wait()
		close(open)
		slot.Wait()
		for _, wait := range waits {
			wait.Wait()
		}
		assert.Equal(t, map[string]int{"a": 1, "b": 1, "c": 100, "d": 1}, got)
		assert.Equal(t, [][]string{{"a", "b"}, {"d"}, {"f", "g"}, {"held"}}, s.batches,
			"a reload is for Reload or Load; a refresh lets callers go first; what nobody waits for is left out")
		synctest.Wait()
		assert.Zero(t, b.Stats().Running)
		_, err := b.FetchMany(t.Context(), names(3))
		require.NoError(t, err)
	})
}

func TestFetchMany_is_answered_whatever_crashes_the_bucket(t *testing.T) {
	for _, note := range []string{"*bucket.askMany[", "*bucket.loaded[", "*bucket.left["} {
		t.Run(note, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &scripted{script: ones}
				first := nthOf(note, 1)
				b := bucket.New("widgets", s.inBatches(nil), quiet(), bucket.MaxConcurrentLoads(1))
				start(t, saboteur{b, first})
				got, err := b.FetchMany(t.Context(), names(5))
				if err != nil {
					require.ErrorIs(t, err, bucket.ErrCrashed)
				}
				if note == "*bucket.loaded[" {
					assert.Len(t, got, 4, "one note, one answer")
				}
				got, err = b.FetchMany(t.Context(), names(8))
				require.NoError(t, err)
				assert.Len(t, got, 8)
				synctest.Wait()
				assert.Zero(t, b.Stats().Running)
			})
		})
	}
}

func TestFetchMany_of_a_bucket_that_does_not_run_says_so_once(t *testing.T) {
	b := bucket.New("widgets", (&scripted{}).inBatches(nil), quiet())
	_, err := b.FetchMany(t.Context(), names(3))
	require.ErrorIs(t, err, bucket.ErrNotRunning)
	assert.Equal(t, 1, strings.Count(err.Error(), "widgets"))
}

func TestBatchWindow_has_misses_travel_together(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: ones}
		b := bucket.New("widgets", s.inBatches(nil), quiet(), bucket.BatchWindow(10*time.Millisecond), bucket.BatchSize(6))
		start(t, b)
		began := time.Now()
		var slowest atomic.Int64
		fetch := func(keys ...string) *sync.WaitGroup {
			var wait sync.WaitGroup
			for _, key := range keys {
				wait.Go(func() {
					value, err := b.Fetch(t.Context(), key)
					assert.NoError(t, err)
					assert.Equal(t, 1, value)
					slowest.Store(int64(time.Since(began)))
				})
			}
			synctest.Wait()
			return &wait
		}
		first := fetch(names(4)...)
		time.Sleep(9 * time.Millisecond)
		second := fetch("key4", "key0")
		assert.Empty(t, s.sizes())
		first.Wait()
		second.Wait()
		assert.Equal(t, []int{5}, s.sizes())
		assert.Equal(t, 10*time.Millisecond, time.Duration(slowest.Load()))

		began = time.Now()
		third := fetch("a", "b", "c", "d", "e", "f", "g")
		assert.Equal(t, []int{5, 6}, s.sizes())
		third.Wait()
		assert.Equal(t, []int{1, 5, 6}, s.sizes(), "a full batch does not wait; the next one does")
		assert.Equal(t, 10*time.Millisecond, time.Duration(slowest.Load()))
	})
}

func TestBatchWindow_sends_those_who_wait_along_with_a_FetchMany(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &scripted{script: ones}
		b := bucket.New("widgets", s.inBatches(nil), quiet(), bucket.BatchWindow(time.Hour))
		start(t, b)
		alone := make(chan error, 1)
		go func() { _, err := b.Fetch(t.Context(), "alone"); alone <- err }()
		synctest.Wait()
		_, err := b.FetchMany(t.Context(), names(3))
		require.NoError(t, err)
		require.NoError(t, <-alone)
		assert.Equal(t, []int{4}, s.sizes())
	})
}

func TestBatchWindow_lets_go_of_those_who_wait(t *testing.T) {
	setup := func(t *testing.T, opts ...bucket.Option) (*scripted, *bucket.Bucket[string, int], func(context.Context, string) chan error) {
		s := &scripted{script: ones}
		b := bucket.New("widgets", s.inBatches(nil), append(opts, quiet(), bucket.BatchWindow(time.Second))...)
		return s, b, func(ctx context.Context, key string) chan error {
			done := make(chan error, 1)
			go func() { _, err := b.Fetch(ctx, key); done <- err }()
			synctest.Wait()
			return done
		}
	}
	t.Run("a caller leaves", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			s, b, fetch := setup(t)
			start(t, b)
			ctx, leave := context.WithCancel(t.Context())
			gone, stays := fetch(ctx, "gone"), fetch(t.Context(), "stays")
			leave()
			require.ErrorIs(t, <-gone, context.Canceled)
			require.NoError(t, <-stays)
			assert.Equal(t, [][]string{{"stays"}}, s.batches)
		})
	})
	t.Run("a value is set", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			s, b, fetch := setup(t)
			start(t, b)
			waits := fetch(t.Context(), "a")
			require.NoError(t, b.DirectSet(t.Context(), "a", 5))
			require.NoError(t, <-waits)
			time.Sleep(time.Minute)
			assert.Empty(t, s.batches)
		})
	})
	t.Run("the bucket stops", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			_, b, fetch := setup(t)
			_, sup := start(t, b)
			waits := fetch(t.Context(), "a")
			require.NoError(t, sup.Stop(t.Context()))
			require.ErrorIs(t, <-waits, bucket.ErrStopped)
		})
	})
	t.Run("the bucket crashes", func(t *testing.T) {
		for _, note := range []string{"bucket.windowOver", "bucket.Inspect"} {
			inBubble(t, func(t *testing.T) {
				s, b, fetch := setup(t)
				system, _ := start(t, saboteur{b, nthOf(note, 1)})
				waits := fetch(t.Context(), "a")
				system.Root.Send(b.PID(), bucket.Inspect{})
				require.NoError(t, <-waits)
				assert.Equal(t, []int{1}, s.sizes())
			})
		}
	})
	t.Run("a reload comes", func(t *testing.T) {
		inBubble(t, func(t *testing.T) {
			s, b, fetch := setup(t)
			start(t, b)
			waits, began := fetch(t.Context(), "a"), time.Now()
			_, err := b.RefreshKey(t.Context(), "a")
			require.ErrorContains(t, err, "one by one", "a reload is a load of its own")
			assert.Zero(t, time.Since(began))
			require.Error(t, <-waits)
			assert.Empty(t, s.batches)
		})
	})
}

func TestBatchWindow_is_not_for_what_cannot_travel(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for name, funcs := range map[string]loader.Funcs[string, int]{
			"no BatchLoader": {LoadFunc: func(context.Context, string) (int, error) { return 1, nil }},
			"related keys": {
				LoadRelatedFunc: func(context.Context, string) (int, map[string]int, error) { return 1, nil, nil },
				LoadBatchFunc:   func(context.Context, []string) (map[string]int, error) { return nil, errors.New("batch") },
			},
		} {
			b := bucket.New(strings.ReplaceAll(name, " ", "-"), funcs, quiet(), bucket.BatchWindow(time.Hour))
			start(t, b)
			began := time.Now()
			_, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err, name)
			assert.Zero(t, time.Since(began), name)
		}
	})
}

func TestBatchWindow_does_not_count_those_who_have_left(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var calls atomic.Int64
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 1, nil },
			LoadBatchFunc: func(_ context.Context, keys []string) (map[string]int, error) {
				calls.Add(1)
				return nil, nil
			},
		}, quiet(), bucket.RefreshEvery(0), bucket.BatchWindow(time.Minute), bucket.BatchSize(4), bucket.MaxConcurrentLoads(1), bucket.MaxWaiting(1))
		start(t, b)
		// three come and go
		var wg sync.WaitGroup
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			wg.Go(func() { _, _ = b.Fetch(ctx, fmt.Sprint("gone", i)) })
		}
		wg.Wait()
		synctest.Wait()
		// two keys: there is room for a batch of four
		for i := range 4 {
			wg.Go(func() {
				_, err := b.Fetch(t.Context(), fmt.Sprint("here", i))
				assert.NotErrorIs(t, err, bucket.ErrBusy)
			})
			synctest.Wait()
		}
		begun := time.Now()
		wg.Wait()
		assert.Zero(t, time.Since(begun).Truncate(time.Minute))
		assert.EqualValues(t, 1, calls.Load(), "batches for 4 misses that fit into one")
	})
}

func TestBatchWindow_ends_for_those_whom_a_FetchMany_asks_for(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 1, nil },
			LoadBatchFunc: func(_ context.Context, keys []string) (map[string]int, error) {
				m := map[string]int{}
				for _, k := range keys {
					m[k] = 1
				}
				return m, nil
			},
		}, quiet(), bucket.RefreshEvery(0), bucket.BatchWindow(time.Minute))
		start(t, b)
		fetch(t.Context(), b, "a")
		fetch(t.Context(), b, "b")
		synctest.Wait()
		begun := time.Now()
		_, err := b.FetchMany(t.Context(), []string{"a", "b"})
		require.NoError(t, err)
		assert.Zero(t, time.Since(begun), "a FetchMany does not wait for a window")
	})
}
