package bucket_test

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// BenchmarkRefresh: what does a full refresh of a million entries cost for a key, with a source
// that costs nothing? speed/map is against building a Go map of the same.
func BenchmarkRefresh(b *testing.B) {
	values := make(map[string]int, million)
	for i := range million {
		values[key16(i)] = i
	}
	load := func(context.Context, string) (int, error) { return 1, nil }
	init := func(context.Context) (map[string]int, error) { return values, nil }
	ways := []struct {
		name  string
		funcs loader.Funcs[string, int]
	}{
		{"one by one", loader.Funcs[string, int]{LoadFunc: load, InitFunc: init}},
		{"in batches", loader.Funcs[string, int]{LoadFunc: load, InitFunc: init}},
		{"in one go", loader.Funcs[string, int]{LoadFunc: load, InitFunc: init, LoadAllFunc: init}},
	}
	for _, way := range ways {
		b.Run("way="+way.name, func(b *testing.B) {
			if way.name == "in batches" {
				way.funcs.LoadBatchFunc = readyBatches(values) // each bucket has its own batches
			}
			cached := bucket.New("bench", way.funcs, quiet(), bucket.RefreshEvery(0))
			start(b, cached)
			ctx := context.Background()
			_, err := cached.Refresh(ctx)
			require.NoError(b, err)
			var ours, build time.Duration
			b.ReportAllocs()
			for b.Loop() {
				runtime.GC()
				began := time.Now()
				report, err := cached.Refresh(ctx)
				ours += time.Since(began)
				require.NoError(b, err)
				require.Equal(b, million, report.Loaded)

				runtime.GC()
				began = time.Now()
				built := make(map[string]int, million)
				for key, value := range values {
					built[key] = value
				}
				build += time.Since(began)
			}
			b.ReportMetric(float64(ours.Nanoseconds())/float64(b.N)/million, "ns/key")
			b.ReportMetric(ours.Seconds()/build.Seconds(), "time/map")
		})
	}
}

// readyBatches is a source that has the answer to each batch ready from the second time on.
func readyBatches(values map[string]int) func(context.Context, []string) (map[string]int, error) {
	var ready sync.Map
	return func(_ context.Context, keys []string) (map[string]int, error) {
		if answer, ok := ready.Load(keys[0]); ok {
			return answer.(map[string]int), nil
		}
		answer := make(map[string]int, len(keys))
		for _, key := range keys {
			answer[key] = values[key]
		}
		ready.Store(keys[0], answer)
		return answer, nil
	}
}

// BenchmarkRefreshMemory: how much memory does a refresh take at its peak, against the table?
func BenchmarkRefreshMemory(b *testing.B) {
	before := heap()
	cached := bucket.New("bench", loader.Funcs[string, []byte]{
		LoadFunc: func(context.Context, string) ([]byte, error) { return make([]byte, 100), nil },
		InitFunc: func(context.Context) (map[string][]byte, error) {
			seed := make(map[string][]byte, million)
			for i := range million {
				seed[key16(i)] = hundred(i)
			}
			return seed, nil
		},
	}, quiet(), bucket.RefreshEvery(0))
	start(b, cached)
	for b.Loop() {
		var most int64
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			_, _ = cached.Refresh(context.Background())
		}()
		for sampling := true; sampling; {
			select {
			case <-ended:
				sampling = false
			default:
				most = max(most, heap())
			}
		}
		b.ReportMetric(float64(most-before)/float64(heap()-before), "peak/table")
	}
}

// BenchmarkWatchedRefresh: what does a watcher cost a refresh in which one key of a hundred has
// changed?
func BenchmarkWatchedRefresh(b *testing.B) {
	generation := 0
	values := make(map[string]int, million)
	for i := range million {
		values[key16(i)] = i
	}
	cached := bucket.New("bench", loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, key string) (int, error) {
			if key[len(key)-2:] == "00" {
				return generation, nil
			}
			return values[key], nil
		},
		InitFunc: func(context.Context) (map[string]int, error) { return values, nil },
	}, quiet(), bucket.RefreshEvery(0))
	start(b, cached)
	refresh := func() time.Duration {
		generation--
		runtime.GC()
		began := time.Now()
		report, err := cached.Refresh(context.Background())
		require.NoError(b, err)
		require.GreaterOrEqual(b, report.Changed, million/100-1, fmt.Sprint(report))
		return time.Since(began)
	}
	for _, watchers := range []int{1, 1000} {
		b.Run(fmt.Sprint("watchers=", watchers), func(b *testing.B) {
			var without, with time.Duration
			for b.Loop() {
				without += refresh()
				ctx, cancel := context.WithCancel(context.Background())
				for i := range watchers {
					changes := cached.Watch(ctx)
					if i == 1 {
						continue // this one never reads
					}
					go func() {
						for range changes {
						}
					}()
				}
				with += refresh()
				cancel()
			}
			b.ReportMetric(with.Seconds()/without.Seconds(), "time/unwatched")
		})
	}
}
