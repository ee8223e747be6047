package bucket_test

import (
	"context"
	"fmt"
	"maps"
	"runtime"
	"slices"
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

// numbered is a source whose values are all the number of its state.
type numbered struct{ state atomic.Int64 }

func (n *numbered) Load(context.Context, string) (int64, error) { return n.state.Load(), nil }

func (n *numbered) init(keys int) func(context.Context) (map[string]int64, error) {
	return func(context.Context) (map[string]int64, error) {
		seed := make(map[string]int64, keys)
		for i := range keys {
			seed[fmt.Sprint("key", i)] = n.state.Load()
		}
		return seed, nil
	}
}

// allSame says whether a reader saw one state, and of whom.
func allSame(values func(yield func(int64) bool)) (seen int, mixed bool) {
	first := int64(-1)
	for value := range values {
		if first < 0 {
			first = value
		}
		mixed = mixed || value != first
		seen++
	}
	return seen, mixed
}

func TestReaders_see_one_generation_whole(t *testing.T) {
	const n = 2000
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprint("key", i)
	}
	ways := map[string]func(src *numbered) loader.Funcs[string, int64]{
		"one by one": func(src *numbered) loader.Funcs[string, int64] {
			return loader.Funcs[string, int64]{LoadFunc: src.Load, InitFunc: src.init(n)}
		},
		"in batches": func(src *numbered) loader.Funcs[string, int64] {
			return loader.Funcs[string, int64]{
				LoadFunc: src.Load, InitFunc: src.init(n),
				LoadBatchFunc: func(_ context.Context, keys []string) (map[string]int64, error) {
					values := map[string]int64{}
					for _, key := range keys {
						values[key] = src.state.Load()
					}
					return values, nil
				},
			}
		},
		"all in one go": func(src *numbered) loader.Funcs[string, int64] {
			return loader.Funcs[string, int64]{LoadFunc: src.Load, InitFunc: src.init(n), LoadAllFunc: src.init(n)}
		},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			src := &numbered{}
			b := bucket.New("widgets", way(src), quiet(), bucket.RefreshEvery(0))
			system, _ := start(t, b)
			ctx := context.Background()
			readers := map[string]func() (int, bool){
				"All": func() (int, bool) {
					return allSame(func(yield func(int64) bool) { b.All()(func(_ string, v int64) bool { return yield(v) }) })
				},
				"Snapshot": func() (int, bool) {
					s := b.Snapshot()
					return allSame(func(yield func(int64) bool) {
						for _, key := range keys {
							if value, ok := s.Get(key); !ok || !yield(value) {
								return
							}
							if len(key) == 4 {
								runtime.Gosched()
							}
						}
					})
				},
				"FetchMany": func() (int, bool) {
					values, _ := b.FetchMany(ctx, keys)
					return allSame(maps.Values(values))
				},
				"messages": func() (int, bool) { // each is answered from the generation of its moment: never an older one
					last := int64(-1)
					for _, key := range keys[:50] {
						reply, err := system.Root.RequestFuture(b.PID(), bucket.Fetch{Key: key}, time.Minute).Result()
						if err != nil {
							return 0, true
						}
						value := reply.(bucket.Found).Value.(int64)
						if value < last {
							return 0, true
						}
						last = value
					}
					return n, false
				},
			}
			var over atomic.Bool
			var all sync.WaitGroup
			for name, read := range readers {
				all.Go(func() {
					for !over.Load() {
						if seen, mixed := read(); seen != n || mixed {
							t.Errorf("%s: %d entries, mixed: %v", name, seen, mixed)
							return
						}
					}
				})
			}
			for range 30 {
				src.state.Add(1)
				report, err := b.Refresh(ctx)
				require.NoError(t, err)
				require.Equal(t, n, report.Changed)
			}
			over.Store(true)
			all.Wait()
		})
	}
}

func TestSnapshot_stays_on_its_generation(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		b := seeded(src)
		assert.Zero(t, b.Snapshot().Len(), "not started")
		_, ok := b.Snapshot().Get("a")
		assert.False(t, ok)
		start(t, b)
		s := b.Snapshot()
		assert.EqualValues(t, 1, s.Generation())
		src.set("a", 10)
		src.fail("b", loader.ErrNotFound)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		_, err = b.Fetch(t.Context(), "a")
		require.NoError(t, err)

		value, ok := s.Get("a")
		assert.Equal(t, []any{1, true}, []any{value, ok})
		entry, ok := s.Entry("b")
		assert.Equal(t, []any{2, true}, []any{entry.Value, ok})
		assert.Equal(t, map[string]int{"a": 1, "b": 2}, maps.Collect(s.All()))
		assert.Equal(t, 2, s.Len())
		assert.Equal(t, map[string]int{"a": 10}, maps.Collect(b.All()))
		assert.EqualValues(t, 2, b.Snapshot().Generation())
	})
}

func TestRefresh_does_not_show_what_it_has_before_the_end(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(20))
		b := seeded(src)
		start(t, b)
		open := src.gate("key7")
		for key, value := range seedOf(20) {
			src.set(key, value+100)
		}
		src.fail("key3", loader.ErrNotFound)
		done := make(chan struct{})
		go func() { _, _ = b.Refresh(t.Context()); close(done) }()
		synctest.Wait()
		assert.Equal(t, seedOf(20), maps.Collect(b.All()))
		open()
		<-done
		want := seedOf(20)
		for key := range want {
			want[key] += 100
		}
		delete(want, "key3")
		assert.Equal(t, want, maps.Collect(b.All()))
	})
}

func TestRefresh_is_won_by_what_is_written_meanwhile(t *testing.T) {
	for _, when := range []string{"before the key is loaded", "while it is loaded", "after it was loaded"} {
		t.Run(when, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "b": 1, "c": 1, "late": 7})
				b := bucket.New("widgets", loader.Funcs[string, int]{
					LoadFunc: src.Load,
					InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1, "c": 1}, nil },
				}, quiet(), bucket.RefreshConcurrency(1))
				start(t, b)
				keys := b.Keys()
				at := map[string]int{"before the key is loaded": 0, "while it is loaded": 1, "after it was loaded": 2}[when]
				open := src.gate(keys[at])
				for _, key := range keys {
					src.set(key, 2)
				}
				done := make(chan struct{})
				go func() { _, _ = b.Refresh(t.Context()); close(done) }()
				synctest.Wait()
				require.NoError(t, b.DirectSet(t.Context(), keys[1], 99))
				_, err := b.Fetch(t.Context(), "late")
				require.NoError(t, err)
				open()
				<-done
				want := map[string]int{keys[0]: 2, keys[1]: 99, keys[2]: 2, "late": 7}
				assert.Equal(t, want, maps.Collect(b.All()))
				assert.Equal(t, 4, b.Len())

				open = src.gate(keys[at])
				go func() { _, _ = b.Refresh(t.Context()); done <- struct{}{} }()
				synctest.Wait()
				require.NoError(t, b.Delete(t.Context(), keys[1]))
				done = make(chan struct{}, 1)
				open()
				synctest.Wait()
				delete(want, keys[1])
				assert.Equal(t, want, maps.Collect(b.All()))
				assert.Equal(t, 3, b.Len())
			})
		})
	}
}

func TestRefresh_asked_for_when_loads_have_begun_gets_the_next(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src)
		start(t, b)
		open := src.gate("a")
		reports := make(chan bucket.Report, 4)
		refresh := func() {
			report, err := b.Refresh(t.Context())
			assert.NoError(t, err)
			reports <- report
		}
		go refresh()
		synctest.Wait()
		src.set("a", 2) // too late for the load that has begun
		for range 3 {
			go refresh()
		}
		synctest.Wait()
		open()
		var generations []uint64
		for range 4 {
			generations = append(generations, (<-reports).Generation)
		}
		assert.ElementsMatch(t, []uint64{2, 3, 3, 3}, generations, "one for all who have asked meanwhile")
		assert.EqualValues(t, 2, src.loads.Load())
		value, _ := b.DirectGet("a")
		assert.Equal(t, 2, value)
	})
}

func TestRefreshKey_of_a_key_that_a_refresh_loads_gets_what_that_brings(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src)
		start(t, b)
		src.set("a", 2)
		open := src.gate("a")
		refreshed := make(chan struct{})
		go func() { _, _ = b.Refresh(t.Context()); close(refreshed) }()
		synctest.Wait()
		got := make(chan int, 1)
		go func() { v, _ := b.RefreshKey(t.Context(), "a"); got <- v }()
		synctest.Wait()
		open()
		assert.Equal(t, 2, <-got)
		<-refreshed
		assert.EqualValues(t, 1, src.loads.Load())

		// A load that began before a Set is not what is asked for after it.
		src.set("a", 3)
		open = src.gate("a")
		go func() { _, _ = b.Refresh(t.Context()) }()
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "a", 50))
		src.set("a", 4)
		go func() { v, _ := b.RefreshKey(t.Context(), "a"); got <- v }()
		synctest.Wait()
		open()
		assert.Equal(t, 4, <-got)
		synctest.Wait()
		assert.False(t, src.overlap.Load())
		value, _ := b.DirectGet("a")
		assert.Equal(t, 4, value)
	})
}

func TestRefresh_makes_way_for_callers_and_comes_to_its_end(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(50))
		slow := loader.Funcs[string, int]{
			LoadFunc: func(ctx context.Context, key string) (int, error) {
				time.Sleep(time.Second)
				return src.Load(ctx, key)
			},
			InitFunc: func(context.Context) (map[string]int, error) { return seedOf(50), nil },
		}
		b := bucket.New("widgets", slow, quiet(), bucket.MaxConcurrentLoads(1), bucket.RefreshEvery(0))
		start(t, b)
		refreshed := make(chan bucket.Report, 1)
		go func() { report, _ := b.Refresh(t.Context()); refreshed <- report }()
		time.Sleep(2500 * time.Millisecond)
		began := time.Now()
		src.set("late", 1)
		_, err := b.Fetch(t.Context(), "late")
		require.NoError(t, err)
		assert.LessOrEqual(t, time.Since(began), 2*time.Second)

		stop := make(chan struct{})
		var all sync.WaitGroup
		for i := range 3 { // and callers without an end do not hold it up for ever
			all.Go(func() {
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					default:
						_, _ = b.Fetch(t.Context(), fmt.Sprint("none", i, n))
					}
				}
			})
		}
		report := <-refreshed
		assert.Equal(t, 50, report.Loaded)
		close(stop)
		all.Wait()
		assert.Equal(t, 0, b.Stats().Running)
	})
}

func TestRefresh_gives_up_what_hangs_and_names_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const n, hung = 10_000, 100
		hang := make(chan struct{})
		seed := seedOf(n)
		var refreshes atomic.Int64
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(_ context.Context, key string) (int, error) {
				if seed[key]%(n/hung) == 0 && refreshes.Load() == 0 {
					<-hang // whatever its context says
				}
				return seed[key] + 1, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return seed, nil },
		}, quiet(), bucket.LoadTimeout(time.Second), bucket.RefreshEvery(time.Minute), bucket.Jitter(0), bucket.RefreshConcurrency(8))
		_, sup := start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, n-hung, report.Changed)
		assert.Equal(t, hung, report.Failed)
		for _, failure := range report.Failures {
			require.ErrorIs(t, failure, context.DeadlineExceeded)
			assert.Zero(t, seed[failure.Key.(string)]%(n/hung))
		}
		assert.LessOrEqual(t, report.Took, time.Duration(hung/8+2)*time.Second)
		assert.Equal(t, hung, b.Stats().Abandoned)
		assert.Zero(t, b.Stats().Running)
		for key, value := range b.All() {
			if value%(n/hung) != 0 || seed[key]%(n/hung) != 0 {
				continue
			}
			entry, _ := b.Entry(key)
			require.ErrorIs(t, entry.LastError, context.DeadlineExceeded)
		}
		refreshes.Add(1)
		time.Sleep(time.Minute + time.Second)
		assert.EqualValues(t, 2, b.Stats().Refreshes, "the next one starts on time")
		assert.Zero(t, b.Stats().LastRefresh.Failed)
		began := time.Now()
		require.NoError(t, sup.Stop(t.Context()))
		assert.Zero(t, time.Since(began))
		close(hang)
		synctest.Wait()
		assert.Zero(t, b.Stats().Abandoned)
	})
}

func TestRefresh_survives_loaders_that_panic_or_end_their_goroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		seed := seedOf(100)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(_ context.Context, key string) (int, error) {
				switch seed[key] % 10 {
				case 3:
					panic("at the disco")
				case 7:
					runtime.Goexit()
				}
				return seed[key] + 1, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return seed, nil },
		}, quiet())
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 20, report.Failed)
		assert.Equal(t, 80, report.Changed)
		assert.EqualValues(t, 20, b.Stats().LoadPanics)
		assert.Zero(t, b.Stats().Running)
		assert.Zero(t, b.Stats().Abandoned)
	})
}

func TestRefresh_gives_loads_a_context_that_ends_at_their_deadline(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		type contextKey struct{}
		var polite atomic.Int64
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(ctx context.Context, key string) (int, error) {
				at, ok := ctx.Deadline()
				assert.True(t, ok)
				assert.True(t, at.Equal(time.Now().Add(time.Second)))
				assert.Nil(t, ctx.Value(contextKey{}))
				switch key {
				case "key0":
					<-ctx.Done()
				case "key1":
					child, cancel := context.WithCancel(ctx)
					defer cancel()
					<-child.Done()
				case "key2":
					for ctx.Err() == nil {
						time.Sleep(10 * time.Millisecond)
					}
				default:
					return 1, nil
				}
				polite.Add(1)
				return 0, fmt.Errorf("on the way: %w", ctx.Err())
			},
			InitFunc: func(context.Context) (map[string]int, error) { return seedOf(5), nil },
		}, quiet(), bucket.LoadTimeout(time.Second))
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 3, report.Failed)
		for _, failure := range report.Failures {
			require.ErrorIs(t, failure, context.DeadlineExceeded)
		}
		assert.Equal(t, time.Second, report.Took)
		synctest.Wait()
		assert.EqualValues(t, 3, polite.Load())
		assert.Zero(t, b.Stats().Abandoned)
	})
}

func TestRefresh_reports_its_slowest_loads(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		seed := seedOf(30)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(_ context.Context, key string) (int, error) {
				time.Sleep(time.Duration(seed[key]) * time.Millisecond)
				return 1, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return seed, nil },
		}, quiet())
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		require.Len(t, report.Slowest, 5)
		for i, load := range report.Slowest {
			assert.Equal(t, bucket.SlowLoad{Key: fmt.Sprint("key", 29-i), Keys: 1, Took: time.Duration(29-i) * time.Millisecond}, load)
		}
	})
}

func TestRefresh_tells_of_its_progress(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { time.Sleep(100 * time.Millisecond); return 1, nil },
			InitFunc: func(context.Context) (map[string]int, error) { return seedOf(100), nil },
		}, quiet(), bucket.RefreshConcurrency(2))
		start(t, b)
		var told []int
		report, err := b.Refresh(t.Context(), nil, bucket.Progress(func(done, total int) {
			assert.Equal(t, 100, total)
			told = append(told, done)
		}))
		require.NoError(t, err)
		assert.Equal(t, 5*time.Second, report.Took)
		require.GreaterOrEqual(t, len(told), 4)
		assert.IsIncreasing(t, told)
		assert.InDelta(t, 40, told[1], 15)

		told = nil
		quick := seeded(newSource(seedOf(10)))
		start(t, quick)
		_, err = quick.Refresh(t.Context(), bucket.Progress(func(int, int) { told = append(told, 1) }))
		require.NoError(t, err)
		assert.Empty(t, told)
	})
}

func TestRefresh_keeps_no_goroutine_for_a_key(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var most atomic.Int64
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) {
				if n := int64(runtime.NumGoroutine()); n > most.Load() {
					most.Store(n)
				}
				return 1, nil
			},
			InitFunc: func(context.Context) (map[string]int, error) { return seedOf(5000), nil },
		}, quiet())
		start(t, b)
		before := runtime.NumGoroutine()
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Less(t, int(most.Load()), before+bucket.DefaultRefreshConcurrency+5)
	})
}

func TestRefresh_loads_no_key_twice_at_a_time(t *testing.T) {
	src := newSource(seedOf(200))
	b := seeded(src, bucket.RefreshEvery(0))
	start(t, b)
	ctx := context.Background()
	var over atomic.Bool
	var all sync.WaitGroup
	for g := range 4 {
		all.Go(func() {
			for i := g; !over.Load(); i += 7 {
				key := fmt.Sprint("key", i%200)
				switch i % 4 {
				case 0:
					_ = b.Delete(ctx, key)
				case 1:
					_ = b.DirectSet(ctx, key, i)
				case 2:
					_, _ = b.RefreshKey(ctx, key)
				default:
					_, _ = b.Fetch(ctx, key)
				}
			}
		})
	}
	for range 200 {
		_, err := b.Refresh(ctx)
		require.NoError(t, err)
	}
	over.Store(true)
	all.Wait()
	assert.False(t, src.overlap.Load())
	held := slices.Collect(maps.Keys(maps.Collect(b.All())))
	assert.Len(t, held, b.Len())
	assert.Zero(t, b.Stats().Running)
}
