package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

func TestExport_has_each_live_entry_once_in_valid_lines(t *testing.T) {
	d := opened[int64, string](t, missing(t), dump.Options{})
	want := make(map[int64]string)
	for i := range int64(5000) {
		key, value := i%1000-500, fmt.Sprint("value\x1b ", i)
		require.NoError(t, d.Put(entry(pair[int64, string]{key, value})))
		want[key] = value
		if i%7 == 0 {
			require.NoError(t, d.Delete(key))
			delete(want, key)
		}
	}
	require.NoError(t, d.Close())
	for _, args := range [][]string{{"export"}, {"export", "-sorted"}} {
		out := ran(t, append(args, d.Path())...)
		require.Equal(t, exitOK, out.code, out.stderr)
		got := make(map[int64]string)
		for line := range strings.Lines(out.stdout) {
			var e struct {
				Key   int64
				Value string
			}
			require.NoError(t, json.Unmarshal([]byte(line), &e), line)
			require.NotContains(t, got, e.Key, "twice")
			got[e.Key] = e.Value
		}
		require.Equal(t, want, got)
	}
}

func TestExport_to_a_file_is_complete_or_not_there(t *testing.T) {
	path := prices(t)
	target := filepath.Join(t.TempDir(), "prices.jsonl")
	require.Equal(t, result{exitOK, "", ""}, ran(t, "export", path, "-o", target))
	b, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, ran(t, "export", path).stdout, string(b))
	require.Empty(t, leftovers(t, target))
}

func TestExport_to_a_file_keeps_what_a_damaged_dump_still_has(t *testing.T) {
	path := damaged(t)
	target := filepath.Join(t.TempDir(), "prices.jsonl")
	require.Equal(t, exitDamaged, ran(t, "export", path, "-o", target).code)
	b, err := os.ReadFile(target)
	require.NoError(t, err)
	require.Equal(t, 3, bytes.Count(b, []byte("\n")))
}

func TestExport_never_writes_over_the_dump_itself(t *testing.T) {
	path := prices(t)
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	got := ran(t, "export", path, "-o", link)
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "this is the dump itself: give -o another name")
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestExport_refuses_to_replace_what_is_no_file(t *testing.T) {
	got := ran(t, "export", prices(t), "-o", t.TempDir())
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "-o is for a regular file")
}

// interrupting cancels when a file is read for the nth time.
type interrupting struct {
	dump.FS
	left   *int
	cancel func()
}

func (i interrupting) Open(path string, writable bool) (dump.File, error) {
	file, err := i.FS.Open(path, writable)
	return interruptingFile{file, i}, err
}

type interruptingFile struct {
	dump.File
	interrupting
}

func (f interruptingFile) Lock() error { return f.File.Lock() }

func (f interruptingFile) ReadAt(b []byte, offset int64) (int, error) {
	if *f.left--; *f.left == 0 {
		f.cancel()
	}
	return f.File.ReadAt(b, offset)
}

// large has several windows' worth of values.
func large(t testing.TB) string {
	t.Helper()
	var pairs []text
	for i := range 64 {
		pairs = append(pairs, text{fmt.Sprint("key", i), strings.Repeat("v", 64<<10)})
	}
	return made(t, dump.Options{}, pairs...)
}

func TestInterrupt_leaves_nothing_behind(t *testing.T) {
	path := large(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	for _, args := range [][]string{{"compact", path}, {"export", path, "-o", filepath.Join(filepath.Dir(path), "out")}, {"list", path}, {"get", path, "key1"}, {"verify", path}} {
		for n := 4; n < 9; n++ {
			ctx, cancel := context.WithCancel(context.Background())
			left := n
			got := ranIn(ctx, t, func(c *console) { c.fs = interrupting{dump.OS(), &left, cancel} }, args...)
			cancel()
			require.Equal(t, exitInterrupted, got.code, "%s: %s", args[0], got.stderr)
			require.Equal(t, "dwdump: interrupted\n", got.stderr)
			require.Empty(t, leftovers(t, path), args[0])
		}
	}
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestExport_reads_one_file_whatever_takes_its_place(t *testing.T) {
	path := prices(t)
	want := ran(t, "export", path)
	before := read(t, path)
	for n := 1; n < 16; n++ {
		replace := func() {
			require.NoError(t, os.Rename(made(t, dump.Options{}, text{"JPY", "170"}), path))
		}
		for _, args := range [][]string{{"export", path}, {"export", "-sorted", path}} {
			left := n
			got := ranIn(context.Background(), t, func(c *console) { c.fs = interrupting{dump.OS(), &left, replace} }, args...)
			require.Equal(t, exitOK, got.code)
			require.Len(t, got.stdout, len(want.stdout), "replaced at reading %d: %s", n, got.stdout)
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.WriteFile(path, before, 0o600))
		}
	}
}

func TestExport_says_so_if_the_file_is_changed_under_it(t *testing.T) {
	path := prices(t)
	for _, args := range [][]string{{"export", path}, {"export", "-sorted", path}} {
		before, noticed := read(t, path), 0
		for n := 1; n < 16; n++ {
			left := n
			spoil := func() {
				require.NoError(t, os.WriteFile(path, bytes.Replace(before, []byte("1.0812"), []byte("9.9999"), 1), 0o600))
			}
			got := ranIn(context.Background(), t, func(c *console) { c.fs = interrupting{dump.OS(), &left, spoil} }, args...)
			require.NotContains(t, got.stdout, "9.9999")
			if got.code == exitUsage {
				require.Contains(t, got.stderr, "changed by another hand")
				noticed++
			}
			require.NoError(t, os.WriteFile(path, before, 0o600))
		}
		require.Positive(t, noticed)
	}
}

func TestExport_needs_no_memory_for_the_values(t *testing.T) {
	d := opened[string, string](t, missing(t), dump.Options{})
	for i := range 12 {
		require.NoError(t, d.Put(entry(text{fmt.Sprint(i), strings.Repeat("v", 8<<20)}))) // 96 MiB
	}
	require.NoError(t, d.Close())
	path := d.Path()
	for _, args := range [][]string{{"export", path}, {"export", "-sorted", path}, {"list", path}, {"get", path, "7"}} {
		runtime.GC()
		meter := &heapMeter{}
		got := ranIn(context.Background(), t, func(c *console) { c.stdout = meter; c.fs = meteredFS{dump.OS(), meter} }, args...)
		require.Equal(t, exitOK, got.code)
		require.Less(t, meter.most, uint64(64<<20), args)
	}
}

// heapMeter looks at the memory in use at every write and read.
type heapMeter struct{ most uint64 }

func (m *heapMeter) look() {
	var stats runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&stats)
	m.most = max(m.most, stats.HeapAlloc)
}

func (m *heapMeter) Write(b []byte) (int, error) {
	m.look()
	return len(b), nil
}

type meteredFS struct {
	dump.FS
	meter *heapMeter
}

func (m meteredFS) Open(path string, writable bool) (dump.File, error) {
	file, err := m.FS.Open(path, writable)
	return meteredFile{file, m.meter}, err
}

type meteredFile struct {
	dump.File
	meter *heapMeter
}

func (f meteredFile) ReadAt(b []byte, offset int64) (int, error) {
	f.meter.look()
	return f.File.ReadAt(b, offset)
}

func TestOutput_that_cannot_be_written_is_a_failure(t *testing.T) {
	got := ranIn(context.Background(), t, func(c *console) { c.stdout = &brokenPipe{100, os.ErrDeadlineExceeded} }, "export", large(t))
	require.Equal(t, exitUsage, got.code)
	require.Contains(t, got.stderr, "dwdump: writing the output: ")
}
