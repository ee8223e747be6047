package dumptest_test

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestCrash_keeps_what_was_synced(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	want := fill("a", 700) + fill("b", 700)
	write(t, file, want, 0)
	require.NoError(t, file.Sync())
	require.NoError(t, disk.SyncDir("/data"))
	for _, after := range cuts(disk) {
		require.Equal(t, want, content(t, after, "/data/a"))
		require.Equal(t, []string{"a"}, after.Names("/data"))
	}
}

func TestCrash_decides_about_each_unsynced_sector_alone(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	old, changed := fill("o", 4*512), fill("n", 4*512)
	require.NoError(t, disk.WriteFile("/data/a", []byte(old), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, changed, 0)

	seen := make(map[string]bool)
	for _, after := range cuts(disk) {
		left := content(t, after, "/data/a")
		var pattern string
		for sector := 0; sector < 4*512; sector += 512 {
			one := left[sector : sector+512]
			require.Contains(t, []string{old[:512], changed[:512]}, one, "a sector is old or new")
			pattern += one[:1]
		}
		seen[pattern] = true
	}
	assert.Len(t, seen, 16, "every subset of four sectors: %v", seen)
	assert.Equal(t, old, content(t, disk.Crash(dumptest.Nothing), "/data/a"))
	assert.Equal(t, changed, content(t, disk.Crash(dumptest.Everything), "/data/a"))
}

func TestCrash_may_leave_what_a_sector_held_in_between(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("0"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, "1", 0)
	write(t, file, "2", 0)
	seen := make(map[string]bool)
	for _, after := range cuts(disk) {
		seen[content(t, after, "/data/a")] = true
	}
	assert.Equal(t, map[string]bool{"0": true, "1": true, "2": true}, seen)

	require.NoError(t, file.Sync())
	write(t, file, "3", 0)
	for _, after := range cuts(disk) {
		require.Contains(t, []string{"2", "3"}, content(t, after, "/data/a"), "nothing from before the Sync")
	}
}

func TestCrash_keeps_size_and_sectors_apart(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("head"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, fill("x", 1000), 512)

	kinds := make(map[string]bool)
	for _, after := range cuts(disk) {
		left := content(t, after, "/data/a")
		require.Equal(t, "head", left[:4])
		switch len(left) {
		case 4:
			kinds["short"] = true
		case 1512:
			for _, tail := range []string{left[512:1024], left[1024:]} {
				require.Contains(t, []string{fill("x", len(tail)), fill("\x00", len(tail))}, tail)
				kinds[tail[:1]] = true
			}
		default:
			require.Fail(t, "a size it never had", "%d", len(left))
		}
	}
	assert.Equal(t, map[string]bool{"short": true, "x": true, "\x00": true}, kinds)
}

func TestCrash_brings_nothing_back_from_before_a_truncation(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte(fill("o", 2000)), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, fill("m", 1400), 600) // was not synced either
	require.NoError(t, file.Truncate(700))
	write(t, file, fill("n", 900), 700)

	sizes := make(map[int]bool)
	for _, after := range cuts(disk) {
		left := content(t, after, "/data/a")
		sizes[len(left)] = true
		if len(left) == 1600 {
			require.NotContains(t, left[700:], "o")
			require.NotContains(t, left[700:], "m")
		}
	}
	assert.Equal(t, map[int]bool{2000: true, 700: true, 1600: true}, sizes)

	require.NoError(t, file.Sync())
	for _, after := range cuts(disk) {
		require.Equal(t, fill("o", 600)+fill("m", 100)+fill("n", 900), content(t, after, "/data/a"))
	}
}

func TestCrash_leaves_nothing_beyond_the_size(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("head"), 0o600))
	file, err := disk.Open("/data/a", true)
	require.NoError(t, err)
	write(t, file, "tail", 4)
	for _, after := range cuts(disk) {
		if len(content(t, after, "/data/a")) == 4 {
			require.NoError(t, after.Truncate("/data/a", 8))
			require.Equal(t, "head\x00\x00\x00\x00", content(t, after, "/data/a"))
		}
	}
}

func TestCrash_loses_a_name_that_was_not_synced_only_sometimes(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	file := create(t, disk, "/data/a")
	write(t, file, "x", 0)
	require.NoError(t, file.Sync())
	seen := make(map[int]bool)
	for _, after := range cuts(disk) {
		seen[len(after.Names("/data"))] = true
	}
	assert.Equal(t, map[int]bool{0: true, 1: true}, seen)
}

func TestCrash_may_keep_the_name_of_a_file_that_is_still_empty(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	write(t, create(t, disk, "/data/a"), "x", 0)
	require.NoError(t, disk.SyncDir("/data"))
	assert.Empty(t, content(t, disk.Crash(dumptest.Nothing), "/data/a"))
}

func TestCrash_leaves_a_rename_done_or_not_done(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	require.NoError(t, disk.WriteFile("/data/a", []byte("old"), 0o600))
	require.NoError(t, disk.WriteFile("/data/tmp", []byte("new"), 0o600))
	require.NoError(t, disk.Rename("/data/tmp", "/data/a"))
	seen := make(map[string]bool)
	for _, after := range cuts(disk) {
		state := fmt.Sprint(after.Names("/data"), content(t, after, "/data/a"))
		seen[state] = true
	}
	assert.Equal(t, map[string]bool{"[a tmp]old": true, "[a]new": true}, seen)

	require.NoError(t, disk.SyncDir("/data"))
	for _, after := range cuts(disk) {
		require.Equal(t, "new", content(t, after, "/data/a"))
		require.Equal(t, []string{"a"}, after.Names("/data"))
	}
}

func TestCrash_keeps_the_first_changes_of_a_directory_in_order(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	create(t, disk, "/data/a")
	create(t, disk, "/data/b")
	require.NoError(t, disk.Rename("/data/a", "/data/c"))
	require.NoError(t, disk.Remove("/data/b"))
	seen := make(map[string]bool)
	for _, after := range cuts(disk) {
		seen[fmt.Sprint(after.Names("/data"))] = true
	}
	assert.Equal(t, map[string]bool{"[]": true, "[a]": true, "[a b]": true, "[b c]": true, "[c]": true}, seen)
}

func TestCrash_of_the_same_seed_is_the_same(t *testing.T) {
	t.Parallel()
	disk := newDisk(t)
	scribble(t, disk, rand.New(rand.NewPCG(1, 2)), 100)
	different := 0
	for seed := range uint64(seeds) {
		after := disk.Crash(dumptest.Some(seed))
		require.Empty(t, after.Difference(disk.Crash(dumptest.Some(seed))))
		if !after.Equal(disk.Crash(dumptest.Some(seed + 1))) {
			different++
		}
	}
	assert.Greater(t, different, seeds/2)
}
