package dumptest_test

import (
	"io/fs"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestSync_that_failed_loses_what_it_was_to_save(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte(fill("o", 1024)), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, fill("n", 512), 0)
	disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Sync))
	require.ErrorIs(t, file.Sync(), syscall.EIO)
	write(t, file, fill("n", 512), 512)
	require.NoError(t, file.Sync())

	assert.Equal(t, fill("n", 1024), content(t, disk, "/data/a"), "reads see it")
	assert.Equal(t, fill("n", 1024), content(t, disk.Clone(), "/data/a"), "and so does the next process")
	for _, after := range cuts(disk) {
		require.Equal(t, fill("o", 512)+fill("n", 512), content(t, after, "/data/a"))
	}

	write(t, file, "w", 0)
	require.NoError(t, file.Sync())
	assert.Equal(t, "w"+fill("n", 1023), content(t, disk.Crash(dumptest.Nothing), "/data/a"),
		"a sector written again is saved again")
}

func TestSync_that_failed_saves_the_size_later(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte(fill("o", 512)), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, fill("n", 512), 512)
	disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Sync))
	require.ErrorIs(t, file.Sync(), syscall.EIO)
	assert.Equal(t, fill("o", 512), content(t, disk.Crash(dumptest.Nothing), "/data/a"))
	require.NoError(t, file.Sync())
	assert.Equal(t, fill("o", 512)+fill("\x00", 512), content(t, disk.Crash(dumptest.Everything), "/data/a"))
}

func TestSync_after_one_that_failed_brings_nothing_back_from_before_a_truncation(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte(fill("o", 2000)), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	require.NoError(t, file.Truncate(500))
	disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Sync))
	require.ErrorIs(t, file.Sync(), syscall.EIO)
	write(t, file, "n", 2499)
	require.NoError(t, file.Sync())
	want := fill("o", 500) + fill("\x00", 1999) + "n"
	assert.Equal(t, want, content(t, disk.Crash(dumptest.Nothing), "/data/a"))
}

func TestSync_that_failed_though_done_loses_nothing(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("o"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, "n", 0)
	disk.Inject(dumptest.FailNth(1, dumptest.Done(syscall.EIO), dumptest.Sync))
	require.ErrorIs(t, file.Sync(), syscall.EIO)
	assert.Equal(t, "n", content(t, disk.Crash(dumptest.Nothing), "/data/a"))
}

func TestSync_does_not_save_what_is_written_while_it_runs(t *testing.T) {
	t.Parallel()
	for _, meanwhile := range []string{"3", "33"} {
		disk := newDisk(t)
		require.NoError(t, disk.WriteFile("/data/a", []byte("0"), 0o600))
		file, err := disk.Open("/data/a", true)
		require.NoError(t, err)
		write(t, file, "1", 0)
		write(t, file, "2", 0)

		resume, synced := held(disk, file)
		write(t, file, meanwhile, 0)
		assert.Equal(t, "0", content(t, disk.Crash(dumptest.Nothing), "/data/a"))
		resume()
		require.NoError(t, <-synced)

		assert.Equal(t, "2", content(t, disk.Crash(dumptest.Nothing), "/data/a"))
		for _, after := range cuts(disk) {
			require.Contains(t, "2|3|33|2\x00", content(t, after, "/data/a"))
		}
		require.NoError(t, file.Sync())
		assert.Equal(t, meanwhile, content(t, disk.Crash(dumptest.Nothing), "/data/a"))
	}
}

func TestSync_that_is_overtaken_undoes_nothing(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("0"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, "1", 0)
	resume, synced := held(disk, file)
	write(t, file, "22", 0)
	require.NoError(t, file.Sync())
	resume()
	require.NoError(t, <-synced)
	write(t, file, "later", 600)
	assert.Equal(t, "22", content(t, disk.Crash(dumptest.Nothing), "/data/a"))
}

func TestClose_that_failed_loses_what_was_not_synced(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("o"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, "n", 0)
	disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Close))
	require.ErrorIs(t, file.Close(), syscall.EIO)
	require.ErrorIs(t, file.Close(), fs.ErrClosed, "it is closed nevertheless")
	assert.Equal(t, "n", content(t, disk, "/data/a"))
	assert.Equal(t, "o", content(t, disk.Crash(dumptest.Everything), "/data/a"))
}
