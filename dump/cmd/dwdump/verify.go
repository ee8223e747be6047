package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/dataworker-go/dataworker/dump"
)

// verify reads all of each file, and says on one line how it is.
func verify(ctx context.Context, s *session) error {
	worst := exitOK
	for _, path := range s.args {
		code, verdict, err := s.verdict(ctx, path)
		if err != nil {
			return err
		}
		if err := s.print("%s\n", printable(path+": "+verdict)); err != nil {
			return err
		}
		worst = worse(worst, code)
	}
	if worst == exitOK {
		return nil
	}
	return silent(worst)
}

func (s *session) verdict(ctx context.Context, path string) (code int, text string, err error) {
	file := &heldFile{FS: s.fs, progress: s.progress}
	defer file.release()                 //nolint:errcheck // it was only read
	known, _ := dump.Inspect(file, path) // what is wrong is found again
	s.progress.begin(printable(path+": reading"), known.Size)
	found, err := dump.Read(ctx, file, path, func(dump.Record) error { return nil })
	s.progress.end()

	var wrong *dump.Error
	switch {
	case errors.As(err, &wrong):
		return codeOf(wrong), describe(wrong) + advice(wrong), nil
	case err != nil:
		return exitOK, "", err
	case errors.As(found.Torn, &wrong):
		return exitTorn, fmt.Sprintf("torn at offset %d: %s; the last %s do not count: a crash tore the last write, or it is still on its way",
			wrong.Offset, wrong.Reason, plural(uint64(found.Size-wrong.Offset), "byte")), nil
	default:
		return exitOK, whole(found), nil
	}
}

func whole(found dump.Info) string {
	text := fmt.Sprintf("ok: %s in the snapshot, %s in %s since", plural(found.SnapshotRecords, "record"),
		plural(found.JournalRecords, "record"), plural(uint64(found.Batches), "batch"))
	if !found.Closed {
		text += ", not closed"
	}
	if found.SlotDamaged {
		text += "; one of two length slots is damaged, and the next write mends it"
	}
	return text
}

// worse is the graver of two exit codes.
func worse(a, b int) int {
	gravest := []int{exitDamaged, exitUsage, exitForeign, exitTorn, exitOK}
	if slices.Index(gravest, b) < slices.Index(gravest, a) {
		return b
	}
	return a
}
