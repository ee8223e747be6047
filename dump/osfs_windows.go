package dump

import (
	"errors"
	"fmt"
	"math"
	"os"
)

// supported says no: Windows lets nobody rename a file that is open, and has no way to sync
// a directory, so the way in which files replace each other here would have to be another.
func supported() error {
	return fmt.Errorf("dump files on Windows: %w", errors.ErrUnsupported)
}

func lockFile(*os.File) error { return supported() }

func unlockFile(*os.File) {}

func syncDirectory(string) error { return supported() }

func freeSpace(string) (int64, error) { return math.MaxInt64, nil }

func syncData(file *os.File) error { return file.Sync() }
