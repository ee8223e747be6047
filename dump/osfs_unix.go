//go:build unix

package dump

import (
	"os"

	"golang.org/x/sys/unix"
)

func supported() error { return nil }

// lockFile locks the file that is open, by whatever name. The lock ends with the last
// descriptor of this opening, so also with the process.
func lockFile(file *os.File) error { return unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB) }

func unlockFile(file *os.File) { _ = unix.Flock(int(file.Fd()), unix.LOCK_UN) }

func syncDirectory(directory string) error {
	opened, err := os.Open(directory)
	if err != nil {
		return err
	}
	err = opened.Sync()
	if closed := opened.Close(); err == nil {
		err = closed
	}
	return err
}
