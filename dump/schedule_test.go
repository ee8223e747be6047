package dump_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// begun returns a dump on a new disk, with one entry in it.
func begun(t *testing.T, options dump.Options) (*keeper, *dumptest.Disk) {
	t.Helper()
	disk := newDisk(t, 1)
	k := newKeeper(disk, options)
	require.NoError(t, k.mend())
	t.Cleanup(func() {
		if k.d != nil {
			_ = k.d.Close()
		}
	})
	return k, disk
}

// async runs something that blocks.
func async(run func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- run() }()
	return done
}

func holds(t *testing.T, disk *dumptest.Disk, want map[string]string) {
	t.Helper()
	_, table, err := found(disk, dump.Options{Name: "texts"})
	require.NoError(t, err)
	require.Equal(t, brief(want), brief(table))
}

func clean(t *testing.T, disk *dumptest.Disk) {
	t.Helper()
	require.NotContains(t, strings.Join(disk.Names("/data"), " "), ".tmp-")
}

// entry puts something and does not remember it.
func entry(d *dump.Dump[string, string], key, value string) error {
	return d.Put(dump.Entry[string, string]{Key: key, Value: value})
}

func TestSync_does_not_promise_what_is_written_while_it_runs(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, entry(k.d, "a", "1"))
	reached, resume := disk.Pause(dumptest.Sync, 1)
	synced := async(k.d.Sync)
	<-reached
	require.NoError(t, entry(k.d, "b", "2"), "a write waits for no sync")
	resume()
	require.NoError(t, <-synced)
	require.Positive(t, k.d.Stats().Unsynced)
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1"})
	for seed := range uint64(30) { // the slot is there, and what was written meanwhile is not
		_, table, err := found(disk.Crash(dumptest.Some(seed)), k.options)
		require.NoError(t, err)
		require.Equal(t, "1", table["a"])
	}
	require.NoError(t, k.d.Sync())
	require.Zero(t, k.d.Stats().Unsynced)
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1", "b": "2"})
}

func TestSync_waits_for_a_new_file_that_takes_its_place(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	for _, step := range []dumptest.Kind{dumptest.Rename, dumptest.SyncDir} {
		reached, resume := disk.Pause(step, 1)
		rewritten := async(k.rewrite)
		<-reached
		synced := async(k.d.Sync)
		select {
		case err := <-synced:
			require.Fail(t, "it did not wait", "%v", err)
		case <-time.After(20 * time.Millisecond):
		}
		resume()
		require.NoError(t, <-synced)
		require.NoError(t, <-rewritten)
		holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1"})
	}
}

func TestRewrite_ends_when_the_dump_is_closed(t *testing.T) {
	t.Parallel()
	for _, at := range []dumptest.Kind{dumptest.Free, dumptest.Create, dumptest.Write, dumptest.Sync} {
		k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
		require.NoError(t, entry(k.d, "a", "1"))
		reached, resume := disk.Pause(at, 1)
		rewritten := async(func() error {
			_, err := k.d.Rewrite(context.Background(), snapshotOf(map[string]string{"other": "1"}))
			return err
		})
		<-reached
		require.NoError(t, k.d.Close())
		resume()
		require.ErrorIs(t, <-rewritten, dump.ErrClosed)
		clean(t, disk)
		holds(t, disk, map[string]string{"seed": "0", "a": "1"})
	}
}

func TestRewrite_ends_also_if_writes_are_faster(t *testing.T) {
	t.Parallel()
	for _, policy := range []dump.SyncPolicy{dump.SyncNever, dump.Buffered} {
		t.Run(policy.String(), func(t *testing.T) { rewriteInHaste(t, policy) })
	}
}

// rewriteInHaste has two writes come for each that is copied.
func rewriteInHaste(t *testing.T, policy dump.SyncPolicy) {
	const first, most = 60, 300 // writes; a copy that goes on as long as they come makes more
	k, disk := begun(t, dump.Options{Sync: policy})
	rewriting, err := k.d.BeginRewrite()
	require.NoError(t, err)
	value, want, writes := strings.Repeat("x", 100<<10), map[string]string{"seed": "0"}, 0
	write := func() error {
		writes++
		key := fmt.Sprint(writes % 50)
		want[key] = fmt.Sprint(writes, value)
		return entry(k.d, key, want[key])
	}
	for range first {
		require.NoError(t, write())
	}

	due := make(chan struct{})
	var held atomic.Bool
	writer := async(func() error {
		for range due {
			if err := write(); err != nil {
				return err
			}
			if writes > most {
				return fmt.Errorf("%d writes, and the copy goes on", writes)
			}
		}
		return nil
	})
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind != dumptest.Write || !strings.Contains(op.Path, ".tmp-") {
			return nil
		}
		for range 2 {
			if held.Load() {
				break
			}
			select {
			case due <- struct{}{}:
			case <-time.After(200 * time.Millisecond):
				held.Store(true) // the last of the copy: writes have to wait for it
			}
		}
		return nil
	})
	_, err = rewriting.Run(context.Background(), snapshotOf(map[string]string{"seed": "0"}))
	close(due)
	require.NoError(t, <-writer)
	require.NoError(t, err)
	require.NoError(t, k.d.Close())
	holds(t, disk, want)
}

func TestRewrite_fails_if_the_old_file_fails_meanwhile(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
	reached, resume := disk.Pause(dumptest.Create, 1)
	rewritten := async(func() error {
		_, err := k.d.Rewrite(context.Background(), snapshotOf(map[string]string{"other": "1"}))
		return err
	})
	<-reached
	disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Sync))
	require.ErrorIs(t, k.write(change{key: "a", value: "1"}), dump.ErrBroken)
	disk.Inject(nil)
	resume()
	require.ErrorIs(t, <-rewritten, dump.ErrBroken)
	clean(t, disk)
	require.ErrorIs(t, k.d.Broken(), syscall.EIO)
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
	require.NoError(t, k.rewrite())
	require.NoError(t, k.d.Broken())
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0"})
}

func TestRewrite_leaves_nothing_when_its_context_ends(t *testing.T) {
	t.Parallel()
	snapshot := make(map[string]string)
	for i := range 20 {
		snapshot[fmt.Sprint(i)] = strings.Repeat("x", 100<<10)
	}
	failures := 0
	for nth := 0; ; nth++ {
		calls := 0
		t.Run(fmt.Sprint("call ", nth), func(t *testing.T) {
			var failed bool
			calls, failed = rewriteCancelled(t, nth, snapshot)
			if failed {
				failures++
			}
		})
		if calls < nth {
			break
		}
		require.Less(t, nth, 100)
	}
	require.Greater(t, failures, 5)
}

// rewriteCancelled ends the context of a rewrite at the nth call of the disk, and says how many
// there were, and whether the rewrite failed.
func rewriteCancelled(t *testing.T, nth int, snapshot map[string]string) (calls int, failed bool) {
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	rewriting, err := k.d.BeginRewrite()
	require.NoError(t, err)
	for i := range 12 {
		require.NoError(t, entry(k.d, fmt.Sprint("late", i), strings.Repeat("y", 200<<10)))
	}
	var counted atomic.Int64
	disk.Inject(func(dumptest.Op) error {
		if counted.Add(1) == int64(nth) {
			cancel()
		}
		return nil
	})
	if nth <= 1 {
		cancel()
	}
	if nth == 1 { // and there is little to do
		snapshot = nil
	}
	_, err = rewriting.Run(ctx, snapshotOf(snapshot))
	disk.Inject(nil)
	if err != nil {
		failed = true
		require.ErrorIs(t, err, context.Canceled)
		require.EqualValues(t, 1, k.d.Stats().Generation)
	}
	clean(t, disk)
	require.NoError(t, entry(k.d, "after", "1"))
	require.NoError(t, k.d.Close())
	d, table, err := found(disk, k.options)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.Equal(t, "1", table["after"])
	require.Contains(t, table, "late11")
	return int(counted.Load()), failed
}

func TestWrite_fails_if_the_new_file_that_took_it_may_be_gone(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
	calls := make(chan dumptest.Op, 1000)
	disk.Inject(func(op dumptest.Op) error {
		calls <- op
		if op.Kind == dumptest.SyncDir {
			return syscall.EIO
		}
		return nil
	})
	until := func(kind dumptest.Kind, path string) {
		for op := range calls {
			if op.Kind == kind && strings.Contains(op.Path, path) {
				time.Sleep(20 * time.Millisecond) // and on, to where it waits for a lock
				return
			}
		}
	}
	// The first write's sync holds a rewrite and the second write up, in this order. So the
	// second finds itself in a new file, whose name is not sure to survive.
	reached, resume := disk.Pause(dumptest.Sync, 1)
	first := async(func() error { return entry(k.d, "a", "1") })
	<-reached
	rewritten := async(func() error {
		longer := map[string]string{"seed": strings.Repeat("0", 5000), "a": "1"}
		_, err := k.d.Rewrite(context.Background(), snapshotOf(longer))
		return err
	})
	until(dumptest.Sync, ".tmp-")
	second := async(func() error { return entry(k.d, "b", "2") })
	until(dumptest.Write, dumpPath)
	resume()
	require.NoError(t, <-first)
	require.ErrorIs(t, <-rewritten, dump.ErrBroken)
	require.ErrorIs(t, <-second, dump.ErrBroken)
	holds(t, disk.Crash(dumptest.Nothing), map[string]string{"seed": "0", "a": "1"})
}

func TestWrite_shares_syncs_with_others(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
	var writes, syncs atomic.Int64
	disk.Inject(func(op dumptest.Op) error {
		switch op.Kind {
		case dumptest.Write:
			writes.Add(1)
		case dumptest.Sync:
			syncs.Add(1)
		}
		return nil
	})
	reached, resume := disk.Pause(dumptest.Sync, 1)
	first := async(func() error { return entry(k.d, "first", "1") })
	<-reached
	const others = 20
	var wait sync.WaitGroup
	for i := range others {
		wait.Go(func() { require.NoError(t, entry(k.d, fmt.Sprint(i), "1")) })
	}
	require.Eventually(t, func() bool { return writes.Load() == 1+others }, 10*time.Second, time.Millisecond)
	resume()
	require.NoError(t, <-first)
	wait.Wait()
	require.EqualValues(t, 2, syncs.Load())
	_, table, err := found(disk.Crash(dumptest.Nothing), k.options)
	require.NoError(t, err)
	require.Len(t, table, 2+others)
}
