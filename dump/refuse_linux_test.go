package dump_test

import (
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/dataworker-go/dataworker/dump"
)

func TestOpen_refuses_a_named_pipe_and_does_not_wait_for_it(t *testing.T) {
	path := filepath.Join(t.TempDir(), "pipe")
	require.NoError(t, syscall.Mkfifo(path, 0o600))
	refused(t, path, openTexts, dump.ErrNotRegular, "named pipe", "give the path of a file")
	link := filepath.Join(t.TempDir(), "link")
	require.NoError(t, os.Symlink(path, link))
	require.ErrorIs(t, openTexts(link), dump.ErrNotRegular)
	require.ErrorIs(t, openTexts("/dev/null"), dump.ErrNotRegular)
}

// asNobody does something as a user who owns nothing. To the superuser permissions are nothing.
func asNobody(t *testing.T, directory string, do func()) {
	t.Helper()
	if os.Geteuid() != 0 {
		do()
		return
	}
	// The temporary directory of a test is inside one that is for its user alone.
	require.NoError(t, os.Chmod(filepath.Dir(directory), 0o755))
	const nobody = 65534
	runtime.LockOSThread() // the identity is that of the thread
	defer runtime.UnlockOSThread()
	_, err := unix.SetfsuidRetUid(nobody)
	require.NoError(t, err)
	defer func() {
		_, err := unix.SetfsuidRetUid(0)
		require.NoError(t, err)
	}()
	do()
}

func TestOpen_refuses_what_it_has_no_permission_for(t *testing.T) {
	for _, tt := range []struct {
		name            string
		file, directory os.FileMode
		kind            error
		says            []string
	}{
		{"a file that cannot be read", 0o000, 0o777, dump.ErrIO, []string{"opening", "permission denied"}},
		{"a file that can only be written", 0o222, 0o777, dump.ErrIO, []string{"opening", "permission denied"}},
		{"a file that can only be read", 0o444, 0o777, dump.ErrReadOnly, []string{"read and not written"}},
		{"a directory that can only be read", 0o666, 0o555, dump.ErrReadOnly, []string{"lock"}},
		{"a directory that cannot be entered", 0o666, 0o000, dump.ErrIO, []string{"permission denied"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := goodFile(t)
			directory := filepath.Dir(path)
			require.NoError(t, os.Chmod(path, tt.file))
			require.NoError(t, os.Chmod(directory, tt.directory))
			t.Cleanup(func() { _ = os.Chmod(directory, 0o700) })
			for _, policy := range []dump.CorruptPolicy{dump.Fail, dump.Quarantine, dump.SalvagePrefix} {
				refused(t, path, func(path string) (err error) {
					asNobody(t, directory, func() {
						err = openAs[string, string](path, dump.Options{Name: "texts", OnCorrupt: policy})
					})
					return err
				}, tt.kind, tt.says...)
			}
		})
	}
}

// Whoever may not read a directory does not know if there is a file.
func TestOpen_never_starts_with_nothing_where_it_cannot_look(t *testing.T) {
	directory := t.TempDir()
	require.NoError(t, os.Chmod(directory, 0o000))
	t.Cleanup(func() { _ = os.Chmod(directory, 0o700) })
	asNobody(t, directory, func() {
		require.ErrorIs(t, openTexts(filepath.Join(directory, "texts.dump")), dump.ErrIO)
	})
}
