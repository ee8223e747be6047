package main

import (
	"context"
	"fmt"

	"github.com/dataworker-go/dataworker/dump"
)

// compact writes a file anew, with one record for each key.
func compact(ctx context.Context, s *session) error {
	path := s.args[0]
	before, err := dump.Inspect(s.fs, path)
	if err != nil {
		return about(path, err)
	}
	err = dump.Compact(ctx, watchedFS{s.fs, s.progress, path, before.Size}, path)
	s.progress.end()
	if err != nil {
		return about(path, err)
	}
	after, err := dump.Inspect(s.fs, path)
	if err != nil {
		return about(path, err)
	}
	return s.print("%s: %s before, %s now%s\n", printable(path), exactBytes(before.Size), exactBytes(after.Size), saved(before.Size, after.Size))
}

func saved(before, after int64) string {
	if after >= before {
		return ": it was as small as it can be"
	}
	return fmt.Sprintf(", %.0f%% less", 100-100*float64(after)/float64(before))
}
