package dump_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// endless is a snapshot that ends only when nobody wants more of it; then it closes ended.
func endless(ended chan<- struct{}) dump.Snapshot[string, string] {
	return dump.Snapshot[string, string]{Entries: func(yield func(dump.Entry[string, string]) bool) {
		defer close(ended)
		value := strings.Repeat("x", 1000)
		more := true
		for i := 0; more; i++ {
			more = yield(dump.Entry[string, string]{Key: fmt.Sprint(i), Value: value})
		}
	}}
}

func TestRewrite_asks_for_no_more_entries_when_it_cannot_write_them(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	disk.Inject(dumptest.FailNth(2, syscall.ENOSPC, dumptest.Write))
	_, err := k.d.Rewrite(t.Context(), endless(make(chan struct{})))
	require.ErrorIs(t, err, syscall.ENOSPC)
	clean(t, disk)
}

func TestRewrite_asks_for_no_more_entries_when_its_context_has_ended(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	ctx, cancel := context.WithCancel(t.Context())
	reached, resume := disk.Pause(dumptest.Write, 1) // the disk takes its time
	ended := make(chan struct{})
	rewritten := async(func() error {
		_, err := k.d.Rewrite(ctx, endless(ended))
		return err
	})
	<-reached
	cancel()
	<-ended
	resume()
	require.ErrorIs(t, <-rewritten, context.Canceled)
	clean(t, disk)
	require.NoError(t, entry(k.d, "a", "1"))
}

func TestRewrite_refuses_names_that_no_header_has_room_for(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, 1)
	options := dump.Options{Name: strings.Repeat("n", 1<<20), FS: disk}
	d, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, string](), options)
	require.NoError(t, err)
	_, err = d.Rewrite(t.Context(), snapshotOf(nil))
	require.ErrorContains(t, err, "use a shorter name")
	clean(t, disk)
	require.NoError(t, d.Close())
}

func TestWriteLater_does_not_wait_for_a_sync(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
	syncs := 0
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind == dumptest.Sync {
			syncs++
		}
		return nil
	})
	later := k.d.NewBatch()
	require.NoError(t, later.Put(dump.Entry[string, string]{Key: "a", Value: "1"}))
	require.NoError(t, k.d.WriteLater(later))
	require.Zero(t, syncs)
	require.NoError(t, entry(k.d, "b", "2"))
	require.Equal(t, 1, syncs)
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1", "b": "2"})
}

func TestCompact_makes_no_file_where_there_is_none(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, 1)
	require.ErrorIs(t, dump.Compact(t.Context(), disk, dumpPath), fs.ErrNotExist)
	require.Empty(t, disk.Names("/data"))
}

// Whoever has the lock may write until it is given back.
func TestOpen_reads_what_was_written_until_it_had_the_lock(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	require.NoError(t, k.close())
	shorter, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	require.NoError(t, k.open())
	require.NoError(t, k.write(change{key: "a", value: strings.Repeat("1", 5000)}))
	require.NoError(t, k.close())
	longer, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)

	require.NoError(t, disk.WriteFile(dumpPath, shorter, 0))
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind == dumptest.Lock && op.Path == dumpPath {
			return disk.WriteFile(dumpPath, longer, 0)
		}
		return nil
	})
	require.NoError(t, k.open())
	require.Len(t, k.table["a"], 5000)
}
