package dump_test

import (
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestSync_notices_that_the_file_was_stolen_and_Rewrite_brings_it_back(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		steal func(*dumptest.Disk) error
		kept  string
	}{
		{"removed", func(disk *dumptest.Disk) error { return disk.Remove(dumpPath) }, ""},
		{"replaced", func(disk *dumptest.Disk) error {
			if err := disk.Remove(dumpPath); err != nil {
				return err
			}
			return disk.WriteFile(dumpPath, []byte("theirs"), 0o600)
		}, "theirs"},
		{"cut short", func(disk *dumptest.Disk) error { return disk.Truncate(dumpPath, 5) }, "\x89DWB\r"},
	}
	notices := map[string]func(*keeper) error{
		"Sync":  (*keeper).sync,
		"Close": (*keeper).close,
		"Write": func(k *keeper) error { return k.write(change{key: "b", value: "2"}) },
	}
	for _, tt := range tests {
		for noticed, notice := range notices {
			t.Run(tt.name+"/"+noticed, func(t *testing.T) {
				t.Parallel()
				policy := dump.SyncNever
				if noticed == "Write" {
					policy = dump.SyncAlways
				}
				k, disk := begun(t, dump.Options{Sync: policy})
				require.NoError(t, k.write(change{key: "a", value: "1"}))
				d := k.d
				require.NoError(t, tt.steal(disk))
				err := notice(k)
				require.ErrorIs(t, err, dump.ErrBroken)
				require.ErrorIs(t, err, dump.ErrStolen)
				if noticed == "Close" {
					return
				}
				require.ErrorIs(t, d.Broken(), dump.ErrStolen)
				require.ErrorIs(t, k.write(change{key: "c", value: "3"}), dump.ErrStolen)

				require.NoError(t, k.rewrite())
				require.NoError(t, d.Broken())
				require.NoError(t, k.close())
				holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1"})
				require.Equal(t, tt.kept, theirs(t, disk))
			})
		}
	}
}

func TestSync_does_not_trust_a_file_that_it_cannot_look_at(t *testing.T) {
	t.Parallel()
	for nth := range 2 {
		k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		disk.Inject(dumptest.FailNth(nth+1, syscall.EIO, dumptest.Stat))
		err := k.sync()
		require.ErrorIs(t, err, dump.ErrBroken)
		require.ErrorIs(t, err, syscall.EIO)
		require.NoError(t, k.rewrite())
	}
}

// theirs is what was kept of a file that had to make room.
func theirs(t *testing.T, disk *dumptest.Disk) string {
	t.Helper()
	for _, name := range disk.Names("/data") {
		if strings.Contains(name, ".replaced-") {
			data, err := disk.ReadFile("/data/" + name)
			require.NoError(t, err)
			return string(data)
		}
	}
	return ""
}

// callCount counts the calls of one kind.
type callCount struct {
	mu    sync.Mutex
	calls map[dumptest.Kind]int
}

func countCalls(disk *dumptest.Disk) *callCount {
	c := &callCount{calls: make(map[dumptest.Kind]int)}
	disk.Inject(func(op dumptest.Op) error {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.calls[op.Kind]++
		return nil
	})
	return c
}

func (c *callCount) of(kind dumptest.Kind) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[kind]
}

func TestSyncEvery_syncs_once_an_interval_if_something_was_written(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{Sync: dump.SyncEvery(100 * time.Millisecond)})
		c := countCalls(disk)
		idle := func() {
			t.Helper()
			ops := disk.Ops()
			time.Sleep(time.Hour)
			require.Equal(t, ops, disk.Ops(), "nothing happens while nothing is written")
		}
		idle()
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		require.Zero(t, c.of(dumptest.Sync))
		time.Sleep(150 * time.Millisecond)
		require.Equal(t, 1, c.of(dumptest.Sync))
		require.Zero(t, k.d.Stats().Unsynced)
		holds(t, disk.Crash(dumptest.Nothing), k.table)
		promised(t, disk, k)
		idle()
		for range 100 {
			require.NoError(t, k.write(change{key: "a", value: "2"}))
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(150 * time.Millisecond)
		require.InDelta(t, 11, c.of(dumptest.Sync), 1)
		promised(t, disk, k)
		idle()
		require.NoError(t, k.close())
		idle()
	})
}

// promised says that a slot promises the whole file.
func promised(t *testing.T, disk *dumptest.Disk, k *keeper) {
	t.Helper()
	info, err := dump.Inspect(disk, dumpPath)
	require.NoError(t, err)
	require.Equal(t, info.Size, info.Promised)
	require.Equal(t, info.Size, k.d.Stats().Snapshot+k.d.Stats().Journal)
}

func TestSync_is_followed_by_the_slot(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	require.NoError(t, k.sync())
	promised(t, disk, k)
	changes := disk.Mutations()
	require.NoError(t, k.sync())
	require.Equal(t, changes, disk.Mutations(), "there is nothing to sync")
}

func TestSyncAlways_is_followed_by_the_slot(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		time.Sleep(1100 * time.Millisecond)
		promised(t, disk, k)
	})
}

func TestSyncNever_never_syncs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
		c := countCalls(disk)
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		time.Sleep(time.Hour)
		require.Zero(t, c.of(dumptest.Sync))
	})
}

func TestBuffered_writes_after_a_second_or_when_it_holds_much(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{Sync: dump.Buffered})
		c := countCalls(disk)
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		require.Zero(t, c.of(dumptest.Write))
		time.Sleep(1100 * time.Millisecond)
		holds(t, disk.Crash(dumptest.Nothing), k.table)
		writes := c.of(dumptest.Write)
		require.NoError(t, k.write(change{key: "b", value: strings.Repeat("x", 1<<20)}))
		require.Equal(t, writes+1, c.of(dumptest.Write))
		holds(t, disk.Clone(), k.table)
	})
}

func TestNotify_is_told_what_no_caller_hears_of(t *testing.T) {
	t.Parallel()
	for _, policy := range []dump.SyncPolicy{dump.DefaultSync, dump.Buffered} {
		for _, kind := range []dumptest.Kind{dumptest.Sync, dumptest.Write} {
			synctest.Test(t, func(t *testing.T) {
				told := make(chan error, 10)
				k, disk := begun(t, dump.Options{Sync: policy, Notify: func(err error) { told <- err }})
				require.NoError(t, k.write(change{key: "a", value: "1"}))
				disk.Inject(dumptest.FailNth(1, syscall.EIO, kind))
				time.Sleep(1100 * time.Millisecond)
				synctest.Wait()
				require.NotEmpty(t, told)
				err := <-told
				require.ErrorIs(t, err, syscall.EIO)
				require.ErrorContains(t, err, dumpPath)
				require.ErrorIs(t, k.d.Stats().LastError, syscall.EIO)
				time.Sleep(time.Hour)
			})
		}
	}
}

// The slot is written when the sync is done, and what was written meanwhile is not synced yet.
func TestSyncEvery_comes_back_also_if_the_slot_was_not_written(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k, disk := begun(t, dump.Options{})
		require.NoError(t, k.write(change{key: "a", value: "1"}))
		reached, resume := disk.Pause(dumptest.Sync, 1)
		<-reached
		require.NoError(t, k.write(change{key: "b", value: "2"}))
		disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Write))
		resume()
		time.Sleep(1500 * time.Millisecond)
		require.Zero(t, k.d.Stats().Unsynced)
		holds(t, disk.Crash(dumptest.Nothing), k.table)
	})
}
