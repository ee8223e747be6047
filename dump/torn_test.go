package dump_test

import (
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// torn returns a disk with a file whose last write a crash tore.
func torn(t *testing.T) *dumptest.Disk {
	t.Helper()
	k, disk := begun(t, dump.Options{Sync: dump.SyncNever})
	require.NoError(t, entry(k.d, "a", "1"))
	require.NoError(t, k.d.Sync())
	disk.Inject(func(op dumptest.Op) error {
		switch op.Kind {
		case dumptest.Write:
			return dumptest.Partly(50, syscall.EIO)
		case dumptest.Truncate:
			return syscall.EIO
		}
		return nil
	})
	err := entry(k.d, "b", strings.Repeat("2", 100))
	require.ErrorIs(t, err, dump.ErrBroken)
	require.ErrorIs(t, k.d.Broken(), syscall.EIO)
	return disk.Clone()
}

// tornFar is torn, with more behind it.
func tornFar(t *testing.T) *dumptest.Disk {
	t.Helper()
	disk := torn(t)
	whole, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	require.NoError(t, disk.WriteFile(dumpPath, append(whole, make([]byte, farTorn)...), 0o600))
	return disk
}

const farTorn = 2 << 20

func TestOpen_cuts_a_torn_write_off_and_keeps_it(t *testing.T) {
	t.Parallel()
	disk := torn(t)
	d, recovery, err := openedOn(t, disk, named)
	require.NoError(t, err)
	require.Equal(t, dump.Torn, recovery.Outcome)
	require.EqualValues(t, 50, recovery.Cut)
	require.NoError(t, d.Broken())
	kept, err := disk.ReadFile(recovery.Kept)
	require.NoError(t, err)
	require.Len(t, kept, 50)
	require.NoError(t, entry(d, "c", "3"))
	holds(t, disk.Clone(), map[string]string{"seed": "0", "a": "1", "c": "3"})
}

func TestOpen_keeps_no_more_than_a_mebibyte_of_what_it_cuts_off(t *testing.T) {
	t.Parallel()
	disk := tornFar(t)
	whole, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	_, recovery, err := openedOn(t, disk, named)
	require.NoError(t, err)
	require.EqualValues(t, 50+farTorn, recovery.Cut)
	kept, err := disk.ReadFile(recovery.Kept)
	require.NoError(t, err)
	require.Len(t, kept, 1<<20)
	require.Equal(t, whole[len(whole)-50-farTorn:][:1<<20], kept)
}

// What stands behind a tear has to be looked through: it may say that this is none.
func TestOpen_takes_nothing_for_a_tear_that_it_cannot_read_to_its_end(t *testing.T) {
	t.Parallel()
	disk, reads := tornFar(t), 0
	count := func(op dumptest.Op) error {
		if op.Kind == dumptest.Read {
			reads++
		}
		return nil
	}
	once := disk.Clone()
	once.Inject(count)
	_, recovery, err := openedOn(t, once, named)
	require.NoError(t, err)
	require.NotEmpty(t, recovery.Kept)
	require.Greater(t, reads, 5)

	for nth := 1; nth < reads; nth++ {
		before, err := disk.ReadFile(dumpPath)
		require.NoError(t, err)
		disk.Inject(dumptest.FailNth(nth, syscall.EIO, dumptest.Read))
		_, _, err = openedOn(t, disk, named)
		require.ErrorIs(t, err, syscall.EIO, "read %d of %d", nth, reads)
		disk.Inject(nil)
		after, err := disk.ReadFile(dumpPath)
		require.NoError(t, err)
		require.Equal(t, before, after)
	}
	disk.Inject(dumptest.FailNth(reads, syscall.EIO, dumptest.Read)) // that of what is to be kept
	d, recovery, err := openedOn(t, disk, named)
	require.NoError(t, err)
	require.Equal(t, dump.Torn, recovery.Outcome)
	require.Empty(t, recovery.Kept)
	require.NotContains(t, strings.Join(disk.Names("/data"), " "), ".torn-")
	require.NoError(t, d.Broken())
}

func TestOpen_survives_that_a_torn_write_cannot_be_kept(t *testing.T) {
	t.Parallel()
	for _, kind := range []dumptest.Kind{dumptest.Create, dumptest.Write, dumptest.Close} {
		disk := torn(t)
		disk.Inject(func(op dumptest.Op) error {
			if op.Kind == kind && strings.Contains(op.Path, ".torn-") {
				return syscall.ENOSPC
			}
			return nil
		})
		d, recovery, err := openedOn(t, disk, named)
		require.NoError(t, err)
		require.Empty(t, recovery.Kept)
		require.NotContains(t, strings.Join(disk.Names("/data"), " "), ".torn-")
		require.NoError(t, d.Broken())
	}
}
