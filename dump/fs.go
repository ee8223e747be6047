package dump

import (
	"io"
	"io/fs"
)

// FS is all that a dump asks of a file system. The default is the operating
// system's; tests put one in its place that fails, or forgets what was not synced.
//
// Paths are those of package path/filepath. Errors are those of package os: a path
// that does not exist is an [fs.ErrNotExist], and so on. All methods may be called
// by many goroutines.
type FS interface {
	// Resolve follows symbolic links: it returns the path of the file that path
	// leads to, also if that file does not exist. Its directory must exist.
	Resolve(path string) (string, error)

	// Lstat describes what is at path, and follows no link.
	Lstat(path string) (fs.FileInfo, error)

	// Open opens a file that exists, for reading or for reading and writing. It
	// does not block, whatever is at path.
	Open(path string, writable bool) (File, error)

	// Create makes a file that must not exist yet and opens it for reading and
	// writing.
	Create(path string, mode fs.FileMode) (File, error)

	// Rename replaces what is at to, in one step.
	Rename(from, to string) error

	// Link gives the file at from a second name, to, which must not exist yet. Where that is
	// not possible, it is an error.
	Link(from, to string) error

	// Remove removes a file.
	Remove(path string) error

	// List returns the names of what is in a directory, without the directory.
	List(directory string) ([]string, error)

	// SyncDir makes what was created, renamed and removed in a directory survive a
	// power cut.
	SyncDir(directory string) error

	// Lock takes the lock that path stands for, until the Closer is closed or the
	// process ends. It creates a file there, and removes it again if it can. If
	// another holds the lock, the error is at once an [ErrLocked] that names the
	// holder's process, if it is known.
	Lock(path string) (io.Closer, error)

	// Free returns how many bytes can still be written in a directory.
	Free(directory string) (int64, error)
}

// File is an open file of an [FS].
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer

	// Stat describes the file.
	Stat() (fs.FileInfo, error)

	// Truncate changes the file's size.
	Truncate(size int64) error

	// Sync makes what was written survive a power cut. After an error nothing is
	// known of what was written since the last success.
	Sync() error

	// Lock locks the file itself, until it is closed: another name for it does not
	// help. The error is an [ErrLocked] if another holds it.
	Lock() error

	// IsAt says whether path, if no link is followed, is this very file.
	IsAt(path string) (bool, error)
}
