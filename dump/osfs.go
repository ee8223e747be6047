package dump

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"github.com/gofrs/flock"
)

// OS returns the file system of the operating system.
func OS() FS { return osFS{} }

type osFS struct{}

func (osFS) Resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	resolved, err := filepath.EvalSymlinks(path)
	if err == nil || !os.IsNotExist(err) {
		return resolved, err
	}
	// A link to a file that does not exist yet leads to where it will be made.
	for range maxLinks {
		target, err := os.Readlink(path)
		if err != nil {
			break
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(path), target)
		}
		path = target
	}
	directory, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	return filepath.Join(directory, filepath.Base(path)), nil
}

const maxLinks = 40

func (osFS) Lstat(path string) (fs.FileInfo, error) { return os.Lstat(path) }

func (osFS) Open(path string, writable bool) (File, error) {
	flag := os.O_RDONLY
	if writable {
		flag = os.O_RDWR
	}
	return asFile(os.OpenFile(path, flag|syscall.O_NONBLOCK, 0))
}

func (osFS) Create(path string, mode fs.FileMode) (File, error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return nil, err
	}
	if err := file.Chmod(mode); err != nil { // the umask is for those who choose no mode
		_ = file.Close()
		_ = os.Remove(path)
		return nil, err
	}
	return osFile{file}, nil
}

func asFile(file *os.File, err error) (File, error) {
	if err != nil {
		return nil, err
	}
	return osFile{file}, nil
}

func (osFS) Rename(from, to string) error { return os.Rename(from, to) }

func (osFS) Link(from, to string) error { return os.Link(from, to) }

func (osFS) Remove(path string) error { return os.Remove(path) }

func (osFS) List(directory string) ([]string, error) {
	opened, err := os.Open(directory)
	if err != nil {
		return nil, err
	}
	defer opened.Close() //nolint:errcheck // it was only read
	return opened.Readdirnames(-1)
}

func (osFS) SyncDir(directory string) error { return syncDirectory(directory) }

func (osFS) Free(directory string) (int64, error) { return freeSpace(directory) }

// Lock uses a file beside the one that it is for, because that is replaced. The file is
// removed before the lock is given back, so one that was locked may be one that has no name
// any more, and then it was the wrong one.
func (osFS) Lock(path string) (io.Closer, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	for {
		if info, err := os.Lstat(path); err == nil && !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is a %s, and should be a lock file of ours: remove it", path, modeName(info.Mode()))
		}
		lock := flock.New(path, flock.SetFlag(os.O_CREATE|os.O_RDWR), flock.SetPermissions(0o600))
		locked, err := lock.TryLock()
		if err != nil {
			return nil, err
		}
		if !locked {
			return nil, fmt.Errorf("%w: %s has it open", ErrLocked, holder(path))
		}
		if named(lock, path) {
			// For the message of those who come too late; the lock holds without.
			_ = os.WriteFile(path, fmt.Appendln(nil, os.Getpid()), 0o600)
			return &osLock{lock}, nil
		}
		if err := lock.Close(); err != nil {
			return nil, err
		}
	}
}

// named says whether a locked file is the one at path.
func named(lock *flock.Flock, path string) bool {
	locked, err := lock.Stat()
	there, failed := os.Lstat(path)
	return err == nil && failed == nil && os.SameFile(locked, there)
}

type osLock struct{ *flock.Flock }

// Close gives the lock back. Where a file that is open cannot be removed, it stays, and
// harms nobody.
func (l *osLock) Close() error {
	_ = os.Remove(l.Path())
	return l.Flock.Close()
}

// holder is the process that wrote its number into a lock file, if it is one.
func holder(path string) string {
	const unknown = "another process"
	file, err := os.Open(path)
	if err != nil {
		return unknown
	}
	defer file.Close() //nolint:errcheck // it was only read
	text := make([]byte, 20)
	n, _ := file.Read(text)
	pid, err := strconv.Atoi(strings.TrimSpace(string(text[:n])))
	if err != nil {
		return unknown
	}
	return fmt.Sprint("process ", pid)
}

type osFile struct{ *os.File }

func (f osFile) Sync() error { return syncData(f.File) }

func (f osFile) Lock() error {
	if err := lockFile(f.File); err != nil {
		return fmt.Errorf("%w: somebody has it open, perhaps under another name: %w", ErrLocked, err)
	}
	return nil
}

// Close gives back the lock itself, and does not leave it to the end of the descriptor: a
// process that is being started has a copy of that, for a moment.
func (f osFile) Close() error {
	unlockFile(f.File)
	return f.File.Close()
}

func (f osFile) IsAt(path string) (bool, error) {
	there, err := os.Lstat(path)
	if os.IsNotExist(err) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	own, err := f.Stat()
	return err == nil && os.SameFile(own, there), err
}
