package dumptest_test

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestHand_is_durable_at_once_and_not_counted(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	disk.Inject(func(op dumptest.Op) error { panic(op.String()) })
	require.NoError(t, disk.WriteFile("/data/a", []byte(fill("a", 600)), 0o600))
	require.NoError(t, disk.Truncate("/data/a", 2))
	require.NoError(t, disk.FlipBit("/data/a", 8))
	require.NoError(t, disk.Symlink("a", "/data/link"))
	require.NoError(t, disk.HardLink("/data/a", "/data/b"))
	require.NoError(t, disk.Chmod("/data/b", 0o400))
	assert.Zero(t, disk.Ops())
	after := disk.Crash(dumptest.Nothing)
	require.Empty(t, after.Difference(disk))
	assert.Equal(t, "a`", content(t, after, "/data/link"))
	require.Error(t, disk.FlipBit("/data/a", 16))
	require.Error(t, disk.FlipBit("/data/none", 0))
}

func TestFlipBit_changes_what_is_seen_and_what_is_kept(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("00"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, "11", 0)
	before := disk.Clone()
	require.NoError(t, disk.FlipBit("/data/a", 1))
	assert.Equal(t, "31", content(t, disk, "/data/a"))
	assert.Equal(t, "20", content(t, disk.Crash(dumptest.Nothing), "/data/a"))
	assert.Equal(t, "11", content(t, before, "/data/a"), "a copy is another disk")
}

func TestWriteFile_is_not_undone_by_a_Sync_that_began_before(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	for range 5 {
		write(t, file, "before", 0)
	}
	resume, synced := held(disk, file)
	require.NoError(t, disk.WriteFile("/data/a", []byte("after"), 0o600))
	resume()
	require.NoError(t, <-synced)
	write(t, file, "later", 600)
	assert.Equal(t, "after", content(t, disk.Crash(dumptest.Nothing), "/data/a"))
}

func TestDifference_names_what_changed(t *testing.T) {
	t.Parallel()
	tests := []struct {
		want   string
		change func(*dumptest.Disk) error
	}{
		{"", func(d *dumptest.Disk) error { return d.WriteFile("/data/a", []byte("abc"), 0) }},
		{"/data/a: byte 1 is 0x60, not 0x62", func(d *dumptest.Disk) error { return d.FlipBit("/data/a", 9) }},
		{"/data/a: 2 bytes, not 3", func(d *dumptest.Disk) error { return d.Truncate("/data/a", 2) }},
		{"/data/a: missing", func(d *dumptest.Disk) error { return d.Remove("/data/a") }},
		{"/data/b: not in the other", func(d *dumptest.Disk) error { return d.HardLink("/data/a", "/data/b") }},
		{"/data/a: -r--------, not -rw-------", func(d *dumptest.Disk) error { return d.Chmod("/data/a", 0o400) }},
	}
	for _, tt := range tests {
		disk := newDisk(t)
		require.NoError(t, disk.WriteFile("/data/a", []byte("abc"), 0o600))
		before := disk.Clone()
		require.NoError(t, tt.change(disk))
		assert.Equal(t, tt.want, disk.Difference(before))
		assert.Equal(t, tt.want == "", disk.Equal(before))
	}
}
