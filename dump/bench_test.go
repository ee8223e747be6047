package dump_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// The figures are ratios inside one benchmark: what they are compared with takes turns with
// what is measured, on the same disk.

const (
	million   = 1_000_000
	valueSize = 100
)

// slots is a sink that costs as little as it can: it is not what is measured.
type slots struct{}

func (s *slots) Begin(int)                      {}
func (s *slots) Put(dump.Entry[string, []byte]) {}
func (s *slots) Delete(string)                  {}
func key16(i int) string                        { return fmt.Sprintf("key-%012d", i) }
func openBytes(b *testing.B, path string, o dump.Options) *dump.Dump[string, []byte] {
	b.Helper()
	o.Name = "bench"
	d, _, err := dump.Open(context.Background(), path, &slots{}, o)
	require.NoError(b, err)
	b.Cleanup(func() { _ = d.Close() })
	return d
}

func entries(keys []string, value []byte) iter.Seq[dump.Entry[string, []byte]] {
	return func(yield func(dump.Entry[string, []byte]) bool) {
		for _, key := range keys {
			if !yield(dump.Entry[string, []byte]{Key: key, Value: value}) {
				return
			}
		}
	}
}

func keys16(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = key16(i)
	}
	return keys
}

// BenchmarkRewrite: how fast is a whole dump, against writing the same bytes and one sync? And
// how much memory does it take?
func BenchmarkRewrite(b *testing.B) {
	keys, value := keys16(million), make([]byte, valueSize)
	directory := b.TempDir()
	var ours, bare time.Duration
	var most int64
	for i := 0; b.Loop(); i++ {
		d := openBytes(b, filepath.Join(directory, fmt.Sprint("dump", i)), dump.Options{})
		runtime.GC()
		peak := watchHeap()
		began := time.Now()
		_, err := d.Rewrite(context.Background(), dump.Snapshot[string, []byte]{Entries: entries(keys, value)})
		ours += time.Since(began)
		most = max(most, peak())
		require.NoError(b, err)
		size := d.Stats().Snapshot
		require.NoError(b, d.Close())
		require.NoError(b, os.Remove(d.Path()))

		runtime.GC()
		bytes := make([]byte, 1<<20)
		began = time.Now()
		file, err := os.Create(filepath.Join(directory, "bare"))
		require.NoError(b, err)
		for left := size; left > 0; left -= int64(len(bytes)) {
			_, err = file.Write(bytes[:min(left, int64(len(bytes)))])
			require.NoError(b, err)
		}
		require.NoError(b, file.Sync())
		bare += time.Since(began)
		require.NoError(b, file.Close())
		require.NoError(b, os.Remove(file.Name()))
	}
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "speed/bare")
	b.ReportMetric(float64(b.N)*million/ours.Seconds(), "entries/s")
	b.ReportMetric(float64(most)/(1<<20), "MiB-more")
}

// watchHeap looks at the heap every millisecond. What it returns ends that, and says by how
// many bytes it had grown at the most.
func watchHeap() (peak func() int64) {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	read := func() int64 {
		metrics.Read(sample)
		return int64(sample[0].Value.Uint64())
	}
	before, end, most := read(), make(chan struct{}), make(chan int64)
	go func() {
		highest := before
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				highest = max(highest, read())
			case <-end:
				most <- highest - before
				return
			}
		}
	}()
	return func() int64 { close(end); return <-most }
}

// BenchmarkOpen: how many raw entries a second does a start read?
func BenchmarkOpen(b *testing.B) {
	path := filepath.Join(b.TempDir(), "bench.dump")
	d := openBytes(b, path, dump.Options{})
	_, err := d.Rewrite(context.Background(), dump.Snapshot[string, []byte]{Entries: entries(keys16(million), make([]byte, valueSize))})
	require.NoError(b, err)
	require.NoError(b, d.Close())
	for b.Loop() {
		d, _, err := dump.Open(context.Background(), path, &slots{}, dump.Options{Name: "bench"})
		require.NoError(b, err)
		require.NoError(b, d.Close())
	}
	b.ReportMetric(float64(b.N)*million/b.Elapsed().Seconds(), "entries/s")
}

// product is a struct as they come: numbers, texts, a list, a time.
type product struct {
	ID      int64
	Name    string
	Price   float64
	Tags    []string
	Updated time.Time
	Active  bool
	Stock   uint32
}

func products(n int) iter.Seq[dump.Entry[string, product]] {
	return func(yield func(dump.Entry[string, product]) bool) {
		for i := range n {
			p := product{int64(i), fmt.Sprint("product ", i), 9.5, []string{"a", "bb", "ccc"}, time.Unix(int64(i), 123456789).UTC(), true, 7}
			if !yield(dump.Entry[string, product]{Key: key16(i), Value: p}) {
				return
			}
		}
	}
}

// heap is a sink that keeps what it gets, as a loop that decodes into a slice does.
type heap struct {
	next     atomic.Int64
	products []product
}

func (h *heap) Begin(n int)                       { h.products = make([]product, n) }
func (h *heap) Put(e dump.Entry[string, product]) { h.products[h.next.Add(1)-1] = e.Value }
func (h *heap) Delete(string)                     {}

// BenchmarkOpenStructs: how fast is a start with structs, against decoding the same bytes in
// bare loops on all processors?
func BenchmarkOpenStructs(b *testing.B) {
	const n = 200_000
	path := filepath.Join(b.TempDir(), "bench.dump")
	d, _, err := dump.Open(context.Background(), path, &heap{}, dump.Options{Name: "bench"})
	require.NoError(b, err)
	_, err = d.Rewrite(context.Background(), dump.Snapshot[string, product]{Entries: products(n)})
	require.NoError(b, err)
	require.NoError(b, d.Close())
	encoded := make([][]byte, 0, n)
	for e := range products(n) {
		bytes, err := dump.CBOR().Encode(nil, &e.Value)
		require.NoError(b, err)
		encoded = append(encoded, bytes)
	}

	var ours, bare time.Duration
	for b.Loop() {
		runtime.GC()
		began := time.Now()
		sink := &heap{}
		d, _, err := dump.Open(context.Background(), path, sink, dump.Options{Name: "bench"})
		ours += time.Since(began)
		require.NoError(b, err)
		require.EqualValues(b, n, sink.next.Load())
		require.NoError(b, d.Close())

		runtime.GC()
		began = time.Now()
		decodeAll(b, encoded)
		bare += time.Since(began)
	}
	b.ReportMetric(bare.Seconds()/ours.Seconds(), "speed/bare")
	b.ReportMetric(float64(b.N)*n/ours.Seconds(), "entries/s")
}

func decodeAll(b *testing.B, encoded [][]byte) {
	decoded := make([]product, len(encoded))
	var workers sync.WaitGroup
	processors := runtime.GOMAXPROCS(0)
	for w := range processors {
		workers.Go(func() {
			for i := w; i < len(encoded); i += processors {
				if err := dump.CBOR().Decode(encoded[i], &decoded[i]); err != nil {
					b.Error(err)
				}
			}
		})
	}
	workers.Wait()
}

// BenchmarkWrite: how many acknowledged writes a second, in batches?
func BenchmarkWrite(b *testing.B) {
	for _, policy := range []dump.SyncPolicy{dump.DefaultSync, dump.SyncNever, dump.Buffered, dump.SyncAlways} {
		for _, size := range []int{1, 100} {
			b.Run(fmt.Sprintf("policy=%v/batch=%d", policy, size), func(b *testing.B) {
				d := openBytes(b, filepath.Join(b.TempDir(), "bench.dump"), dump.Options{Sync: policy})
				_, err := d.Rewrite(context.Background(), dump.Snapshot[string, []byte]{Entries: entries(nil, nil)})
				require.NoError(b, err)
				batch, value, key := d.NewBatch(), make([]byte, valueSize), key16(7)
				writes := 0
				b.ReportAllocs()
				for b.Loop() {
					batch.Reset()
					for range size {
						_ = batch.Put(dump.Entry[string, []byte]{Key: key, Value: value})
					}
					if err := d.Write(batch); err != nil {
						b.Fatal(err)
					}
					writes += size
				}
				b.ReportMetric(float64(writes)/b.Elapsed().Seconds(), "writes/s")
			})
		}
	}
}
