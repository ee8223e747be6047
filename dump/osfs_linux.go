package dump

import (
	"os"

	"golang.org/x/sys/unix"
)

// syncData leaves out what no reader needs, such as the time of the last change.
func syncData(file *os.File) error {
	for {
		if err := unix.Fdatasync(int(file.Fd())); err != unix.EINTR {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

func freeSpace(directory string) (int64, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(directory, &stat); err != nil {
		return 0, os.NewSyscallError("statfs", err)
	}
	return int64(stat.Bavail) * int64(stat.Bsize), nil //nolint:unconvert // it is 32 bits wide on some processors
}
