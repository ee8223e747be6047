package dumptest_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

var (
	_ dump.FS = (*dumptest.Disk)(nil)
	_ dump.FS = (*dumptest.Injected)(nil)
)

func TestFile_holds_what_a_slice_of_bytes_would(t *testing.T) {
	t.Parallel()
	for seed := range uint64(50) {
		random := rand.New(rand.NewPCG(seed, 1))
		disk := newDisk(t)
		file := create(t, disk, "/data/a")
		require.NoError(t, disk.SyncDir("/data"))
		var want []byte
		unsynced := [][]byte{nil} // what it was since the last Sync
		for range 60 {
			switch random.IntN(6) {
			case 0:
				want = resized(want, random.IntN(4000))
				require.NoError(t, file.Truncate(int64(len(want))))
			case 1:
				require.NoError(t, file.Sync())
				unsynced = nil
			case 2:
				disk = disk.Clone()
				var err error
				file, err = disk.Open("/data/a", true)
				require.NoError(t, err)
			default:
				data := bytes.Repeat([]byte{byte('a' + random.IntN(26))}, random.IntN(1500))
				offset := random.IntN(3000)
				if len(data) > 0 {
					want = resized(want, max(len(want), offset+len(data)))
				}
				copy(want[min(offset, len(want)):], data)
				write(t, file, string(data), int64(offset))
			}
			unsynced = append(unsynced, bytes.Clone(want))
			require.Equal(t, string(want), content(t, disk, "/data/a"))
			require.Equal(t, string(want), content(t, disk.Crash(dumptest.Everything), "/data/a"))
			require.Equal(t, string(unsynced[0]), content(t, disk.Crash(dumptest.Nothing), "/data/a"))
			for cut := range uint64(10) {
				requireOneOf(t, unsynced, content(t, disk.Crash(dumptest.Some(cut)), "/data/a"))
			}
		}
		require.NoError(t, iotest.TestReader(io.NewSectionReader(file, 0, int64(len(want))), want))
	}
}

// requireOneOf checks that the size of what is left, and each of its bytes, is one that
// the file had; or the byte never arrived.
func requireOneOf(t *testing.T, states [][]byte, left string) {
	t.Helper()
	require.True(t, slices.ContainsFunc(states, func(state []byte) bool { return len(state) == len(left) }))
	for at := range len(left) {
		had := func(state []byte) bool { return at < len(state) && state[at] == left[at] }
		if left[at] != 0 && !slices.ContainsFunc(states, had) {
			require.Failf(t, "a byte it never had", "at %d", at)
		}
	}
}

func resized(data []byte, size int) []byte {
	return append(bytes.Clone(data[:min(len(data), size)]), make([]byte, max(0, size-len(data)))...)
}

func TestClone_is_independent(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 2))
		disk := newDisk(t)
		scribble(t, disk, random, 30)
		disks := []*dumptest.Disk{disk, disk.Clone(), disk.Clone().Clone(), disk.Crash(dumptest.Some(seed))}
		for i, one := range disks {
			var before []map[string]string
			for _, other := range disks {
				before = append(before, picture(t, other))
			}
			scribble(t, one, random, 30)
			for j, other := range disks {
				if i != j {
					require.Equal(t, before[j], picture(t, other), "%d changed when %d was written", j, i)
				}
			}
		}
	}
}

// picture is all that is on a disk, and all that would be after some power cuts.
func picture(t *testing.T, disk *dumptest.Disk) map[string]string {
	t.Helper()
	all := make(map[string]string)
	states := []*dumptest.Disk{disk, disk.Crash(dumptest.Nothing)}
	for seed := range uint64(8) {
		states = append(states, disk.Crash(dumptest.Some(seed)))
	}
	for i, state := range states {
		for _, name := range state.Names("/data") {
			all[fmt.Sprint(i, name)] = content(t, state, "/data/"+name)
		}
	}
	return all
}

func TestCrash_leaves_only_what_is_kept(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		disk := newDisk(t)
		scribble(t, disk, rand.New(rand.NewPCG(seed, 5)), 40)
		require.Empty(t, disk.Crash(dumptest.Everything).Difference(disk))
		after := disk.Crash(dumptest.Some(seed))
		require.Empty(t, after.Crash(dumptest.Nothing).Difference(after))
	}
}

func TestClone_keeps_what_is_unsynced_as_unsynced(t *testing.T) {
	t.Parallel()
	for seed := range uint64(30) {
		disk := newDisk(t)
		scribble(t, disk, rand.New(rand.NewPCG(seed, 3)), 40)
		clone := disk.Clone()
		require.Empty(t, clone.Difference(disk))
		for cut := range uint64(20) {
			keep := dumptest.Some(cut)
			require.Empty(t, clone.Crash(keep).Difference(disk.Crash(keep)))
		}
	}
}

func TestDisk_has_the_errors_of_a_file_system(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("a"), 0o600))
	require.NoError(t, disk.WriteFile("/data/secret", nil, 0))
	require.NoError(t, disk.WriteFile("/data/fixed", nil, 0o400))
	require.NoError(t, disk.MkdirAll("/other/deep"))
	require.NoError(t, disk.Mknod("/data/socket", fs.ModeSocket|0o600))
	require.NoError(t, disk.Mknod("/data/pipe", fs.ModeNamedPipe|0o600))
	require.NoError(t, disk.Symlink("loop", "/data/loop"))
	pipe, err := disk.Open("/data/pipe", true)
	require.NoError(t, err)
	directory, err := disk.Open("/data", false)
	require.NoError(t, err)
	reader, err := disk.Open("/data/a", false)
	require.NoError(t, err)

	open := func(path string, writable bool) error {
		_, err := disk.Open(path, writable)
		return err
	}
	read := func(file dump.File) error {
		_, err := file.ReadAt(make([]byte, 1), 0)
		return err
	}
	list := func(path string) error {
		_, err := disk.List(path)
		return err
	}
	_, exists := disk.Create("/data/a", 0o600)
	_, readOnly := reader.WriteAt([]byte("x"), 0)
	tests := []struct {
		name      string
		got, want error
	}{
		{"open nothing", open("/data/none", false), fs.ErrNotExist},
		{"open in nothing", open("/none/a", false), fs.ErrNotExist},
		{"open in a file", open("/data/a/b", false), syscall.ENOTDIR},
		{"open what may not be read", open("/data/secret", false), fs.ErrPermission},
		{"read what may only be read", open("/data/fixed", false), nil},
		{"write what may only be read", open("/data/fixed", true), fs.ErrPermission},
		{"write a directory", open("/data", true), syscall.EISDIR},
		{"open a socket", open("/data/socket", false), syscall.ENXIO},
		{"open a circle of links", open("/data/loop", false), syscall.ELOOP},
		{"read a directory", read(directory), syscall.EISDIR},
		{"read a pipe", read(pipe), syscall.ESPIPE},
		{"write without asking to", readOnly, syscall.EBADF},
		{"create what exists", exists, fs.ErrExist},
		{"list a file", list("/data/a"), syscall.ENOTDIR},
		{"list nothing", list("/none"), fs.ErrNotExist},
		{"rename nothing", disk.Rename("/data/none", "/data/x"), fs.ErrNotExist},
		{"rename over a directory", disk.Rename("/data/a", "/data"), syscall.EXDEV},
		{"rename elsewhere", disk.Rename("/data/a", "/other/a"), syscall.EXDEV},
		{"remove nothing", disk.Remove("/data/none"), fs.ErrNotExist},
		{"remove a full directory", disk.Remove("/data"), syscall.ENOTEMPTY},
	}
	for _, tt := range tests {
		require.ErrorIs(t, tt.got, tt.want, tt.name)
	}
}

func TestDisk_describes_what_is_there(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("abc"), 0o640))
	require.NoError(t, disk.Mknod("/data/pipe", fs.ModeNamedPipe|0o600))
	require.NoError(t, disk.Symlink("a", "/data/link"))
	tests := map[string]struct {
		mode fs.FileMode
		size int64
	}{
		"/data/a":    {0o640, 3},
		"/data/pipe": {fs.ModeNamedPipe | 0o600, 0},
		"/data/link": {fs.ModeSymlink | 0o777, 1},
		"/data":      {fs.ModeDir | 0o755, 0},
	}
	for path, want := range tests {
		got, err := disk.Lstat(path)
		require.NoError(t, err)
		assert.Equal(t, want.mode, got.Mode(), path)
		assert.Equal(t, want.size, got.Size(), path)
		assert.Equal(t, want.mode.IsDir(), got.IsDir(), path)
		assert.False(t, got.ModTime().IsZero(), path)
	}
}

func TestResolve_follows_links_also_to_what_does_not_exist(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.MkdirAll("/real/deep"))
	require.NoError(t, disk.WriteFile("/real/a", []byte("a"), 0o600))
	require.NoError(t, disk.Symlink("../real", "/data/dir"))
	require.NoError(t, disk.Symlink("dir/a", "/data/a"))
	require.NoError(t, disk.Symlink("/real/deep/new", "/data/new"))
	for path, want := range map[string]string{
		"/data/a": "/real/a", "/data/dir/a": "/real/a", "/data/new": "/real/deep/new",
		"/data/none": "/data/none", "/real/../real//a": "/real/a", "real/a": "/real/a",
	} {
		got, err := disk.Resolve(path)
		require.NoError(t, err)
		assert.Equal(t, want, filepath.ToSlash(got), path)
	}
	_, err := disk.Resolve("/none/a")
	require.ErrorIs(t, err, fs.ErrNotExist)
	assert.Equal(t, "a", content(t, disk, "/data/a"))
	_, err = disk.Create("/data/new", 0o600)
	require.ErrorIs(t, err, fs.ErrExist, "a link is there")
}

func TestDisk_read_only_can_be_read(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("a"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	disk.SetReadOnly(true)
	_, err = file.WriteAt([]byte("b"), 0)
	require.ErrorIs(t, err, syscall.EROFS)
	_, err = disk.Open("/data/a", true)
	require.ErrorIs(t, err, syscall.EROFS)
	require.ErrorIs(t, disk.Remove("/data/a"), syscall.EROFS)
	_, err = disk.Open("/data/a", false)
	require.NoError(t, err)
	disk.SetReadOnly(false)
	write(t, file, "b", 0)

	require.NoError(t, disk.Chmod("/data", 0o500))
	_, err = disk.Create("/data/b", 0o600)
	require.ErrorIs(t, err, fs.ErrPermission)
	require.ErrorIs(t, disk.Rename("/data/a", "/data/b"), fs.ErrPermission)
	write(t, file, "c", 0)
}

func TestFile_outlives_its_name(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	require.NoError(t, disk.HardLink("/data/a", "/data/b"))
	at := func(path string) bool {
		is, err := file.IsAt(path)
		require.NoError(t, err)
		return is
	}
	assert.True(t, at("/data/a"))
	assert.True(t, at("/data/b"))
	require.NoError(t, disk.Symlink("a", "/data/link"))
	assert.False(t, at("/data/link"), "links are not followed")
	require.NoError(t, disk.Remove("/data/a"))
	require.NoError(t, disk.WriteFile("/data/a", []byte("another"), 0o600))
	assert.False(t, at("/data/a"))
	assert.False(t, at("/none/a"))
	write(t, file, "same", 0)
	assert.Equal(t, "same", content(t, disk, "/data/b"))
	assert.Equal(t, "another", content(t, disk, "/data/a"))
}

func TestClone_keeps_the_names_of_one_file_together(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("a"), 0o600))
	require.NoError(t, disk.HardLink("/data/a", "/data/b"))
	for _, copied := range []*dumptest.Disk{disk.Clone(), disk.Crash(dumptest.Nothing)} {
		require.NoError(t, copied.WriteFile("/data/b", []byte("b"), 0o600))
		assert.Equal(t, "b", content(t, copied, "/data/a"))
	}
}

func TestSetCapacity_ends_writes_in_part(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte(fill("a", 600)), 0o600))
	disk.SetCapacity(1000)
	free := func() int64 {
		bytes, err := disk.Free("/data")
		require.NoError(t, err)
		return bytes
	}
	require.EqualValues(t, 400, free())
	file := create(t, disk, "/data/b")
	n, err := file.WriteAt([]byte(fill("b", 500)), 0)
	require.ErrorIs(t, err, syscall.ENOSPC)
	assert.Equal(t, 400, n)
	assert.Equal(t, fill("b", 400), content(t, disk, "/data/b"))
	assert.Zero(t, free())
	write(t, file, fill("c", 400), 0) // in place
	require.ErrorIs(t, file.Truncate(401), syscall.ENOSPC)
	require.ErrorIs(t, disk.Clone().Rename("/data/none", "/data/b"), fs.ErrNotExist)

	require.NoError(t, file.Truncate(100))
	assert.EqualValues(t, 300, free())
	for _, copied := range []*dumptest.Disk{disk.Clone(), disk.Crash(dumptest.Everything)} {
		bytes, err := copied.Free("/data")
		require.NoError(t, err)
		assert.EqualValues(t, 300, bytes)
	}
	require.NoError(t, disk.Rename("/data/b", "/data/a"))
	assert.EqualValues(t, 900, free(), "what was replaced is gone")
	require.NoError(t, disk.Remove("/data/a"))
	assert.EqualValues(t, 900, free(), "it is still open")
	require.NoError(t, file.Close())
	assert.EqualValues(t, 1000, free())

	disk.SetCapacity(-1)
	write(t, create(t, disk, "/data/c"), fill("c", 5000), 0)
}

func TestDisk_can_be_used_by_many_goroutines(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	shared := create(t, disk, "/data/shared")
	start := make(chan struct{})
	var done sync.WaitGroup
	for worker := range uint64(4) {
		done.Go(func() {
			<-start
			for at := range int64(3000) {
				_, _ = shared.WriteAt([]byte("shared"), at)
				_, _ = shared.ReadAt(make([]byte, 6), at)
			}
			random := rand.New(rand.NewPCG(worker, 4))
			for range 20 {
				scribble(t, disk, random, 5)
				scribble(t, disk.Clone(), random, 5)
				scribble(t, disk.Crash(dumptest.Some(worker)), random, 5)
			}
		})
	}
	close(start)
	done.Wait()
}
