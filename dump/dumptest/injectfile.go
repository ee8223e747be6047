package dumptest

import (
	"io/fs"

	"github.com/dataworker-go/dataworker/dump"
)

// file is an open file of [Injected].
type file struct {
	injected *Injected
	inner    dump.File
	path     string
}

// ReadAt is part of [io.ReaderAt].
func (f *file) ReadAt(into []byte, offset int64) (int, error) {
	op := Op{Kind: Read, Path: f.path, Offset: offset, Size: int64(len(into))}
	v := f.injected.before(op)
	if v.skip && v.bytes == 0 {
		return 0, v.err
	}
	n, err := f.inner.ReadAt(v.part(into), offset)
	if v.err != nil {
		err = v.err
	}
	return n, err
}

// WriteAt is part of [io.WriterAt].
func (f *file) WriteAt(data []byte, offset int64) (int, error) {
	op := Op{Kind: Write, Path: f.path, Offset: offset, Size: int64(len(data))}
	v := f.injected.before(op)
	if v.skip && v.bytes == 0 {
		return 0, v.err
	}
	n, err := f.inner.WriteAt(v.part(data), offset)
	if err == nil {
		err = v.err
	}
	return n, err
}

// part returns what of a buffer is to be used.
func (v verdict) part(buffer []byte) []byte {
	if v.bytes < 0 {
		return buffer
	}
	return buffer[:min(v.bytes, len(buffer))]
}

// Truncate is part of [dump.File].
func (f *file) Truncate(size int64) error {
	op := Op{Kind: Truncate, Path: f.path, Size: size}
	return f.injected.do(op, func() error { return f.inner.Truncate(size) })
}

// Sync is part of [dump.File].
func (f *file) Sync() error {
	save, lose := f.inner.Sync, func() {}
	if h, ok := f.inner.(*handle); ok {
		save, lose = h.stageSync()
	}
	v := f.injected.before(Op{Kind: Sync, Path: f.path})
	if v.skip {
		lose()
		return v.err
	}
	if err := save(); err != nil {
		return err
	}
	return v.err
}

// Close is part of [io.Closer]. It closes the file even if it fails.
func (f *file) Close() error {
	v := f.injected.before(Op{Kind: Close, Path: f.path})
	if h, ok := f.inner.(*handle); ok && v.skip {
		_, lose := h.stageSync()
		lose()
	}
	if err := f.inner.Close(); err != nil {
		return err
	}
	return v.err
}

// Lock is part of [dump.File].
func (f *file) Lock() error {
	return f.injected.do(Op{Kind: Lock, Path: f.path}, f.inner.Lock)
}

// Stat is part of [dump.File].
func (f *file) Stat() (found fs.FileInfo, err error) {
	err = f.injected.do(Op{Kind: Stat, Path: f.path}, func() error {
		found, err = f.inner.Stat()
		return err
	})
	return found, err
}

// IsAt is part of [dump.File].
func (f *file) IsAt(path string) (at bool, err error) {
	err = f.injected.do(Op{Kind: Stat, Path: path}, func() error {
		at, err = f.inner.IsAt(path)
		return err
	})
	return at, err
}
