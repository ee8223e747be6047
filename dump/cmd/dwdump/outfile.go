package main

import (
	"bufio"
	"context"
	"errors"
	"os"
	"path/filepath"
)

// exportTo exports to a file, which gets its name when it is complete: who finds it finds
// all of it. Of a damaged dump it is what could be read; of an interrupted run there is
// nothing.
func (f *subject) exportTo(ctx context.Context, source string) error {
	s := f.session
	target, err := exportPath(s.target, source)
	if err != nil {
		return err
	}
	file, err := os.CreateTemp(filepath.Dir(target), "."+filepath.Base(target)+".*")
	if err != nil {
		return usage("%v", err)
	}
	stdout := s.out
	s.shared = false // the lines go elsewhere, so a bar is not among them
	s.out = bufio.NewWriterSize(file, 1<<20)
	damage, err := f.export(ctx)
	written := errors.Join(s.out.Flush(), file.Close())
	s.out = stdout

	if err == nil && written == nil {
		written = os.Rename(file.Name(), target)
	}
	if err == nil && written == nil {
		return damage
	}
	_ = os.Remove(file.Name())
	if written != nil {
		return usage("%s: nothing was exported: %v", target, written)
	}
	return err
}

// exportPath is where the file goes: never over the dump itself, nor in the place of a device.
func exportPath(out, source string) (string, error) {
	if resolved, err := filepath.EvalSymlinks(out); err == nil {
		out = resolved
	}
	there, err := os.Stat(out)
	if errors.Is(err, os.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return "", usage("%v", err)
	}
	if from, err := os.Stat(source); err == nil && os.SameFile(from, there) {
		return "", usage("%s: this is the dump itself: give -o another name", out)
	}
	if !there.Mode().IsRegular() {
		return "", usage("%s: -o is for a regular file: use > instead", out)
	}
	return out, nil
}
