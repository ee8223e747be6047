package dump_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestRewrite_needs_nothing_of_a_file_that_takes_no_writes(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.Buffered})
	require.NoError(t, k.close())
	require.NoError(t, k.open()) // under its own name, which the calls below show
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind == dumptest.Write && op.Path == dumpPath {
			return syscall.EIO
		}
		return nil
	})
	require.NoError(t, k.rewrite())
	holds(t, disk.Crash(dumptest.Nothing), k.table)
}

func TestRewrite_fails_if_the_old_file_cannot_be_read(t *testing.T) {
	t.Parallel()
	for _, size := range []int{3 << 20, 100} { // copied while writes go on, and while they wait
		k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
		want := map[string]string{"seed": "0", "late": strings.Repeat("x", size)}
		rewriting, err := k.d.BeginRewrite()
		require.NoError(t, err)
		require.NoError(t, entry(k.d, "late", want["late"]))
		disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Read))
		_, err = rewriting.Run(t.Context(), snapshotOf(map[string]string{"seed": "0"}))
		disk.Inject(nil)
		require.ErrorIs(t, err, syscall.EIO)
		require.NoError(t, k.d.Broken())
		clean(t, disk)
		holds(t, disk.Clone(), want)
	}
}

func TestRewrite_does_not_replace_anything_when_its_context_has_ended(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := k.d.Rewrite(ctx, snapshotOf(nil)) // nothing to do, so nothing to interrupt
	require.ErrorIs(t, err, context.Canceled)
	clean(t, disk)
	holds(t, disk.Clone(), map[string]string{"seed": "0"})
}

// A sync that failed while more was written is known when the next one begins, and the last one
// would succeed.
func TestRewrite_does_not_forget_a_sync_that_failed_in_between(t *testing.T) {
	t.Parallel()
	large := make(map[string]string)
	for i := range 36 {
		large[string(rune('A'+i))] = strings.Repeat("x", 1<<20)
	}
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
		var syncs atomic.Int64
		disk.Inject(func(op dumptest.Op) error {
			switch op.Kind {
			case dumptest.Write:
				time.Sleep(time.Millisecond) // the sync that runs meanwhile is over
			case dumptest.Sync:
				if syncs.Add(1) == 1 {
					return syscall.EIO
				}
			}
			return nil
		})
		_, err := k.d.Rewrite(t.Context(), snapshotOf(large))
		disk.Inject(nil)
		require.ErrorIs(t, err, syscall.EIO)
		clean(t, disk)
		holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
	})
}

// stolenFrom puts somebody else's file in the place of a dump, which notices.
func stolenFrom(t *testing.T, k *keeper, disk *dumptest.Disk) {
	t.Helper()
	require.NoError(t, disk.Remove(dumpPath))
	require.NoError(t, disk.WriteFile(dumpPath, []byte("theirs"), 0o600))
	require.ErrorIs(t, k.sync(), dump.ErrStolen)
}

func TestRewrite_fails_rather_than_lose_what_it_cannot_keep(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	stolenFrom(t, k, disk)
	disk.Inject(func(op dumptest.Op) error {
		if strings.Contains(op.To, ".replaced-") {
			return syscall.EIO
		}
		return nil
	})
	err := k.rewrite()
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorContains(t, err, dumpPath)
	clean(t, disk)
	require.ErrorIs(t, k.d.Broken(), dump.ErrStolen)
	there, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(there))

	disk.Inject(nil)
	require.NoError(t, k.rewrite())
	require.Equal(t, "theirs", theirs(t, disk))
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
}

func TestRewrite_keeps_what_was_there_also_where_files_have_one_name(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	stolenFrom(t, k, disk)
	disk.Inject(dumptest.FailNth(1, syscall.EOPNOTSUPP, dumptest.Link))
	require.NoError(t, k.rewrite())
	require.Equal(t, "theirs", theirs(t, disk))
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
}

func TestRewrite_leaves_the_path_empty_at_no_moment(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	stolenFrom(t, k, disk)
	disk.Inject(func(op dumptest.Op) error {
		for _, at := range []*dumptest.Disk{disk, disk.Crash(dumptest.Nothing), disk.Crash(dumptest.Everything)} {
			_, err := at.ReadFile(dumpPath)
			require.NoError(t, err, "before %v", op)
		}
		return nil
	})
	require.NoError(t, k.rewrite())
}

func TestRewrite_keeps_nothing_because_it_could_not_be_looked_at(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, fails(disk, dumptest.Stat))
	require.ErrorIs(t, k.sync(), syscall.EIO)
	require.NoError(t, k.rewrite())
	require.Empty(t, theirs(t, disk))
}

func TestRewrite_fails_if_it_cannot_make_or_lock_the_new_file(t *testing.T) {
	t.Parallel()
	for _, kind := range []dumptest.Kind{dumptest.Create, dumptest.Lock} {
		k, disk := begun(t, named)
		require.NoError(t, fails(disk, kind))
		require.ErrorIs(t, k.rewrite(), syscall.EIO, "%v", kind)
		clean(t, disk)
		require.NoError(t, k.d.Broken())
		require.NoError(t, k.rewrite())
	}
}

func TestRewrite_does_not_begin_when_the_dump_is_closed(t *testing.T) {
	t.Parallel()
	k, _ := begun(t, named)
	d := k.d
	require.NoError(t, k.close())
	for range 2 {
		_, err := d.BeginRewrite()
		require.ErrorIs(t, err, dump.ErrClosed)
	}
}

// What came meanwhile is copied while more may come; when that was no less than what had been
// copied, writes have to wait.
func TestRewrite_copies_once_while_writes_are_faster_and_then_holds_them_up(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, k.close())
	require.NoError(t, k.open()) // under its own name, not under that of a new file
	large := strings.Repeat("x", 2<<20)
	rewriting, err := k.d.BeginRewrite()
	require.NoError(t, err)
	require.NoError(t, entry(k.d, "1", large))
	var copies atomic.Int64
	var waits <-chan error
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind != dumptest.Write || !strings.Contains(op.Path, ".tmp-") || op.Size < int64(len(large)) || copies.Load() == 2 {
			return nil
		}
		written := async(func() error { return entry(k.d, fmt.Sprint(copies.Load()+2), large) })
		select {
		case err := <-written:
			require.NoError(t, err)
			require.EqualValues(t, 1, copies.Add(1), "the second time it has to wait")
		case <-time.After(100 * time.Millisecond):
			require.EqualValues(t, 2, copies.Add(1), "the first time it need not wait")
			waits = written
		}
		return nil
	})
	_, err = rewriting.Run(t.Context(), snapshotOf(map[string]string{"seed": "0"}))
	require.NoError(t, err)
	require.NoError(t, <-waits)
	disk.Inject(nil)
	require.Less(t, k.d.Stats().Journal, int64(7<<20), "nothing was copied twice")
	require.NoError(t, k.d.Close())
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "1": large, "2": large, "3": large})
}

func TestRewrite_waits_for_the_disk_before_it_leaves_the_new_file(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	reached, resume := disk.Pause(dumptest.Sync, 1)
	defer resume()
	ctx, cancel := context.WithCancel(t.Context())
	rewritten := async(func() error {
		_, err := k.d.Rewrite(ctx, dump.Snapshot[string, string]{Entries: func(yield func(dump.Entry[string, string]) bool) {
			for i := 0; ctx.Err() == nil; i++ {
				if !yield(dump.Entry[string, string]{Key: fmt.Sprint(i % 64), Value: strings.Repeat("x", 1<<20)}) {
					return
				}
			}
		}})
		return err
	})
	<-reached // it syncs ahead
	cancel()
	select {
	case err := <-rewritten:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	resume()
	require.ErrorIs(t, <-rewritten, context.Canceled)
	clean(t, disk)
}

func TestRewrite_syncs_and_promises_also_what_came_last(t *testing.T) {
	t.Parallel()
	for _, policy := range []dump.SyncPolicy{dump.SyncNever, dump.Buffered} {
		k, disk := begun(t, dump.Options{Sync: policy})
		rewriting, err := k.d.BeginRewrite()
		require.NoError(t, err)
		require.NoError(t, entry(k.d, "sooner", "1"))
		reached, resume := disk.Pause(dumptest.Sync, 1)
		rewritten := async(func() error {
			_, err := rewriting.Run(context.Background(), snapshotOf(map[string]string{"seed": "0"}))
			return err
		})
		<-reached
		require.NoError(t, entry(k.d, "last", "1"))
		resume()
		require.NoError(t, <-rewritten)
		holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "sooner": "1", "last": "1"})
		promised(t, disk, k)
		require.EqualValues(t, 2, k.d.Stats().Rewrites)
		changes := disk.Mutations()
		require.NoError(t, k.sync())
		require.Equal(t, changes, disk.Mutations(), "all is synced, and said")
	}
}

func TestRewrite_waits_for_a_sync_that_runs(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, entry(k.d, "a", strings.Repeat("x", 10_000)))
	reached, resume := disk.Pause(dumptest.Sync, 1)
	defer resume()
	synced := async(k.d.Sync)
	<-reached
	rewritten := async(func() error {
		_, err := k.d.Rewrite(context.Background(), snapshotOf(map[string]string{"seed": "0"}))
		return err
	})
	select {
	case err := <-rewritten:
		require.Fail(t, "it did not wait", "%v", err)
	case <-time.After(100 * time.Millisecond):
	}
	resume()
	require.NoError(t, <-synced)
	require.NoError(t, <-rewritten)
	require.Zero(t, k.d.Stats().Unsynced)
}

func TestRewrite_copies_no_damage(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	rewriting, err := k.d.BeginRewrite()
	require.NoError(t, err)
	require.NoError(t, entry(k.d, "late", "1"))
	info, err := disk.Lstat(dumpPath)
	require.NoError(t, err)
	require.NoError(t, disk.FlipBit(dumpPath, 8*(info.Size()-20)))
	_, err = rewriting.Run(t.Context(), snapshotOf(map[string]string{"seed": "0"}))
	require.ErrorIs(t, err, dump.ErrCorrupt)
	clean(t, disk)
}

func TestRewrite_fails_if_what_came_meanwhile_cannot_be_copied(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	rewriting, err := k.d.BeginRewrite()
	require.NoError(t, err)
	late := strings.Repeat("x", 2<<20)
	require.NoError(t, entry(k.d, "late", late))
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind == dumptest.Write && op.Size > int64(len(late)) {
			return syscall.EIO
		}
		return nil
	})
	_, err = rewriting.Run(t.Context(), snapshotOf(map[string]string{"seed": "0"}))
	disk.Inject(nil)
	require.ErrorIs(t, err, syscall.EIO)
	holds(t, disk.Clone(), map[string]string{"seed": "0", "late": late})
}

func TestRewrite_looks_whether_a_rename_that_failed_was_done(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	disk.Inject(dumptest.FailNth(1, dumptest.Done(syscall.EIO), dumptest.Rename))
	require.NoError(t, k.rewrite())
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind == dumptest.Rename {
			require.NoError(t, disk.Remove(dumpPath))
			disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Stat))
			return syscall.EIO
		}
		return nil
	})
	require.ErrorIs(t, k.rewrite(), dump.ErrBroken)
	require.ErrorIs(t, k.d.Broken(), syscall.EIO, "it may have lost its name")
	require.NoError(t, k.rewrite())
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
}

func TestRewrite_fails_if_the_front_of_the_new_file_cannot_be_written(t *testing.T) {
	t.Parallel()
	for _, offset := range []int64{0, 512, 1024} { // the header and the slots
		k, disk := begun(t, named)
		disk.Inject(func(op dumptest.Op) error {
			if op.Kind == dumptest.Write && op.Offset == offset {
				return syscall.EIO
			}
			return nil
		})
		require.ErrorIs(t, k.rewrite(), syscall.EIO, "at %d", offset)
		disk.Inject(nil)
		clean(t, disk)
		require.NoError(t, k.rewrite())
	}
}
