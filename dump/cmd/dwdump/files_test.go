package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"flag"
	"hash/crc32"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

var update = flag.Bool("update", false, "write the golden files anew")

// noon is when every entry came, and an hour before every command runs.
var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// nowhere is a sink for those who only write.
type nowhere[K comparable, V any] struct{}

func (nowhere[K, V]) Begin(int)            {}
func (nowhere[K, V]) Put(dump.Entry[K, V]) {}
func (nowhere[K, V]) Delete(K)             {}

// pair is an entry of a test.
type pair[K comparable, V any] struct {
	key   K
	value V
}

func entry[K comparable, V any](p pair[K, V]) dump.Entry[K, V] {
	return dump.Entry[K, V]{Key: p.key, Value: p.value, At: noon.UnixNano()}
}

func snapshotOf[K comparable, V any](pairs []pair[K, V]) iter.Seq[dump.Entry[K, V]] {
	return func(yield func(dump.Entry[K, V]) bool) {
		for _, p := range pairs {
			if !yield(entry(p)) {
				return
			}
		}
	}
}

// opened makes a dump with a snapshot, and leaves it open.
func opened[K comparable, V any](t testing.TB, path string, o dump.Options, pairs ...pair[K, V]) *dump.Dump[K, V] {
	t.Helper()
	if o.Name == "" {
		o.Name = "prices"
	}
	d, _, err := dump.Open(context.Background(), path, nowhere[K, V]{}, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	_, err = d.Rewrite(context.Background(), dump.Snapshot[K, V]{Entries: snapshotOf(pairs), FreshAt: noon.Add(-time.Minute)})
	require.NoError(t, err)
	return d
}

// made makes a dump and closes it.
func made[K comparable, V any](t testing.TB, o dump.Options, pairs ...pair[K, V]) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prices.dump")
	require.NoError(t, opened(t, path, o, pairs...).Close())
	return path
}

type text = pair[string, string]

// prices has a snapshot of EUR and USD; since then GBP came and EUR changed, and USD went.
func prices(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prices.dump")
	d := opened(t, path, dump.Options{}, text{"EUR", "1.07"}, text{"USD", "1"})
	writePrices(t, d)
	require.NoError(t, d.Close())
	return path
}

func writePrices(t testing.TB, d *dump.Dump[string, string]) {
	t.Helper()
	require.NoError(t, d.Put(entry(text{"GBP", "1.27"})))
	require.NoError(t, d.Put(entry(text{"EUR", "1.0812"})))
	require.NoError(t, d.Delete("USD"))
}

// inUse is a copy of the prices as they are while their owner runs: as a killed one leaves
// them, too.
func inUse(t testing.TB) string {
	t.Helper()
	d := opened(t, filepath.Join(t.TempDir(), "prices.dump"), dump.Options{}, text{"EUR", "1.07"}, text{"USD", "1"})
	writePrices(t, d)
	b, err := os.ReadFile(d.Path())
	require.NoError(t, err)
	copied := filepath.Join(t.TempDir(), "prices.dump")
	require.NoError(t, os.WriteFile(copied, b, 0o600))
	return copied
}

// changed changes the bytes of a file.
func changed(t testing.TB, path string, change func([]byte) []byte) string {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(path, change(b), 0o600))
	return path
}

// damaged has a wrong bit in the last record of the prices, which was promised.
func damaged(t testing.TB) string {
	t.Helper()
	return changed(t, prices(t), func(b []byte) []byte {
		at := bytes.LastIndex(b, []byte("USD"))
		b[at] ^= 1
		return b
	})
}

// torn has half a write at its end.
func torn(t testing.TB) string {
	t.Helper()
	return changed(t, inUse(t), func(b []byte) []byte { return b[:len(b)-5] })
}

// newer is of a format that is to come.
func newer(t testing.TB) string {
	t.Helper()
	return changed(t, prices(t), func(b []byte) []byte {
		b[8] = 2
		size := binary.LittleEndian.Uint32(b[12:])
		sum := crc32.Checksum(b[:size-4], crc32.MakeTable(crc32.Castagnoli))
		binary.LittleEndian.PutUint32(b[size-4:], sum)
		return b
	})
}

// slotDamaged has a wrong bit in one of the two length slots.
func slotDamaged(t testing.TB) string {
	t.Helper()
	return changed(t, prices(t), func(b []byte) []byte {
		b[binary.LittleEndian.Uint32(b[12:])+3] ^= 1
		return b
	})
}

// result is what a command did.
type result struct {
	code           int
	stdout, stderr string
}

// ran runs a command. The path of a file is given short in what it prints.
func ran(t testing.TB, args ...string) result {
	t.Helper()
	return ranIn(context.Background(), t, func(*console) {}, args...)
}

func ranIn(ctx context.Context, t testing.TB, change func(*console), args ...string) result {
	t.Helper()
	var stdout, stderr bytes.Buffer
	c := console{
		stdout: &stdout, stderr: &stderr,
		now: func() time.Time { return noon.Add(time.Hour) },
		fs:  dump.OS(),
	}
	change(&c)
	code := run(ctx, args, c)
	r := result{code, stdout.String(), stderr.String()}
	for _, arg := range args {
		if directory := filepath.Dir(arg); filepath.IsAbs(arg) && directory != "/" {
			r.stdout = strings.ReplaceAll(r.stdout, directory+"/", "")
			r.stderr = strings.ReplaceAll(r.stderr, directory+"/", "")
		}
	}
	return r
}

// leftovers are the files in the directory of path, but for path itself.
func leftovers(t testing.TB, path string) []string {
	t.Helper()
	entries, err := os.ReadDir(filepath.Dir(path))
	require.NoError(t, err)
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return slices.DeleteFunc(names, func(name string) bool { return name == filepath.Base(path) })
}

// brokenPipe takes some bytes, and then nobody reads any more.
type brokenPipe struct {
	left int
	err  error
}

func (p *brokenPipe) Write(b []byte) (int, error) {
	if p.left -= len(b); p.left < 0 {
		return 0, p.err
	}
	return len(b), nil
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}
