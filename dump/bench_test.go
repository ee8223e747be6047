package dump_test

import (
	"context"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"runtime"
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

// BenchmarkRewrite: how fast is a whole dump, against writing the same bytes and one sync?
func BenchmarkRewrite(b *testing.B) {
	keys, value := keys16(million), make([]byte, valueSize)
	directory := b.TempDir()
	path := filepath.Join(directory, "bench.dump")
	d := openBytes(b, path, dump.Options{})
	var ours, bare time.Duration
	for b.Loop() {
		began := time.Now()
		_, err := d.Rewrite(context.Background(), dump.Snapshot[string, []byte]{Entries: entries(keys, value)})
		require.NoError(b, err)
		ours += time.Since(began)

		size := d.Stats().Snapshot
		bytes := make([]byte, 1<<20)
		runtime.GC()
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
