package bucket_test

import (
	"context"
	"errors"
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

var errPartial = errors.New("the second shard is down")

// scripted answers batches, and questions for everything, as its script says.
type scripted struct {
	mu      sync.Mutex
	batches [][]string
	script  func(keys []string) (map[string]int, error)
}

func (s *scripted) answer(_ context.Context, keys []string) (map[string]int, error) {
	s.mu.Lock()
	s.batches = append(s.batches, append([]string(nil), keys...))
	script := s.script
	s.mu.Unlock()
	return script(keys)
}

func (s *scripted) funcs(seed map[string]int) loader.Funcs[string, int] {
	return loader.Funcs[string, int]{
		LoadFunc: func(context.Context, string) (int, error) { return 0, errors.New("one by one") },
		InitFunc: func(context.Context) (map[string]int, error) { return seed, nil },
	}
}

func (s *scripted) inBatches(seed map[string]int) loader.Funcs[string, int] {
	f := s.funcs(seed)
	f.LoadBatchFunc = s.answer
	return f
}

func (s *scripted) inOneGo(seed map[string]int) loader.Funcs[string, int] {
	f := s.funcs(seed)
	f.LoadAllFunc = func(ctx context.Context) (map[string]int, error) { return s.answer(ctx, nil) }
	return f
}

func TestLoadBatch_gets_all_keys_in_batches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		seed := seedOf(25)
		s := &scripted{script: func(keys []string) (map[string]int, error) {
			values := map[string]int{}
			for _, key := range keys {
				values[key] = seed[key] + 100
			}
			clear(keys) // they are the loader's
			return values, nil
		}}
		b := bucket.New("widgets", s.inBatches(seed), quiet(), bucket.BatchSize(10), bucket.RefreshConcurrency(2))
		start(t, b)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 25, report.Changed)
		asked := map[string]int{}
		for _, batch := range s.batches {
			assert.LessOrEqual(t, len(batch), 10)
			for _, key := range batch {
				asked[key]++
			}
		}
		assert.Len(t, s.batches, 3)
		assert.Len(t, asked, 25)
		for key, value := range b.All() {
			assert.Equal(t, seed[key]+100, value)
		}
		assert.EqualValues(t, 3, b.Stats().Loads)
	})
}

func TestLoadBatch_has_a_rule_for_every_answer(t *testing.T) {
	const n = 10
	seed := seedOf(n)
	half := map[string]int{}
	for i := range n / 2 {
		half[fmt.Sprint("key", i)] = 1000
	}
	rest := seedOf(n)
	for key := range half {
		delete(rest, key)
	}
	both := maps.Clone(half)
	maps.Copy(both, rest)
	tests := []struct {
		name   string
		script func([]string) (map[string]int, error)
		want   map[string]int
		report bucket.Report
		cause  error
	}{
		{
			"half of the keys are absent: they are gone", func([]string) (map[string]int, error) { return half, nil },
			half,
			bucket.Report{Loaded: 5, Changed: 5, Removed: 5},
			nil,
		},
		{
			"an error, and half of the keys: these count", func([]string) (map[string]int, error) { return half, errPartial },
			both,
			bucket.Report{Loaded: 5, Changed: 5, Failed: 5},
			errPartial,
		},
		{
			"an error and nothing", func([]string) (map[string]int, error) { return nil, errPartial },
			seed,
			bucket.Report{Failed: 10},
			errPartial,
		},
		{
			"half of the keys, and nothing new of the rest", func([]string) (map[string]int, error) { return half, loader.ErrUnchanged },
			both,
			bucket.Report{Loaded: 5, Changed: 5, Unchanged: 5},
			nil,
		},
		{
			"keys that nobody asked for: ignored", func([]string) (map[string]int, error) {
				more := maps.Clone(seed)
				more["stranger"] = 1
				return more, nil
			},
			seed,
			bucket.Report{Loaded: 10, Unchanged: 10},
			nil,
		},
		{"a panic", func([]string) (map[string]int, error) { panic("at the disco") }, seed, bucket.Report{Failed: 10}, nil},
		{"a Goexit", func([]string) (map[string]int, error) { runtime.Goexit(); return nil, nil }, seed, bucket.Report{Failed: 10}, loader.ErrGoexit},
		{"a hang", func([]string) (map[string]int, error) { time.Sleep(time.Hour); return half, nil }, seed, bucket.Report{Failed: 10, Took: 30 * time.Second}, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &scripted{script: tt.script}
				b := bucket.New("widgets", s.inBatches(seed), quiet(), bucket.RefreshEvery(0))
				start(t, b)
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				if tt.cause != nil {
					require.ErrorIs(t, report.Failures[0], tt.cause)
				}
				report.Failures, report.Slowest = nil, nil
				tt.report.Generation = 2
				assert.Equal(t, tt.report, report)
				assert.Equal(t, tt.want, maps.Collect(b.All()))
				time.Sleep(2 * time.Hour)
				assert.Zero(t, b.Stats().Abandoned)
			})
		})
	}
}

func TestLoadAll_has_a_rule_for_every_answer(t *testing.T) {
	seed := seedOf(10)
	other := maps.Clone(seed)
	delete(other, "key1")
	other["key2"], other["new"] = 1000, 7
	tests := []struct {
		name   string
		script func([]string) (map[string]int, error)
		want   map[string]int
		report bucket.Report
		cause  error
	}{
		{
			"the map is the generation", func([]string) (map[string]int, error) { return other, nil },
			other,
			bucket.Report{Loaded: 10, Unchanged: 8, Changed: 1, Added: 1, Removed: 1},
			nil,
		},
		{
			"an error: what the map holds is not believed", func([]string) (map[string]int, error) { return other, errPartial },
			seed,
			bucket.Report{Failed: 10},
			errPartial,
		},
		{
			"not found is a failure, too", func([]string) (map[string]int, error) { return nil, loader.ErrNotFound },
			seed,
			bucket.Report{Failed: 10},
			loader.ErrNotFound,
		},
		{
			"nothing new", func([]string) (map[string]int, error) { return nil, loader.ErrUnchanged },
			seed,
			bucket.Report{Unchanged: 10},
			nil,
		},
		{"a panic", func([]string) (map[string]int, error) { panic("at the disco") }, seed, bucket.Report{Failed: 10}, nil},
		{"a Goexit", func([]string) (map[string]int, error) { runtime.Goexit(); return nil, nil }, seed, bucket.Report{Failed: 10}, loader.ErrGoexit},
		{"a hang", func([]string) (map[string]int, error) { time.Sleep(time.Hour); return other, nil }, seed, bucket.Report{Failed: 10, Took: 30 * time.Second}, context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &scripted{script: tt.script}
				b := bucket.New("widgets", s.inOneGo(seed), quiet(), bucket.RefreshEvery(0))
				start(t, b)
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				if tt.cause != nil {
					require.ErrorIs(t, report.Failures[0], tt.cause)
				}
				report.Failures, report.Slowest = nil, nil
				tt.report.Generation = 2
				assert.Equal(t, tt.report, report)
				assert.Equal(t, tt.want, maps.Collect(b.All()))
				assert.EqualValues(t, 1, b.Stats().Loads)
				time.Sleep(2 * time.Hour)
				assert.Zero(t, b.Stats().Abandoned)
				assert.Zero(t, b.Stats().Running)
			})
		})
	}
}

func TestLoadAll_fills_an_empty_bucket(t *testing.T) {
	for _, n := range []int{10, 5000} { // few keys, and so many that they get an index
		inBubble(t, func(t *testing.T) {
			s := &scripted{script: func([]string) (map[string]int, error) { return seedOf(n), nil }}
			f := s.inOneGo(nil)
			b := bucket.New("widgets", f, quiet())
			start(t, b)
			for range 2 {
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				assert.Equal(t, n, report.Loaded)
				assert.Equal(t, seedOf(n), maps.Collect(b.All()))
				assert.Equal(t, n, b.Len())
			}
			assert.Equal(t, n, b.Stats().LastRefresh.Unchanged)
		})
	}
}

func TestLoadAll_is_won_by_what_is_written_meanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		arrived := make(chan struct{})
		s := &scripted{script: func([]string) (map[string]int, error) {
			<-arrived
			return map[string]int{"a": 2, "b": 2, "c": 2, "new": 2, "newer": 2}, nil
		}}
		b := bucket.New("widgets", s.inOneGo(map[string]int{"a": 1, "b": 1, "c": 1}), quiet())
		start(t, b)
		done := make(chan struct{})
		go func() { _, _ = b.Refresh(t.Context()); close(done) }()
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "a", 50))
		require.NoError(t, b.Delete(t.Context(), "b"))
		require.NoError(t, b.DirectSet(t.Context(), "new", 50))
		close(arrived)
		<-done
		assert.Equal(t, map[string]int{"a": 50, "c": 2, "new": 50, "newer": 2}, maps.Collect(b.All()))
		assert.Equal(t, 4, b.Len())
	})
}

func TestFilterRefresh_has_the_last_word_on_batches_too(t *testing.T) {
	filter := func(_ context.Context, key string, value int, err error) (int, error) {
		switch {
		case errors.Is(err, loader.ErrNotFound) && key == "key1":
			return 0, errors.New("I do not believe that it is gone")
		case err != nil:
			return value, err
		case value < 0:
			return 0, errors.New("negative")
		}
		return value * 2, nil
	}
	answer := map[string]int{"key0": 5, "key3": -1, "new": 4, "bad": -4} // key1 and key2 are gone
	for _, way := range []string{"batch", "all"} {
		t.Run(way, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &scripted{script: func([]string) (map[string]int, error) { return answer, nil }}
				f := s.inBatches(seedOf(4))
				want := map[string]int{"key0": 10, "key1": 1, "key3": 3}
				if way == "all" {
					f = s.inOneGo(seedOf(4))
					want["new"] = 8
				}
				f.FilterRefreshFunc = filter
				b := bucket.New("widgets", f, quiet())
				start(t, b)
				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				assert.Equal(t, want, maps.Collect(b.All()))
				assert.Equal(t, 2, report.Failed)
				assert.Equal(t, 1, report.Removed)
			})
		})
	}
}

func TestFilterRefresh_is_not_asked_about_what_is_not_there(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { return 0, loader.ErrNotFound },
			InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1, "c": 1}, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "c": 1}, nil },
			FilterRefreshFunc: func(_ context.Context, key string, v int, err error) (int, error) {
				if errors.Is(err, loader.ErrNotFound) {
					return -1, nil // keep a tombstone
				}
				return v, err
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		require.NoError(t, b.Delete(t.Context(), "b"))
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		_, held := b.DirectGet("b")
		require.False(t, held, "%+v", report)
	})
}

type exitError struct{ error }

func (exitError) Is(error) bool { runtime.Goexit(); return false }

func TestLoadAll_with_an_error_that_ends_its_goroutine_has_failed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { return 0, exitError{errDown} },
			InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1, "c": 1}, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return nil, exitError{errDown} },
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		_, err := b.Fetch(ctx, "x")
		require.Error(t, err)
		begun := time.Now()
		report, err := b.Refresh(ctx)
		require.NoError(t, err)
		assert.Equal(t, 3, report.Failed)
		assert.Zero(t, time.Since(begun))
	})
}

func TestLoadAll_gave_a_value_when_it_returned(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { return 1, nil },
			InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 2, "b": 2, "c": 2}, nil },
			FilterRefreshFunc: func(_ context.Context, _ string, v int, err error) (int, error) {
				time.Sleep(5 * time.Second)
				return v, err
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		begun := time.Now()
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		for _, k := range []string{"a", "b", "c"} {
			e, _ := b.Entry(k)
			assert.Zero(t, e.LoadedAt.Sub(begun), k)
		}
	})
}

func TestFetch_MaxAge_does_not_take_what_LoadAll_gave_before(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var v atomic.Int64
		v.Store(1)
		cmp := make(chan struct{})
		var hold atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(_ context.Context, k string) (int, error) { return int(v.Load()), nil },
			InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 1}, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": int(v.Load())}, nil },
			FilterRefreshFunc: func(_ context.Context, _ string, v int, err error) (int, error) {
				if hold.Load() {
					<-cmp
				}
				return v, err
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		hold.Store(true)
		go func() { _, _ = b.Refresh(context.Background()) }()
		time.Sleep(10 * time.Second)
		v.Store(2)
		time.AfterFunc(time.Second, func() { hold.Store(false); close(cmp) })
		got, err := b.Fetch(t.Context(), "a", bucket.MaxAge(time.Second))
		require.NoError(t, err)
		assert.Equal(t, 2, got, "the source has had 2 for a second")
	})
}
