package main

import (
	"io/fs"

	"github.com/dataworker-go/dataworker/dump"
)

// watchedFS tells how far the reading and the writing of its files are.
type watchedFS struct {
	dump.FS
	progress *progress
	path     string // as the caller gave it
	size     int64
}

// Open implements dump.FS.
func (w watchedFS) Open(path string, writable bool) (dump.File, error) {
	file, err := w.FS.Open(path, writable)
	if err != nil {
		return nil, err
	}
	w.progress.begin(printable(w.path+": reading"), w.size)
	return watchedFile{file, w.progress}, nil
}

// Create implements dump.FS.
func (w watchedFS) Create(path string, mode fs.FileMode) (dump.File, error) {
	file, err := w.FS.Create(path, mode)
	if err != nil {
		return nil, err
	}
	w.progress.begin(printable(w.path+": writing"), w.size)
	return watchedFile{file, w.progress}, nil
}

// watchedFile tells the highest offset that was read or written.
type watchedFile struct {
	dump.File
	progress *progress
}

// ReadAt implements io.ReaderAt.
func (w watchedFile) ReadAt(b []byte, offset int64) (int, error) {
	n, err := w.File.ReadAt(b, offset)
	w.progress.reach(offset + int64(n))
	return n, err
}

// WriteAt implements io.WriterAt.
func (w watchedFile) WriteAt(b []byte, offset int64) (int, error) {
	n, err := w.File.WriteAt(b, offset)
	w.progress.reach(offset + int64(n))
	return n, err
}
