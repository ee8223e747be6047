package dumptest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// seeds are how many power cuts a promise is tried on.
const seeds = 300

func newDisk(t *testing.T) *dumptest.Disk {
	t.Helper()
	disk := dumptest.NewDisk(1)
	require.NoError(t, disk.MkdirAll("/data"))
	return disk
}

func create(t *testing.T, disk dump.FS, path string) dump.File {
	t.Helper()
	file, err := disk.Create(path, 0o600)
	require.NoError(t, err)
	return file
}

func write(t *testing.T, file dump.File, data string, offset int64) {
	t.Helper()
	n, err := file.WriteAt([]byte(data), offset)
	require.NoError(t, err)
	require.Equal(t, len(data), n)
}

func content(t *testing.T, disk *dumptest.Disk, path string) string {
	t.Helper()
	data, err := disk.ReadFile(path)
	require.NoError(t, err)
	return string(data)
}

// fill returns n bytes of one letter.
func fill(letter string, n int) string { return string(bytes.Repeat([]byte(letter), n)) }

// cuts returns the disk after power cuts of all sorts.
func cuts(disk *dumptest.Disk) []*dumptest.Disk {
	after := []*dumptest.Disk{disk.Crash(dumptest.Nothing), disk.Crash(dumptest.Everything)}
	for seed := range uint64(seeds) {
		after = append(after, disk.Crash(dumptest.Some(seed)))
	}
	return after
}

// held starts a Sync of the file and returns once it is held.
func held(disk *dumptest.Disk, file dump.File) (resume func(), synced <-chan error) {
	reached, resume := disk.Pause(dumptest.Sync, 1)
	done := make(chan error, 1)
	go func() { done <- file.Sync() }()
	<-reached
	return resume, done
}

// scribble makes random calls, among files of a few names.
func scribble(t *testing.T, disk *dumptest.Disk, random *rand.Rand, calls int) {
	t.Helper()
	name := func() string { return fmt.Sprintf("/data/%d", random.IntN(4)) }
	for range calls {
		path := name()
		switch random.IntN(8) {
		case 0:
			_ = disk.Rename(path, name())
		case 1:
			_ = disk.Remove(path)
		case 2:
			_ = disk.SyncDir("/data")
		default:
			file, err := disk.Open(path, true)
			if err != nil {
				file = nil
				if created, err := disk.Create(path, 0o600); err == nil {
					file = created
				}
			}
			if file != nil {
				scratch(t, file, random)
			}
		}
	}
}

func scratch(t *testing.T, file dump.File, random *rand.Rand) {
	t.Helper()
	for range 3 {
		data := bytes.Repeat([]byte{byte('a' + random.IntN(26))}, random.IntN(1500))
		switch random.IntN(4) {
		case 0:
			require.NoError(t, file.Truncate(random.Int64N(3000)))
		case 1:
			_ = file.Sync()
		default:
			_, err := file.WriteAt(data, random.Int64N(2000))
			require.NoError(t, err)
		}
	}
	require.NoError(t, file.Close())
}
