package dump_test

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataworker-go/dataworker/dump"
)

const (
	diskSize = 1 << 20
	fillings = 20
	limitEnv = "DUMP_TEST_LIMIT"
)

// A disk that is full is an error to those who write, and to nobody else; when there is room
// again all goes on.
func TestDisk_that_is_full_loses_nothing_and_recovers(t *testing.T) {
	t.Parallel()
	directory := t.TempDir()
	if err := unix.Mount("dump", directory, "tmpfs", 0, fmt.Sprint("size=", diskSize)); err != nil {
		t.Skipf("no disk to fill: %v", err)
	}
	t.Cleanup(func() { require.NoError(t, unix.Unmount(directory, unix.MNT_DETACH)) })
	ballast := filepath.Join(directory, "ballast")
	load := func() { require.NoError(t, os.WriteFile(ballast, make([]byte, 2*diskSize/3), 0o600)) }
	for _, policy := range allPolicies {
		f := newFilling(t, filepath.Join(directory, policy.String()), policy)
		for range fillings {
			load()
			f.fill(unix.ENOSPC)
			if policy != dump.Buffered { // whose dump is broken now, so it does not come to that
				_, err := f.d.Rewrite(t.Context(), snapshotOf(f.table))
				require.ErrorIs(t, err, dump.ErrNoSpace)
			}
			f.look()
			require.NoError(t, os.Remove(ballast))
			f.empty()
		}
		require.NoError(t, f.d.Close())
		require.NoError(t, os.Remove(f.path))
	}
}

// The same without a disk of its own: the process may make no file longer than this.
func TestDisk_that_is_full_can_also_be_a_limit(t *testing.T) {
	t.Parallel()
	child := exec.Command(os.Args[0], "-test.run=^TestLimit_is_not_a_test$", "-test.v") //nolint:gosec // it is this binary
	child.Env = append(os.Environ(), limitEnv+"="+t.TempDir())
	output, err := child.CombinedOutput()
	require.NoError(t, err, "%s", output)
	require.NotContains(t, string(output), "--- SKIP")
}

// TestLimit_is_not_a_test: it needs a process whose files are bounded.
func TestLimit_is_not_a_test(t *testing.T) {
	directory := os.Getenv(limitEnv)
	if directory == "" {
		t.Skip("its files are not bounded")
	}
	signal.Ignore(unix.SIGXFSZ)
	require.NoError(t, unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: diskSize, Max: diskSize}))
	for _, policy := range allPolicies {
		f := newFilling(t, filepath.Join(directory, policy.String()), policy)
		for range fillings {
			f.fill(unix.EFBIG)
			f.look()
			f.empty()
		}
		require.NoError(t, f.d.Close())
	}
}

// filling is a dump that is written until there is no room.
type filling struct {
	*testing.T
	path    string
	options dump.Options
	d       *dump.Dump[string, string]
	table   map[string]string
	number  int
}

func newFilling(t *testing.T, path string, policy dump.SyncPolicy) *filling {
	f := &filling{T: t, path: path, options: dump.Options{Sync: policy}, table: map[string]string{"seed": "0"}}
	f.d, _, _ = open(t, path, f.options)
	_, err := f.d.Rewrite(t.Context(), snapshotOf(f.table))
	require.NoError(t, err)
	return f
}

// fill writes until there is no room. Then it goes on with what is smaller.
func (f *filling) fill(full error) {
	for _, size := range []int{50_000, 5000, 500} {
		for {
			f.number++
			key, value := fmt.Sprint(f.number), strings.Repeat(fmt.Sprint(f.number%10), size)
			err := entry(f.d, key, value)
			if err != nil {
				f.mustBe(err, full)
				break
			}
			f.table[key] = value
		}
	}
}

// mustBe requires the right error. With Buffered it comes when it is too late for the writes
// that were acknowledged, so the dump is broken.
func (f *filling) mustBe(err, full error) {
	require.ErrorIs(f, err, full)
	require.ErrorContains(f, err, f.path)
	if f.options.Sync == dump.Buffered {
		require.ErrorIs(f, f.d.Broken(), full)
		return
	}
	require.NoError(f, f.d.Broken())
}

// look reads the file while there is no room, and lets the dump be closed.
func (f *filling) look() {
	broken := f.d.Broken() != nil
	err := f.d.Close()
	require.True(f, err == nil && !broken || errors.Is(err, dump.ErrBroken), "%v", err)
	var m *texts
	f.d, m, _ = open(f, f.path, f.options)
	found := m.values()
	if f.options.Sync == dump.Buffered {
		for key, value := range found {
			require.Equal(f, f.table[key], value)
		}
		f.table = found
		return
	}
	require.True(f, maps.Equal(f.table, found), "%d found of %d", len(found), len(f.table))
}

// empty keeps little, now that there is room.
func (f *filling) empty() {
	for key := range f.table {
		if len(f.table) > 3 {
			delete(f.table, key)
		}
	}
	_, err := f.d.Rewrite(f.Context(), snapshotOf(f.table))
	require.NoError(f, err)
	require.NoError(f, entry(f.d, "room", "again"))
	f.table["room"] = "again"
	require.NoError(f, f.d.Sync())
}
