package dumptest_test

import (
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// story makes every call once, and returns the first error of all.
func story(disk dump.FS, directory string) error {
	path := directory + "/a"
	lock, locked := disk.Lock(path + ".lock")
	file, created := disk.Create(path, 0o600)
	if err := errors.Join(locked, created); err != nil {
		return err
	}
	_, written := file.WriteAt([]byte("0123456789"), 0)
	_, read := file.ReadAt(make([]byte, 5), 0)
	_, described := file.Stat()
	_, is := file.IsAt(path)
	err := errors.Join(written, read, described, is, file.Lock(), file.Truncate(8), file.Sync(), file.Close())
	if err != nil {
		return err
	}
	_, resolved := disk.Resolve(path)
	_, seen := disk.Lstat(path)
	reader, opened := disk.Open(path, false)
	if opened != nil {
		return opened
	}
	_, listed := disk.List(directory)
	_, measured := disk.Free(directory)
	return errors.Join(resolved, seen, reader.Close(), listed, measured, disk.Rename(path, path+"b"), disk.Link(path+"b", path+"c"),
		disk.SyncDir(directory), disk.Remove(path+"b"), disk.Remove(path+"c"), lock.Close())
}

func TestInject_reaches_every_call_by_its_number(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	var kinds dumptest.Kind
	var last dumptest.Op
	disk.Inject(func(op dumptest.Op) error {
		kinds |= op.Kind
		require.Equal(t, last.N+1, op.N)
		if op.Kind&dumptest.Mutating != 0 {
			require.Equal(t, disk.Mutations(), op.Mutation)
		} else {
			require.Zero(t, op.Mutation)
		}
		last = op
		return nil
	})
	require.NoError(t, story(disk, "/data"))
	assert.Equal(t, dumptest.Any, kinds, "%v", kinds)
	assert.Equal(t, last.N, disk.Ops())
	assert.Equal(t, 11, disk.Mutations())

	for n := 1; n <= last.N; n++ {
		again := newDisk(t)
		again.Inject(dumptest.FailNth(n, syscall.EIO, dumptest.Any))
		require.ErrorIs(t, story(again, "/data"), syscall.EIO, "call %d", n)
	}
	again := newDisk(t)
	again.Inject(dumptest.FailNth(last.N+1, syscall.EIO, dumptest.Any))
	require.NoError(t, story(again, "/data"))
}

func TestFailNth_fails_one_call_and_FailFrom_all_after_it(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name string
		hook func(dumptest.Op) error
		want []bool
	}{
		{"once", dumptest.FailNth(2, syscall.EIO, dumptest.Truncate), []bool{false, true, false, false}},
		{"sticky", dumptest.FailFrom(2, syscall.EIO, dumptest.Truncate), []bool{false, true, true, true}},
		{"another kind", dumptest.FailFrom(1, syscall.EIO, dumptest.Write|dumptest.Sync), make([]bool, 4)},
	}
	for _, tt := range tests {
		disk := newDisk(t)
		file := create(t, disk, "/data/a")
		disk.Inject(tt.hook)
		var got []bool
		for size := range int64(4) {
			_, _ = file.Stat()
			got = append(got, errors.Is(file.Truncate(size), syscall.EIO))
		}
		assert.Equal(t, tt.want, got, tt.name)
		disk.Inject(nil)
		require.NoError(t, file.Truncate(9), "no hook")
	}
}

func TestInject_decides_whether_a_call_that_fails_is_done(t *testing.T) {
	t.Parallel()
	one := func(err error, kind dumptest.Kind) func(dumptest.Op) error { return dumptest.FailNth(1, err, kind) }
	tests := []struct {
		kind dumptest.Kind
		call func(*dumptest.Disk, dump.File) error
	}{
		{dumptest.Write, func(_ *dumptest.Disk, file dump.File) error {
			_, err := file.WriteAt([]byte("x"), 0)
			return err
		}},
		{dumptest.Truncate, func(_ *dumptest.Disk, file dump.File) error { return file.Truncate(1) }},
		{dumptest.Rename, func(disk *dumptest.Disk, _ dump.File) error { return disk.Rename("/data/a", "/data/b") }},
		{dumptest.Remove, func(disk *dumptest.Disk, _ dump.File) error { return disk.Remove("/data/a") }},
		{dumptest.Create, func(disk *dumptest.Disk, _ dump.File) error {
			_, err := disk.Create("/data/c", 0o600)
			return err
		}},
	}
	for _, tt := range tests {
		disk := newDisk(t)
		file := create(t, disk, "/data/a")
		before := disk.Clone()
		disk.Inject(one(syscall.EIO, tt.kind))
		require.ErrorIs(t, tt.call(disk, file), syscall.EIO, tt.kind)
		require.Empty(t, disk.Difference(before), "%v without effect", tt.kind)
		disk.Inject(one(dumptest.Done(syscall.EIO), tt.kind))
		require.ErrorIs(t, tt.call(disk, file), syscall.EIO, tt.kind)
		require.NotEmpty(t, disk.Difference(before), "%v with effect", tt.kind)
	}
}

func TestSyncDir_that_failed_keeps_nothing_unless_it_was_done(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	create(t, disk, "/data/a")
	disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.SyncDir))
	require.ErrorIs(t, disk.SyncDir("/data"), syscall.EIO)
	assert.Empty(t, disk.Crash(dumptest.Nothing).Names("/data"))
	disk.Inject(dumptest.FailNth(1, dumptest.Done(syscall.EIO), dumptest.SyncDir))
	require.ErrorIs(t, disk.SyncDir("/data"), syscall.EIO)
	assert.Equal(t, []string{"a"}, disk.Crash(dumptest.Nothing).Names("/data"))
}

func TestSyncDir_does_not_save_what_is_changed_while_it_runs(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	create(t, disk, "/data/a")
	reached, resume := disk.Pause(dumptest.SyncDir, 1)
	synced := make(chan error)
	go func() { synced <- disk.SyncDir("/data") }()
	<-reached
	create(t, disk, "/data/b")
	resume()
	require.NoError(t, <-synced)
	assert.Equal(t, []string{"a"}, disk.Crash(dumptest.Nothing).Names("/data"))
}

func TestSyncDir_that_is_overtaken_undoes_nothing(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	create(t, disk, "/data/a")
	reached, resume := disk.Pause(dumptest.SyncDir, 1)
	synced := make(chan error)
	go func() { synced <- disk.SyncDir("/data") }()
	<-reached
	create(t, disk, "/data/b")
	require.NoError(t, disk.SyncDir("/data"))
	resume()
	require.NoError(t, <-synced)
	assert.Equal(t, []string{"a", "b"}, disk.Crash(dumptest.Nothing).Names("/data"))
}

func TestPartly_does_the_first_bytes(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	for _, tt := range []struct{ err, want error }{{syscall.EFBIG, syscall.EFBIG}, {nil, io.ErrShortWrite}} {
		require.NoError(t, file.Truncate(0))
		disk.Inject(dumptest.FailNth(1, dumptest.Partly(3, tt.err), dumptest.Write))
		n, err := file.WriteAt([]byte("abcdef"), 0)
		require.ErrorIs(t, err, tt.want)
		assert.Equal(t, 3, n)
		assert.Equal(t, "abc", content(t, disk, "/data/a"))
	}
	disk.Inject(dumptest.FailNth(1, dumptest.Partly(2, syscall.EIO), dumptest.Read))
	into := make([]byte, 3)
	n, err := file.ReadAt(into, 0)
	require.ErrorIs(t, err, syscall.EIO)
	assert.Equal(t, "ab\x00", string(into))
	assert.Equal(t, 2, n)
}

func TestInject_can_cut_the_power_in_the_middle_of_a_story(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	var left []int
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind&dumptest.Mutating != 0 {
			left = append(left, len(disk.Crash(dumptest.Everything).Names("/data")))
		}
		return nil
	})
	require.NoError(t, story(disk, "/data"))
	assert.Equal(t, []int{0, 1, 2, 2, 2, 2, 2, 2, 3, 3, 2}, left)
}

func TestPause_holds_one_call_until_it_is_resumed(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	reached, resume := disk.Pause(dumptest.Write, 2)
	write(t, file, "1", 0)
	written := make(chan error)
	go func() {
		_, err := file.WriteAt([]byte("2"), 0)
		written <- err
	}()
	<-reached
	assert.Equal(t, "1", content(t, disk, "/data/a"))
	write(t, file, "3", 1)
	resume()
	resume()
	require.NoError(t, <-written)
	assert.Equal(t, "23", content(t, disk, "/data/a"))

	_, resume = disk.Pause(dumptest.Write, 1)
	resume()
	write(t, file, "4", 0)
}

func TestWrap_injects_into_any_file_system(t *testing.T) {
	t.Parallel()
	inner := newDisk(t)
	wrapped := dumptest.Wrap(inner)
	require.NoError(t, story(wrapped, "/data"))
	assert.Equal(t, inner.Ops(), wrapped.Ops())

	wrapped = dumptest.Wrap(dump.OS())
	require.NoError(t, story(wrapped, t.TempDir()))
	calls := wrapped.Ops()
	for n := 1; n <= calls; n++ {
		wrapped.Inject(dumptest.FailNth(n, syscall.EIO, dumptest.Any))
		require.ErrorIs(t, story(wrapped, t.TempDir()), syscall.EIO, "call %d", n)
	}
}
