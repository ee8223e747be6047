package dump_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// quitting is a codec that ends the goroutine which reads a certain value.
type quitting struct {
	dump.Codec
	on string
}

func (q quitting) Decode(encoded []byte, value any) error {
	if string(encoded) == q.on {
		runtime.Goexit()
	}
	return q.Codec.Decode(encoded, value)
}

// manyEntries is enough to make goroutines worth their while.
const manyEntries = 20_000

func manyWritten(t *testing.T) *dumptest.Disk {
	t.Helper()
	table := make(map[string]string, manyEntries)
	for i := range manyEntries {
		table[fmt.Sprint(i)] = fmt.Sprint("value ", i)
	}
	disk := newDisk(t, 1)
	d, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, string](), dump.Options{Name: "texts", FS: disk})
	require.NoError(t, err)
	_, err = d.Rewrite(t.Context(), snapshotOf(table))
	require.NoError(t, err)
	require.NoError(t, d.Close())
	return disk
}

func TestOpen_survives_codecs_that_end_their_goroutine(t *testing.T) {
	t.Parallel()
	disk := manyWritten(t)
	for _, on := range []string{"value 0", "value 10000", "value 19999"} {
		codec := quitting{dump.Raw(), on}
		_, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, string](), dump.Options{Name: "texts", FS: disk, Values: codec})
		require.ErrorIs(t, err, dump.ErrDecode)
		require.ErrorContains(t, err, "runtime.Goexit")
	}
	d, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, string](), dump.Options{Name: "texts", FS: disk})
	require.NoError(t, err, "nothing is locked")
	require.NoError(t, d.Close())
}

// spoilt is a codec that cannot read a certain value.
type spoilt struct {
	dump.Codec
	on string
}

func (s spoilt) Decode(encoded []byte, value any) error {
	if string(encoded) == s.on {
		return errors.New("spoilt")
	}
	return s.Codec.Decode(encoded, value)
}

// Damage counts for more than what cannot be decoded, wherever it is: it may be its reason.
func TestOpen_of_a_large_file_that_is_damaged_does_as_its_policy_says(t *testing.T) {
	t.Parallel()
	for _, records := range []int{1000, manyEntries} {
		disk := newDisk(t, 1)
		d, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, string](), dump.Options{Name: "texts", FS: disk})
		require.NoError(t, err)
		_, err = d.Rewrite(t.Context(), dump.Snapshot[string, string]{Entries: func(yield func(dump.Entry[string, string]) bool) {
			for i := range records {
				yield(dump.Entry[string, string]{Key: fmt.Sprint(i), Value: fmt.Sprint("value ", i)})
			}
		}})
		require.NoError(t, err)
		snapshot := d.Stats().Snapshot
		for i := range records {
			require.NoError(t, d.Put(dump.Entry[string, string]{Key: fmt.Sprint("late ", i), Value: "v"}))
		}
		end := snapshot + d.Stats().Journal
		require.NoError(t, d.Close())

		for _, place := range []int64{2000, snapshot / 2, snapshot + 40, (snapshot + end) / 2, end - 20} {
			for _, codec := range []dump.Codec{dump.Raw(), spoilt{dump.Raw(), "value 7"}, quitting{dump.Raw(), "value 7"}} {
				if _, quits := codec.(quitting); quits && records < manyEntries {
					continue // the caller's own goroutine would end
				}
				damaged := disk.Clone()
				require.NoError(t, damaged.FlipBit(dumpPath, 8*place))
				open := func(policy dump.CorruptPolicy) (*memory[string, string], dump.Recovery, error) {
					held := newMemory[string, string]()
					d, found, err := dump.Open(t.Context(), dumpPath, held, dump.Options{Name: "texts", FS: damaged, Values: codec, OnCorrupt: policy})
					if err == nil {
						_ = d.Close() // without a rewrite
					}
					return held, found, err
				}
				_, _, err := open(dump.Fail)
				require.ErrorIs(t, err, dump.ErrCorrupt)
				held, found, err := open(dump.Quarantine)
				require.NoError(t, err)
				require.Equal(t, dump.Quarantined, found.Outcome)
				require.Empty(t, held.values())
				held, found, err = open(dump.SalvagePrefix)
				switch {
				case codec == dump.Raw():
					require.NoError(t, err)
					require.Equal(t, dump.Salvaged, found.Outcome)
					require.Len(t, held.values(), found.Records)
				case found.Records > 7:
					require.ErrorIs(t, err, dump.ErrDecode)
				}
			}
		}
	}
}

func TestOpen_ends_soon_after_its_context(t *testing.T) {
	t.Parallel()
	disk := manyWritten(t)
	ctx, cancel := context.WithCancel(t.Context())
	migrated := 0
	var mu sync.Mutex
	_, _, err := dump.Open(ctx, dumpPath, newMemory[string, string](), dump.Options{
		Name: "texts", FS: disk, Schema: 2,
		Migrate: func(_ dump.Origin, _ []byte, value any) error {
			mu.Lock()
			defer mu.Unlock()
			if migrated++; migrated == 100 {
				cancel()
			}
			time.Sleep(10 * time.Microsecond)
			return nil
		},
	})
	require.ErrorIs(t, err, context.Canceled)
	require.Less(t, migrated, manyEntries/4)
	cancel()
}

// leaving is a sink that ends the goroutine which puts the nth entry.
type leaving struct {
	*memory[string, string]
	nth int
}

func (l *leaving) Put(e dump.Entry[string, string]) {
	if l.nth--; l.nth == 0 {
		runtime.Goexit()
	}
	l.memory.Put(e)
}

func TestOpen_survives_sinks_that_end_their_goroutine(t *testing.T) {
	t.Parallel()
	disk := manyWritten(t)
	for _, nth := range []int{1, manyEntries / 2, manyEntries} {
		_, _, err := dump.Open(t.Context(), dumpPath, &leaving{newMemory[string, string](), nth}, dump.Options{Name: "texts", FS: disk})
		require.ErrorIs(t, err, dump.ErrDecode)
		require.ErrorContains(t, err, "the sink called runtime.Goexit")
	}
}

// inOrder is a sink that takes one call at a time, and looks at the order.
type inOrder struct {
	calls []string // guarded by nothing: the race detector is
}

func (o *inOrder) Begin(int)                        { o.calls = nil }
func (o *inOrder) Put(e dump.Entry[string, string]) { o.calls = append(o.calls, e.Key+"="+e.Value) }
func (o *inOrder) Delete(key string)                { o.calls = append(o.calls, key) }

func TestOpen_puts_entries_one_at_a_time_in_the_order_of_the_file(t *testing.T) {
	t.Parallel()
	disk := manyWritten(t)
	d, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, string](), dump.Options{Name: "texts", FS: disk})
	require.NoError(t, err)
	for i := range 2000 {
		require.NoError(t, d.Put(dump.Entry[string, string]{Key: "same", Value: fmt.Sprint(i)}))
		if i%3 == 0 {
			require.NoError(t, d.Delete("same"))
		}
	}
	require.NoError(t, d.Close())

	var want []string
	_, err = dump.Read(t.Context(), disk, dumpPath, func(r dump.Record) error {
		if r.Deleted {
			want = append(want, string(r.Key))
		} else {
			want = append(want, string(r.Key)+"="+string(r.Value))
		}
		return nil
	})
	require.NoError(t, err)
	sink := &inOrder{}
	d, _, err = dump.Open(t.Context(), dumpPath, sink, dump.Options{Name: "texts", FS: disk})
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.True(t, reflect.DeepEqual(want, sink.calls))
}
