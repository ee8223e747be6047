package dumptest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestLock_is_one_holders_until_it_is_closed(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	lock, err := disk.Lock("/data/a.lock")
	require.NoError(t, err)
	assert.Equal(t, []string{"a.lock"}, disk.Names("/data"))
	_, err = disk.Lock("/data/a.lock")
	require.ErrorIs(t, err, dump.ErrLocked)
	assert.ErrorContains(t, err, "process ")

	for _, copied := range []*dumptest.Disk{disk.Clone(), disk.Crash(dumptest.Everything)} {
		assert.Equal(t, []string{"a.lock"}, copied.Names("/data"), "the file stays")
		_, err = copied.Lock("/data/a.lock")
		require.NoError(t, err, "the lock does not")
	}
	require.NoError(t, lock.Close())
	require.Error(t, lock.Close())
	assert.Empty(t, disk.Names("/data"))
	_, err = disk.Lock("/data/a.lock")
	require.NoError(t, err)
}

func TestLock_is_given_back_also_where_its_file_cannot_be_removed(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	lock, err := disk.Lock("/data/a.lock")
	require.NoError(t, err)
	require.NoError(t, disk.Chmod("/data", 0o500))
	require.NoError(t, lock.Close())
	assert.Equal(t, []string{"a.lock"}, disk.Names("/data"))
	_, err = disk.Lock("/data/a.lock")
	require.NoError(t, err)
}

func TestFile_Lock_holds_under_every_name(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	require.NoError(t, disk.HardLink("/data/a", "/data/b"))
	other, err := disk.Open("/data/b", false)
	require.NoError(t, err)
	require.NoError(t, file.Lock())
	require.NoError(t, file.Lock(), "the holder has it")
	require.ErrorIs(t, other.Lock(), dump.ErrLocked)
	require.NoError(t, file.Close())
	require.NoError(t, other.Lock())
}
