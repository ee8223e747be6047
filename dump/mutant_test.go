package dump_test

import (
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// The tests here are for lines that no other test would miss: each fails if one is taken out.

func TestBuffered_tells_at_once_what_it_could_not_write(t *testing.T) {
	t.Parallel()
	for name, trouble := range map[string]func(*dumptest.Disk) error{
		"write": func(disk *dumptest.Disk) error { return fails(disk, dumptest.Write) },
		"stat":  func(disk *dumptest.Disk) error { return fails(disk, dumptest.Stat) },
		"theft": func(disk *dumptest.Disk) error { return disk.Truncate(dumpPath, 5) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan error) // whoever is told may take his time
				k, disk := begun(t, dump.Options{Sync: dump.Buffered, Notify: func(err error) { told <- err }})
				require.NoError(t, trouble(disk))
				require.NoError(t, entry(k.d, "a", strings.Repeat("x", 1<<20)), "it is in the owner's memory")
				synctest.Wait() // and not for the clock, which comes later: it may be repaired by then
				select {
				case err := <-told:
					require.ErrorContains(t, err, dumpPath)
				default:
					require.Fail(t, "nobody was told")
				}
				require.ErrorIs(t, entry(k.d, "b", "2"), dump.ErrBroken)
				require.NoError(t, k.rewrite())
			})
		})
	}
}

func fails(disk *dumptest.Disk, kind dumptest.Kind) error {
	disk.Inject(dumptest.FailNth(1, syscall.EIO, kind))
	return nil
}

func TestWrite_does_not_trust_a_file_that_it_cannot_look_at(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, fails(disk, dumptest.Stat))
	err := entry(k.d, "a", "1")
	require.ErrorIs(t, err, dump.ErrBroken)
	require.ErrorIs(t, err, syscall.EIO)
	require.ErrorIs(t, entry(k.d, "b", "2"), dump.ErrBroken)
	require.NoError(t, k.rewrite())
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
}

func TestBuffered_does_not_write_again_what_it_could_not_write(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{Sync: dump.Buffered})
		require.NoError(t, entry(k.d, "a", "1"))
		disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Write))
		require.ErrorIs(t, k.sync(), syscall.EIO)
		c := countCalls(disk)
		require.ErrorIs(t, k.sync(), dump.ErrBroken)
		time.Sleep(time.Hour)
		require.ErrorIs(t, k.close(), dump.ErrBroken)
		require.Zero(t, c.of(dumptest.Write))
		require.Zero(t, c.of(dumptest.Sync))
	})
}

func TestBuffered_does_not_write_to_a_file_that_was_stolen(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.Buffered})
	before, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	require.NoError(t, entry(k.d, "a", "1"))
	require.NoError(t, disk.Truncate(dumpPath, 5))
	require.ErrorIs(t, k.sync(), dump.ErrStolen)
	require.NoError(t, disk.WriteFile(dumpPath, before, 0o600)) // as long as it was left
	require.ErrorIs(t, k.sync(), dump.ErrStolen)
	require.ErrorIs(t, k.close(), dump.ErrStolen)
	after, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	require.Equal(t, before, after)
}

func TestBuffered_takes_what_it_holds_back_into_a_new_file(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.Buffered})
	want := map[string]string{"seed": "0", "much": strings.Repeat("x", 1<<20), "little": "1"}
	rewriting, err := k.d.BeginRewrite()
	require.NoError(t, err)
	require.NoError(t, entry(k.d, "much", want["much"])) // so that it is copied ahead
	require.NoError(t, entry(k.d, "little", "1"))
	_, err = rewriting.Run(t.Context(), snapshotOf(map[string]string{"seed": "0"}))
	require.NoError(t, err)
	holds(t, disk.Crash(dumptest.Nothing), want)
}

func TestStats_count_nothing_as_unsynced_that_is_on_the_disk(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.Zero(t, k.d.Stats().Unsynced, "a new file is synced")
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	require.Positive(t, k.d.Stats().Unsynced)
	killed := disk.Clone()
	d, _, err := openedOn(t, killed, named)
	require.NoError(t, err)
	require.Zero(t, d.Stats().Unsynced, "and so is what was opened")
	holds(t, killed.Crash(dumptest.Nothing), k.table)
}

func TestStats_know_of_a_theft_and_of_what_Close_synced(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, disk.Remove(dumpPath))
	require.ErrorIs(t, k.sync(), dump.ErrStolen)
	require.ErrorIs(t, k.d.Stats().LastError, dump.ErrStolen)
	require.NoError(t, k.rewrite())
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	d := k.d
	require.NoError(t, k.close())
	require.Zero(t, d.Stats().Unsynced)
	require.NoError(t, d.Close(), "a second time")
}

func TestWrite_refuses_a_file_that_another_hand_made_longer(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	longer, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	longer = append(longer, "theirs"...)
	require.NoError(t, disk.WriteFile(dumpPath, longer, 0o600))
	require.ErrorIs(t, entry(k.d, "a", "1"), dump.ErrStolen)
	there, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	require.Equal(t, longer, there)
	require.NoError(t, k.rewrite())
	require.Equal(t, string(longer), theirs(t, disk))
}

func TestSync_writes_no_slot_to_a_file_that_broke_meanwhile(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, entry(k.d, "a", "1"))
	reached, resume := disk.Pause(dumptest.Sync, 1)
	synced := async(k.d.Sync)
	<-reached
	require.NoError(t, disk.Truncate(dumpPath, 5))
	require.ErrorIs(t, entry(k.d, "b", "2"), dump.ErrStolen)
	c := countCalls(disk)
	resume()
	if err := <-synced; err != nil { // it may have noticed, and need not
		require.ErrorIs(t, err, dump.ErrStolen)
	}
	require.Zero(t, c.of(dumptest.Write))
	require.ErrorIs(t, k.d.Broken(), dump.ErrStolen)
}

func TestClose_changes_nothing_in_a_file_that_was_only_opened(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	require.NoError(t, k.close())
	require.NoError(t, k.open())
	c := countCalls(disk)
	require.NoError(t, k.close())
	require.Zero(t, c.of(dumptest.Write))
	require.Zero(t, c.of(dumptest.Sync))
}
