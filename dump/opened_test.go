package dump_test

import (
	"context"
	"io/fs"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

var named = dump.Options{Name: "texts"}

func openedOn(t *testing.T, disk *dumptest.Disk, options dump.Options) (*dump.Dump[string, string], dump.Recovery, error) {
	t.Helper()
	options.FS, options.Name = disk, "texts"
	d, recovery, err := dump.Open(context.Background(), dumpPath, newMemory[string, string](), options)
	if err == nil {
		t.Cleanup(func() { _ = d.Close() })
	}
	return d, recovery, err
}

func TestOpen_closes_a_file_that_it_could_only_read(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	require.NoError(t, k.close())
	require.NoError(t, disk.Chmod(dumpPath, 0o400))
	opened, closed := 0, 0
	disk.Inject(func(op dumptest.Op) error {
		switch {
		case op.Path != dumpPath:
		case op.Kind == dumptest.Open && !op.Writable:
			opened++
		case op.Kind == dumptest.Close:
			closed++
		}
		return nil
	})
	_, _, err := openedOn(t, disk, named)
	require.ErrorIs(t, err, dump.ErrReadOnly)
	require.Equal(t, []int{1, 1}, []int{opened, closed})
}

func TestOpen_gives_what_it_read_if_it_cannot_make_the_file_fit_for_writing(t *testing.T) {
	t.Parallel()
	for _, kind := range []dumptest.Kind{dumptest.Truncate, dumptest.Sync, dumptest.SyncDir} {
		disk := torn(t)
		disk.Inject(dumptest.FailNth(1, syscall.EIO, kind))
		d, recovery, err := openedOn(t, disk, named)
		require.NoError(t, err)
		require.Equal(t, 2, recovery.Records)
		require.ErrorIs(t, d.Broken(), syscall.EIO, "%v", kind)
		require.ErrorIs(t, entry(d, "c", "3"), dump.ErrBroken)
		_, err = d.Rewrite(t.Context(), snapshotOf(map[string]string{"a": "1"}))
		require.NoError(t, err)
		require.NoError(t, d.Broken())
		require.NoError(t, entry(d, "c", "3"))
		require.NoError(t, d.Close())
		holds(t, disk.Crash(dumptest.Nothing), map[string]string{"a": "1", "c": "3"})
	}
}

func TestOpen_takes_no_other_trouble_for_damage(t *testing.T) {
	t.Parallel()
	for _, policy := range []dump.CorruptPolicy{dump.Fail, dump.Quarantine, dump.SalvagePrefix} {
		for _, kind := range []dumptest.Kind{dumptest.Read, dumptest.Stat, dumptest.Lock, dumptest.Open} {
			k, disk := begun(t, named)
			require.NoError(t, k.close())
			for nth := range 6 {
				disk.Inject(dumptest.FailNth(nth+1, syscall.EIO, kind))
				calls := disk.Ops()
				d, recovery, err := openedOn(t, disk, dump.Options{OnCorrupt: policy})
				if err == nil {
					require.Equal(t, dump.Clean, recovery.Outcome)
					if err := d.Close(); err != nil {
						require.ErrorIs(t, err, syscall.EIO)
					}
				} else {
					require.ErrorIs(t, err, syscall.EIO)
				}
				require.Greater(t, disk.Ops(), calls)
				disk.Inject(nil)
			}
			holds(t, disk.Clone(), map[string]string{"seed": "0"})
			_, _, err := openedOn(t, disk, dump.Options{OnCorrupt: policy})
			require.NoError(t, err, "nothing is locked, and nothing was moved")
		}
	}
}

func TestOpen_replaces_a_damaged_file_as_it_was_told(t *testing.T) {
	t.Parallel()
	for _, policy := range []dump.CorruptPolicy{dump.Quarantine, dump.SalvagePrefix} {
		k, disk := begun(t, named)
		first := snapshotOf(map[string]string{"seed": "0"})
		first.FreshAt, first.Partial = time.Unix(1, 0), true
		_, err := k.d.Rewrite(t.Context(), first)
		require.NoError(t, err)
		require.NoError(t, entry(k.d, "a", "1"))
		size := k.d.Stats().Snapshot + k.d.Stats().Journal
		require.NoError(t, entry(k.d, "b", "2"))
		require.NoError(t, k.close())
		require.NoError(t, disk.FlipBit(dumpPath, 8*(size+40)))
		damaged, err := disk.ReadFile(dumpPath)
		require.NoError(t, err)
		_, _, err = openedOn(t, disk, named)
		require.ErrorIs(t, err, dump.ErrCorrupt)

		d, recovery, err := openedOn(t, disk, dump.Options{OnCorrupt: policy})
		require.NoError(t, err)
		require.ErrorIs(t, recovery.Damage, dump.ErrCorrupt)
		require.ErrorIs(t, d.Broken(), dump.ErrBroken)
		require.ErrorIs(t, entry(d, "c", "3"), dump.ErrBroken)
		if policy == dump.Quarantine {
			require.True(t, recovery.Empty())
			require.Zero(t, recovery.Records)
			require.Zero(t, recovery.Cut)
			require.False(t, recovery.Partial)
			require.True(t, recovery.FreshAt.IsZero())
		} else {
			require.False(t, recovery.Empty())
			require.Equal(t, 2, recovery.Records)
			require.True(t, recovery.Partial)
			require.True(t, recovery.FreshAt.Equal(time.Unix(1, 0)))
		}
		untouched, err := disk.ReadFile(dumpPath)
		require.NoError(t, err)
		require.Equal(t, damaged, untouched)

		_, err = d.Rewrite(t.Context(), snapshotOf(map[string]string{"a": "1"}))
		require.NoError(t, err)
		require.NoError(t, d.Close())
		holds(t, disk.Crash(dumptest.Nothing), map[string]string{"a": "1"})
		kept, err := disk.ReadFile(recovery.Kept)
		require.NoError(t, err)
		require.Equal(t, damaged, kept)
	}
}

func TestRewrite_keeps_the_mode_and_gives_a_new_file_to_its_owner_alone(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	mode := func() fs.FileMode {
		info, err := disk.Lstat(dumpPath)
		require.NoError(t, err)
		return info.Mode()
	}
	require.Equal(t, fs.FileMode(0o600), mode())
	require.NoError(t, disk.Chmod(dumpPath, 0o640))
	require.NoError(t, k.rewrite())
	require.Equal(t, fs.FileMode(0o640), mode())
}

func TestRewrite_locks_the_new_file_too(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	require.NoError(t, k.rewrite())
	require.NoError(t, disk.HardLink(dumpPath, "/data/link.dump"))
	options := named
	options.FS = disk
	_, _, err := dump.Open(t.Context(), "/data/link.dump", newMemory[string, string](), options)
	require.ErrorIs(t, err, dump.ErrLocked)
	require.NoError(t, k.close())
	disk2 := disk.Clone()
	options.FS = disk2
	d, _, err := dump.Open(t.Context(), "/data/link.dump", newMemory[string, string](), options)
	require.NoError(t, err)
	_, _, err = openedOn(t, disk2, named)
	require.ErrorIs(t, err, dump.ErrLocked, "an opened file is locked as well as a new one")
	require.NoError(t, d.Close())
}

func TestRewrite_fails_if_the_disk_failed_while_more_was_written(t *testing.T) {
	t.Parallel()
	large := make(map[string]string)
	for i := range 36 {
		large[string(rune('A'+i))] = strings.Repeat("x", 1<<20)
	}
	for _, failing := range []int{1, 2, 3} {
		synctest.Test(t, func(t *testing.T) {
			k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
			disk.Inject(dumptest.FailNth(failing, syscall.EIO, dumptest.Sync))
			_, err := k.d.Rewrite(t.Context(), snapshotOf(large))
			disk.Inject(nil)
			require.ErrorIs(t, err, syscall.EIO)
			require.ErrorContains(t, err, dumpPath)
			require.ErrorIs(t, k.d.Stats().LastError, syscall.EIO)
			clean(t, disk)
			require.NoError(t, k.d.Broken())
			holds(t, disk.Clone(), map[string]string{"seed": "0"})
		})
	}
	// What was synced ahead is not all: the end comes later.
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	_, err := k.d.Rewrite(t.Context(), snapshotOf(large))
	require.NoError(t, err)
	holds(t, disk.Crash(dumptest.Nothing), large)
}

func TestRewrite_is_one_at_a_time(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	reached, resume := disk.Pause(dumptest.Create, 1)
	first := async(k.rewrite)
	<-reached
	_, err := k.d.Rewrite(t.Context(), dump.Snapshot[string, string]{})
	require.ErrorIs(t, err, dump.ErrBroken)
	resume()
	require.NoError(t, <-first)
	require.EqualValues(t, 2, k.d.Stats().Generation)
	require.NoError(t, k.rewrite())
	require.EqualValues(t, 3, k.d.Stats().Generation)
}

func TestRewrite_refuses_where_there_is_too_little_room(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	require.NoError(t, k.write(change{key: "a", value: strings.Repeat("x", 10_000)}))
	require.NoError(t, k.rewrite())
	disk.SetCapacity(15_000)
	_, err := k.d.Rewrite(t.Context(), snapshotOf(nil))
	require.ErrorIs(t, err, dump.ErrNoSpace)
	require.ErrorIs(t, k.d.Stats().LastError, dump.ErrNoSpace)
	require.NoError(t, k.d.Broken())
	disk.SetCapacity(50_000)
	require.NoError(t, k.rewrite())
}

func TestRewrite_fails_if_the_file_is_stolen_meanwhile(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	reached, resume := disk.Pause(dumptest.Create, 1)
	rewritten := async(func() error {
		_, err := k.d.Rewrite(t.Context(), snapshotOf(map[string]string{"other": "1"}))
		return err
	})
	<-reached
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	require.NoError(t, disk.Remove(dumpPath))
	require.ErrorIs(t, k.sync(), dump.ErrStolen)
	resume()
	require.ErrorIs(t, <-rewritten, dump.ErrStolen)
	clean(t, disk)
	require.NoError(t, k.rewrite())
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1"})
}

func TestClose_tells_what_failed_and_closes_all_the_same(t *testing.T) {
	t.Parallel()
	steps := map[dumptest.Kind]int{
		dumptest.Close: 2, // of the file, and of the lock
		dumptest.Write: 2, // of the marks
		dumptest.Sync:  3, // of what was written, and of the marks
	}
	for kind, calls := range steps {
		for nth := range calls {
			k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
			require.NoError(t, k.write(change{key: "a", value: "1"}))
			disk.Inject(dumptest.FailNth(nth+1, syscall.EIO, kind))
			err := k.close()
			require.ErrorIs(t, err, syscall.EIO, "%v %d", kind, nth)
			require.ErrorContains(t, err, dumpPath)
			require.NoError(t, k.open(), "nothing is locked")
		}
	}
}

func TestNotify_is_not_told_of_a_Close(t *testing.T) {
	t.Parallel()
	told := make(chan error, 10)
	k, disk := begun(t, dump.Options{Sync: dump.SyncEvery(5 * time.Millisecond), Notify: func(err error) { told <- err }})
	require.NoError(t, k.sync())
	reached, resume := disk.Pause(dumptest.Sync, 1)
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	closed := async(k.d.Close)
	<-reached
	time.Sleep(30 * time.Millisecond) // the clock comes, and waits
	resume()
	require.NoError(t, <-closed)
	time.Sleep(20 * time.Millisecond)
	require.Empty(t, told)
}

func TestClose_marks_the_file_twice(t *testing.T) {
	t.Parallel()
	for _, slot := range []int64{512, 1024} {
		k, disk := begun(t, named)
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		require.NoError(t, k.close())
		require.NoError(t, disk.FlipBit(dumpPath, 8*slot))
		_, recovery, err := openedOn(t, disk, named)
		require.NoError(t, err)
		require.True(t, recovery.SlotDamaged)
		require.Equal(t, dump.Clean, recovery.Outcome)
	}
}

func TestRewrite_makes_room_on_a_disk_that_its_own_writes_have_filled(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	disk.SetCapacity(15_000)
	require.NoError(t, entry(k.d, "a", strings.Repeat("x", 10_000)))
	require.Error(t, entry(k.d, "a", strings.Repeat("y", 5_000)))
	_, err := k.d.Rewrite(t.Context(), snapshotOf(map[string]string{"a": "short"}))
	require.NoError(t, err)
	require.NoError(t, entry(k.d, "a", strings.Repeat("y", 5_000)))
}
