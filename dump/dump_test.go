package dump_test

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// memory is a sink that is a map.
type memory[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]dump.Entry[K, V]
	begun   int
}

func newMemory[K comparable, V any]() *memory[K, V] { return &memory[K, V]{} }

func (m *memory[K, V]) Begin(int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries = make(map[K]dump.Entry[K, V])
	m.begun++
}

func (m *memory[K, V]) Put(e dump.Entry[K, V]) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.entries[e.Key] = e
}

func (m *memory[K, V]) Delete(key K) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.entries, key)
}

func (m *memory[K, V]) values() map[K]V {
	m.mu.Lock()
	defer m.mu.Unlock()
	values := make(map[K]V, len(m.entries))
	for key, e := range m.entries {
		values[key] = e.Value
	}
	return values
}

// all yields what m holds, as a snapshot.
func (m *memory[K, V]) all() dump.Snapshot[K, V] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return dump.Snapshot[K, V]{Entries: maps.Values(maps.Clone(m.entries))}
}

type texts = memory[string, string]

func open(t testing.TB, path string, o dump.Options) (*dump.Dump[string, string], *texts, dump.Recovery) {
	t.Helper()
	m := newMemory[string, string]()
	if o.Name == "" {
		o.Name = "texts"
	}
	d, found, err := dump.Open(context.Background(), path, m, o)
	require.NoError(t, err)
	t.Cleanup(func() { _ = d.Close() })
	return d, m, found
}

func put(t testing.TB, d *dump.Dump[string, string], key, value string) {
	t.Helper()
	require.NoError(t, d.Put(dump.Entry[string, string]{Key: key, Value: value, At: 7}))
}

func TestDump_gives_back_what_was_written(t *testing.T) {
	path := filepath.Join(t.TempDir(), "texts.dump")
	d, m, found := open(t, path, dump.Options{})
	require.Equal(t, dump.Absent, found.Outcome)
	require.ErrorIs(t, d.Put(dump.Entry[string, string]{Key: "a"}), dump.ErrBroken)

	for i := range 10 {
		m.Put(dump.Entry[string, string]{Key: fmt.Sprint("seed", i), Value: "s", At: 3})
	}
	_, err := d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	put(t, d, "a", "1")
	put(t, d, "b", "2")
	require.NoError(t, d.Delete("a"))
	require.NoError(t, d.Delete("seed3"))
	require.NoError(t, d.Close())

	_, m, found = open(t, path, dump.Options{})
	require.Equal(t, dump.Clean, found.Outcome)
	require.Equal(t, "2", m.values()["b"])
	require.Len(t, m.values(), 10)
	require.EqualValues(t, 7, m.entries["b"].At)
	require.EqualValues(t, 3, m.entries["seed0"].At)
}
