package dump_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// sample is a file with a known history.
type sample struct {
	name string
	layout
	history map[int]state // what it held after so many records
	records int
	closed  bool
}

// samples are small files of every shape that a file can have.
func samples(t testing.TB) []sample {
	t.Helper()
	stories := []struct {
		name string
		tell func(a *author)
	}{
		{"a snapshot, closed", func(a *author) {
			a.seed(60, 24)
			a.close()
		}},
		{"batches, closed", func(a *author) {
			a.seed(10, 20)
			a.batches(12, 5, 30)
			a.close()
		}},
		{"unclean, with a promise behind", func(a *author) {
			a.seed(8, 16)
			a.batches(6, 3, 40)
			require.NoError(a.t, a.d.Sync())
			a.batches(10, 3, 40)
		}},
		{"reopened after a close and appended to", func(a *author) {
			a.seed(5, 10)
			a.batches(8, 2, 25)
			a.close()
			a.open(dump.SyncAlways)
			a.batches(12, 2, 25)
		}},
		{"compacted, and deletes behind", func(a *author) {
			a.seed(40, 12)
			a.batches(10, 6, 20)
			a.close()
			a.compact()
			a.open(dump.SyncNever)
			for _, key := range slices.Sorted(maps.Keys(a.now))[:20] {
				a.write(nil, []string{key})
			}
			a.close()
		}},
		{"large values in an empty snapshot", func(a *author) {
			a.seed(0, 0)
			a.batches(3, 1, 3000)
			require.NoError(a.t, a.d.Sync())
			a.batches(2, 2, 2000)
		}},
	}
	made := make([]sample, len(stories))
	for i, story := range stories {
		a := newAuthor(t)
		story.tell(a)
		made[i] = a.sample(story.name)
	}
	return made
}

// author writes a file and remembers what was acknowledged.
type author struct {
	t     testing.TB
	path  string
	d     *dump.Dump[string, string]
	now   map[string]stored
	acked map[int]map[string]stored
	n     int // records in the file
}

func newAuthor(t testing.TB) *author {
	a := &author{t: t, path: filepath.Join(t.TempDir(), "file"), now: map[string]stored{}}
	a.open(dump.SyncNever)
	return a
}

const sampleName = "samples"

func (a *author) open(policy dump.SyncPolicy) {
	a.t.Helper()
	d, _, err := dump.Open(context.Background(), a.path, &plain{}, dump.Options{Name: sampleName, Sync: policy})
	require.NoError(a.t, err)
	a.d = d
	a.t.Cleanup(func() { _ = d.Close() })
}

func (a *author) close() { require.NoError(a.t, a.d.Close()) }

// seed writes a snapshot of n entries.
func (a *author) seed(n, size int) {
	a.t.Helper()
	for i := range n {
		a.now[fmt.Sprintf("key%03d", i)] = stored{value(i, size), int64(i)}
	}
	_, err := a.d.Rewrite(context.Background(), dump.Snapshot[string, string]{Entries: func(yield func(dump.Entry[string, string]) bool) {
		for _, key := range slices.Sorted(maps.Keys(a.now)) {
			if e := a.now[key]; !yield(dump.Entry[string, string]{Key: key, Value: e.value, At: e.at}) {
				return
			}
		}
	}})
	require.NoError(a.t, err)
	a.restart()
}

// restart forgets the history: the file is a new one.
func (a *author) restart() {
	a.n = len(a.now)
	a.acked = map[int]map[string]stored{a.n: maps.Clone(a.now)}
}

func (a *author) compact() {
	require.NoError(a.t, dump.Compact(context.Background(), dump.OS(), a.path))
	a.restart()
}

// batches writes n batches, each of some sets and one removal of what an earlier one set.
func (a *author) batches(n, sets, size int) {
	a.t.Helper()
	for i := range n {
		entries := map[string]string{}
		for j := range sets {
			entries[fmt.Sprintf("batch%d.%d", a.n+i, j)] = value(a.n*i+j, size)
		}
		a.write(entries, slices.Sorted(maps.Keys(a.now))[:min(1, len(a.now))])
	}
}

// write writes one batch: first what is removed, then what is set.
func (a *author) write(sets map[string]string, deletes []string) {
	a.t.Helper()
	b := a.d.NewBatch()
	for _, key := range deletes {
		require.NoError(a.t, b.Delete(key))
		delete(a.now, key)
	}
	for _, key := range slices.Sorted(maps.Keys(sets)) {
		e := stored{sets[key], time.Now().UnixNano()}
		require.NoError(a.t, b.Put(dump.Entry[string, string]{Key: key, Value: e.value, At: e.at}))
		a.now[key] = e
	}
	require.NoError(a.t, a.d.Write(b))
	a.n += b.Len()
	a.acked[a.n] = maps.Clone(a.now)
}

// sample reads the file back without the package, and holds it against what was acknowledged.
func (a *author) sample(name string) sample {
	a.t.Helper()
	b, err := os.ReadFile(a.path)
	require.NoError(a.t, err)
	s := sample{name: name, layout: layoutOf(a.t, b), records: a.n}
	s.history = s.states()
	for n, contents := range a.acked {
		require.Equal(a.t, contents, s.history[n].contents, "%s: after %d records", name, n)
	}
	s.closed = s.best(all).state == slotIsClean
	return s
}

func all(int, int) bool { return true }

func value(i, size int) string {
	return strings.Repeat(fmt.Sprintf("%d/", i), size)[:size]
}

// plain is a sink for files that are read in one goroutine.
type plain struct {
	entries map[string]stored
	hint    int
}

func (p *plain) Begin(entries int) { p.entries, p.hint = map[string]stored{}, entries }

func (p *plain) Put(e dump.Entry[string, string]) { p.entries[e.Key] = stored{e.Value, e.At} }

func (p *plain) Delete(key string) { delete(p.entries, key) }
