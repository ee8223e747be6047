package bucket_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

const million = 1_000_000

func key16(i int) string { return fmt.Sprintf("key-%012d", i) }

// seeded makes a file that holds n entries, and returns its path.
func seededFile[V any](b *testing.B, n int, value func(i int) V) string {
	b.Helper()
	path := filepath.Join(b.TempDir(), "bench.dump")
	d, _, err := dump.Open(context.Background(), path, nowhere[V]{}, dump.Options{Name: "bench"})
	require.NoError(b, err)
	_, err = d.Rewrite(context.Background(), dump.Snapshot[string, V]{Entries: func(yield func(dump.Entry[string, V]) bool) {
		for i := range n {
			if !yield(dump.Entry[string, V]{Key: key16(i), Value: value(i), At: 1}) {
				return
			}
		}
	}})
	require.NoError(b, err)
	require.NoError(b, d.Close())
	return path
}

// nowhere is a sink.
type nowhere[V any] struct{}

func (nowhere[V]) Begin(int)                 {}
func (nowhere[V]) Put(dump.Entry[string, V]) {}
func (nowhere[V]) Delete(string)             {}

func fileBucket[V any](b *testing.B, path string, opts ...bucket.Option) (*bucket.Bucket[string, V], *supervisor.Supervisor) {
	b.Helper()
	cached := bucket.New("bench", loader.Func(func(context.Context, string) (v V, err error) { return v, nil }),
		append([]bucket.Option{quiet(), bucket.File(path), bucket.RefreshEvery(0)}, opts...)...)
	return cached, startIn(b, newSystem(), cached)
}

func hundred(int) []byte { return make([]byte, 100) }

// BenchmarkFileSet: what does one write through a bucket cost, and does it grow with the table?
func BenchmarkFileSet(b *testing.B) {
	for _, entries := range []int{10_000, million} {
		for _, writers := range []int{1, 64} {
			b.Run(fmt.Sprintf("entries=%d/writers=%d", entries, writers), func(b *testing.B) {
				cached, _ := fileBucket[[]byte](b, seededFile(b, entries, hundred))
				value := hundred(0)
				runtime.GC()
				var next atomic.Int64
				b.ReportAllocs()
				b.ResetTimer()
				var all sync.WaitGroup
				for range writers {
					all.Go(func() {
						for {
							i := next.Add(1)
							if i > int64(b.N) {
								return
							}
							if err := cached.DirectSet(context.Background(), key16(int(i)%entries), value); err != nil {
								b.Error(err)
								return
							}
						}
					})
				}
				all.Wait()
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "writes/s")
			})
		}
	}
}

// BenchmarkFileStart: how many entries a second does a bucket start with?
func BenchmarkFileStart(b *testing.B) {
	path := seededFile(b, million, hundred)
	b.ResetTimer()
	for b.Loop() {
		cached, sup := fileBucket[[]byte](b, path)
		b.StopTimer()
		require.Equal(b, million, cached.Len())
		require.NoError(b, sup.Stop(context.Background()))
		runtime.GC()
		b.StartTimer()
	}
	b.ReportMetric(float64(b.N)*million/b.Elapsed().Seconds(), "entries/s")
}

type product struct {
	ID      int64
	Name    string
	Price   float64
	Tags    []string
	Updated time.Time
	Active  bool
	Stock   uint32
}

func someProduct(i int) product {
	return product{ID: int64(i), Name: fmt.Sprint("product ", i), Price: 9.5, Tags: []string{"a", "bb", "ccc"}, Updated: time.Unix(int64(i), 123456789).UTC(), Active: true, Stock: 7}
}

// BenchmarkFileStartStructs: a start with structs, against decoding the same bytes in bare
// loops on all processors. The two take turns.
func BenchmarkFileStartStructs(b *testing.B) {
	const n = 200_000
	path := seededFile(b, n, someProduct)
	encoded := make([][]byte, n)
	for i := range encoded {
		p := someProduct(i)
		var err error
		encoded[i], err = dump.CBOR().Encode(nil, &p)
		require.NoError(b, err)
	}
	var ours, bare time.Duration
	for b.Loop() {
		runtime.GC()
		began := time.Now()
		cached, sup := fileBucket[product](b, path)
		ours += time.Since(began)
		require.Equal(b, n, cached.Len())
		require.NoError(b, sup.Stop(context.Background()))

		runtime.GC()
		began = time.Now()
		decoded := make([]product, n)
		var workers sync.WaitGroup
		processors := runtime.GOMAXPROCS(0)
		for w := range processors {
			workers.Go(func() {
				for i := w; i < n; i += processors {
					if err := dump.CBOR().Decode(encoded[i], &decoded[i]); err != nil {
						b.Error(err)
					}
				}
			})
		}
		workers.Wait()
		bare += time.Since(began)
	}
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "speed/bare")
	b.ReportMetric(float64(b.N)*n/ours.Seconds(), "entries/s")
}
