package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
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

func TestFetch_loads_once_for_ten_thousand_callers(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet())
		start(t, b)

		const callers = 10_000
		var wrong atomic.Int64
		var all sync.WaitGroup
		for i := range callers {
			all.Go(func() {
				var value int
				var err error
				switch i % 4 {
				case 0:
					value, err = b.Fetch(t.Context(), "a")
				case 1:
					value, _, err = b.FetchNoSave(t.Context(), "a")
				case 2:
					value, err = b.RefreshKey(t.Context(), "a")
				case 3:
					var many map[string]int
					many, err = b.FetchMany(t.Context(), []string{"a", "a"})
					value = many["a"]
				}
				if value != 1 || err != nil {
					wrong.Add(1)
				}
			})
		}
		synctest.Wait()
		open()
		all.Wait()
		assert.Zero(t, wrong.Load())
		assert.EqualValues(t, 1, src.loads.Load())
		assert.EqualValues(t, callers-1, b.Stats().Coalesced)
	})
}

func TestBucket_never_loads_a_key_twice_at_a_time(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
		slow := loader.Func(func(ctx context.Context, key string) (int, error) {
			value, err := src.Load(ctx, key)
			return value, err
		})
		b := bucket.New("widgets", loader.Func(func(ctx context.Context, key string) (int, error) {
			src.mu.Lock()
			src.pending[key]++
			if src.pending[key] > 1 {
				src.overlap.Store(true)
			}
			src.mu.Unlock()
			time.Sleep(time.Duration(1+rand.IntN(20)) * time.Millisecond)
			src.mu.Lock()
			src.pending[key]--
			src.mu.Unlock()
			return slow.Load(ctx, key)
		}), quiet(), bucket.RefreshEvery(50*time.Millisecond))
		system, _ := start(t, b)

		var all sync.WaitGroup
		for worker := range 32 {
			all.Go(func() {
				random := rand.New(rand.NewPCG(1, uint64(worker)))
				for range 200 {
					key := string(rune('a' + random.IntN(3)))
					switch random.IntN(7) {
					case 0:
						_ = b.Delete(t.Context(), key)
					case 1:
						_ = b.DirectSet(t.Context(), key, 9)
					case 2:
						_, _ = b.RefreshKey(t.Context(), key)
					case 3:
						_, _ = b.Refresh(t.Context())
					case 4:
						_, _ = b.FetchMany(t.Context(), []string{"a", "b", "c"})
					case 5:
						_, _ = b.Fetch(t.Context(), key, bucket.MaxAge(0))
					case 6:
						if worker == 0 {
							system.Root.Send(b.PID(), bucket.Crash{Reason: "drill"})
						}
						_, _ = b.Fetch(t.Context(), key)
					}
				}
			})
		}
		all.Wait()
		assert.False(t, src.overlap.Load())
		assert.Positive(t, b.Stats().Restarts)
	})
}

func TestBucket_gives_slots_in_the_order_of_arrival(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"first": 0})
		open := src.gate("first")
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1))
		start(t, b)
		fetch(t.Context(), b, "first")
		synctest.Wait()

		var answers []<-chan got
		for i := range 50 {
			answers = append(answers, fetch(t.Context(), b, fmt.Sprint(i)))
			synctest.Wait()
		}
		assert.EqualValues(t, 1, src.loads.Load(), "one slot, one load")
		assert.Equal(t, 1, b.Stats().Running)
		open()
		for _, answer := range answers {
			<-answer
		}
		require.Equal(t, "first", <-src.begun)
		for i := range 50 {
			require.Equal(t, fmt.Sprint(i), <-src.begun)
		}
	})
}

func TestBucket_runs_as_many_loads_at_a_time_as_it_may(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(nil)
		var opens []func()
		for i := range 20 {
			opens = append(opens, src.gate(fmt.Sprint(i)))
		}
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(7))
		start(t, b)
		for i := range 20 {
			fetch(t.Context(), b, fmt.Sprint(i))
		}
		synctest.Wait()
		assert.EqualValues(t, 7, src.loads.Load())
		for _, open := range opens {
			open()
		}
		synctest.Wait()
		assert.EqualValues(t, 20, src.loads.Load())
	})
}

func TestBucket_is_busy_when_too_many_wait(t *testing.T) {
	tests := []struct {
		name string
		key  func(i int) string // of the caller
	}{
		{"for a slot", func(i int) string { return fmt.Sprint(i) }},
		{"for one load", func(int) string { return "0" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"0": 0, "1": 1, "2": 2})
				open := src.gate("0")
				b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1), bucket.MaxWaiting(2))
				start(t, b)

				var answers []<-chan got
				for i := range 3 { // one is served, two wait
					answers = append(answers, fetch(t.Context(), b, tt.key(i)))
					synctest.Wait()
				}
				for i := range 4 {
					_, err := b.Fetch(t.Context(), tt.key(i))
					require.ErrorIs(t, err, bucket.ErrBusy)
					assert.ErrorContains(t, err, "MaxWaiting")
				}
				assert.EqualValues(t, 4, b.Stats().Busy)

				open()
				for i, answer := range answers {
					got := <-answer
					require.NoError(t, got.err)
					assert.Equal(t, tt.key(i), fmt.Sprint(got.value))
				}
				_, err := b.Fetch(t.Context(), "1")
				assert.NoError(t, err, "busy is not for ever")
			})
		})
	}
}

func TestBucket_gives_the_place_of_a_caller_who_left_to_another(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1), bucket.MaxWaiting(1))
		start(t, b)
		served := fetch(t.Context(), b, "a")
		synctest.Wait()
		for range 5 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := b.Fetch(ctx, "b")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			synctest.Wait()
		}
		last := fetch(t.Context(), b, "c")
		synctest.Wait()
		open()
		require.NoError(t, (<-served).err)
		require.NoError(t, (<-last).err)
		assert.EqualValues(t, 2, src.loads.Load(), "a load that nobody waits for and that has not begun is not begun")
	})
}

func TestFetchNoSave_saves_nothing_unless_others_want_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)

		value, loaded, err := b.FetchNoSave(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		assert.True(t, loaded)
		_, ok := b.DirectGet("a")
		assert.False(t, ok)

		open := src.gate("a")
		var both sync.WaitGroup
		both.Go(func() { _, _, _ = b.FetchNoSave(t.Context(), "a") })
		synctest.Wait()
		both.Go(func() { _, _ = b.Fetch(t.Context(), "a") })
		synctest.Wait()
		open()
		both.Wait()
		_, ok = b.DirectGet("a")
		assert.True(t, ok, "the Fetch that shared the load wanted it saved")

		_, loaded, err = b.FetchNoSave(t.Context(), "a")
		require.NoError(t, err)
		assert.False(t, loaded, "a hit")
		assert.EqualValues(t, 2, src.loads.Load())
	})
}

func TestFetchMany_has_what_could_be_had_and_joins_the_failures(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
		src.fail("c", errDown)
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)

		found, err := b.FetchMany(t.Context(), []string{"a", "b", "c", "d", "b"})
		assert.Equal(t, map[string]int{"a": 1, "b": 2}, found)
		require.ErrorIs(t, err, errDown)
		require.ErrorIs(t, err, loader.ErrNotFound)
		assert.EqualValues(t, 4, src.loads.Load(), "each missing key once")

		found, err = b.FetchMany(t.Context(), nil)
		assert.NoError(t, err)
		assert.Empty(t, found)

		defer src.gate("e")()
		defer src.gate("f")()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		found, err = b.FetchMany(ctx, []string{"a", "e", "f"})
		assert.Equal(t, map[string]int{"a": 1}, found)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, context.DeadlineExceeded.Error(), err.Error(), "said once")
	})
}

func TestGet_hides_the_reason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		src.fail("b", errDown)
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		value, ok := b.Get(t.Context(), "a")
		assert.True(t, ok)
		assert.Equal(t, 1, value)
		_, ok = b.Get(t.Context(), "b")
		assert.False(t, ok)
	})
}

func TestFetch_with_MaxAge_loads_what_is_too_old(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		fetchAged := func() (int, error) { return b.Fetch(t.Context(), "a", bucket.MaxAge(time.Minute)) }
		value, err := fetchAged()
		require.NoError(t, err)
		assert.Equal(t, 1, value)

		src.set("a", 2)
		time.Sleep(time.Minute)
		value, _ = fetchAged()
		assert.Equal(t, 1, value, "just young enough")
		time.Sleep(time.Nanosecond)
		value, _ = fetchAged()
		assert.Equal(t, 2, value)

		src.fail("a", errDown)
		time.Sleep(time.Hour)
		_, err = fetchAged()
		require.ErrorIs(t, err, errDown, "old data is not what was asked for")
		value, err = b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 2, value, "and is kept for those who do not mind")
	})
}

func TestBucket_without_a_cache_asks_the_loader_each_time_and_saves_nothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"seed": 1}, nil },
		}, quiet(), bucket.CacheEnabled(false), bucket.RefreshEvery(time.Second))
		system, _ := start(t, b)
		for range 3 {
			value, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, 1, value)
			_, ok := b.Get(t.Context(), "a")
			assert.True(t, ok)
			assert.Equal(t, bucket.Found{Value: 1, Loaded: true}, request(t, system, b.PID(), bucket.Fetch{Key: "a"}))
		}
		_, err := b.RefreshKey(t.Context(), "a")
		require.NoError(t, err)
		time.Sleep(time.Minute)
		assert.EqualValues(t, 10, src.loads.Load(), "nothing is refreshed")
		assert.Zero(t, b.Len())
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)

		require.NoError(t, b.DirectSet(t.Context(), "a", 7))
		value, ok := b.DirectGet("a")
		assert.True(t, ok)
		assert.Equal(t, 7, value)
		loads := src.loads.Load()
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, loads, src.loads.Load(), "what was set directly is not refreshed either")
		value, err = b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
	})
}

func TestLoadRelated_saves_the_pairs_and_not_the_value(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var loads atomic.Int64
		var everything atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				loads.Add(1)
				if everything.Load() {
					return 7, map[string]int{"x": 7, "y": 7, "z": 7, "itself": 7}, nil
				}
				switch key {
				case "nothing":
					return 5, nil, nil
				case "alone":
					return 5, map[string]int{"x": 1, "y": 2}, nil
				default:
					return 5, map[string]int{key: 6, "z": 3}, nil
				}
			},
		}, quiet(), bucket.RefreshConcurrency(1))
		start(t, b)
		for _, key := range []string{"nothing", "alone", "itself"} {
			value, err := b.Fetch(t.Context(), key)
			require.NoError(t, err)
			assert.Equal(t, 5, value)
		}
		all := map[string]int{}
		for key, value := range b.All() {
			all[key] = value
		}
		assert.Equal(t, map[string]int{"x": 1, "y": 2, "itself": 6, "z": 3}, all)

		loads.Store(0)
		everything.Store(true)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 4, report.Changed)
		assert.EqualValues(t, 1, loads.Load(), "what a related load brought is not loaded again")
	})
}

func TestLoadRelated_does_not_overwrite_what_was_written_meanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		gate := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				<-gate
				return 1, map[string]int{key: 1, "set": 1, "deleted": 1, "other": 1}, nil
			},
		}, quiet())
		start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "other", 0), "written before the load began")
		answer := fetch(t.Context(), b, "a")
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "set", 2))
		require.NoError(t, b.Delete(t.Context(), "deleted"))
		for i := range 3000 { // enough to make the bucket forget what it can
			require.NoError(t, b.DirectSet(t.Context(), fmt.Sprint(i), 0))
		}
		close(gate)
		assert.Equal(t, got{1, nil}, <-answer)
		value, _ := b.DirectGet("set")
		assert.Equal(t, 2, value)
		_, ok := b.DirectGet("deleted")
		assert.False(t, ok)
		value, _ = b.DirectGet("other")
		assert.Equal(t, 1, value)
		value, _ = b.DirectGet("a")
		assert.Equal(t, 1, value)
	})
}

func TestFetch_with_an_ended_context_does_not_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errors.New("enough"))
		_, err := b.Fetch(ctx, "a")
		require.Equal(t, context.Canceled, err)
		synctest.Wait()
		assert.Zero(t, src.loads.Load())
		require.Equal(t, context.Canceled, b.DirectSet(ctx, "a", 1))
		_, ok := b.DirectGet("a")
		assert.False(t, ok)

		value, err := b.Fetch(nil, "a") //nolint:staticcheck // a nil context is a mistake that must not panic
		require.NoError(t, err)
		assert.Equal(t, 1, value)
	})
}
