package dumptest

import (
	"errors"
	"io/fs"
	"path/filepath"
	"syscall"
	"time"
)

// handle is an open file of a volume.
type handle struct {
	volume   *volume
	node     *node
	path     string
	writable bool
	closed   bool
}

// open returns a new handle. The caller holds v.mu.
func (v *volume) open(at spot, path string, writable bool) *handle {
	at.node.opens++
	return &handle{volume: v, node: at.node, path: path, writable: writable}
}

// ReadAt is part of [io.ReaderAt].
func (h *handle) ReadAt(into []byte, offset int64) (int, error) {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if err := h.mayAccess(offset); err != nil {
		return 0, failed("read", h.path, err)
	}
	return h.node.content.read(into, offset)
}

// WriteAt is part of [io.WriterAt].
func (h *handle) WriteAt(data []byte, offset int64) (int, error) {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if err := h.mayWrite(offset); err != nil {
		return 0, failed("write", h.path, err)
	}
	var err error
	if room := h.room() - offset; int64(len(data)) > room {
		data, err = data[:max(0, room)], syscall.ENOSPC
	}
	before := h.node.content.size
	h.node.content.write(data, offset)
	h.volume.used += h.node.content.size - before
	h.node.changed = time.Now()
	return len(data), failed("write", h.path, err)
}

// Truncate is part of [dump.File].
func (h *handle) Truncate(size int64) error {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	err := h.mayWrite(size)
	if err == nil && size > h.room() {
		err = syscall.ENOSPC
	}
	if err != nil {
		return failed("truncate", h.path, err)
	}
	h.volume.used += size - h.node.content.size
	h.node.content.truncate(size)
	h.node.changed = time.Now()
	return nil
}

// room returns the size to which the file can grow.
func (h *handle) room() int64 { return h.node.content.size + h.volume.free() }

// Sync is part of [dump.File].
func (h *handle) Sync() error {
	save, _ := h.stageSync()
	return save()
}

// stageSync takes what is to be saved, and returns how to save it, and how to lose
// it.
func (h *handle) stageSync() (save func() error, lose func()) {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if h.closed {
		return func() error { return failed("sync", h.path, fs.ErrClosed) }, func() {}
	}
	s := h.node.content.unsaved()
	save = func() error {
		h.volume.mu.Lock()
		defer h.volume.mu.Unlock()
		h.node.content.save(s)
		return nil
	}
	lose = func() {
		h.volume.mu.Lock()
		defer h.volume.mu.Unlock()
		h.node.content.lose(s)
	}
	return save, lose
}

// Stat is part of [dump.File].
func (h *handle) Stat() (fs.FileInfo, error) {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if h.closed {
		return nil, failed("stat", h.path, fs.ErrClosed)
	}
	return h.node.info(filepath.Base(h.path)), nil
}

// IsAt is part of [dump.File].
func (h *handle) IsAt(path string) (bool, error) {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if h.closed {
		return false, failed("stat", h.path, fs.ErrClosed)
	}
	at, err := h.volume.find(path, false)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, failed("lstat", path, err)
	}
	return at.node == h.node, nil
}

// Close is part of [io.Closer].
func (h *handle) Close() error {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if h.closed {
		return failed("close", h.path, fs.ErrClosed)
	}
	h.closed = true
	h.node.unlock(h)
	h.node.opens--
	h.volume.release(h.node)
	return nil
}

func (h *handle) mayAccess(offset int64) error {
	switch {
	case h.closed:
		return fs.ErrClosed
	case h.node.mode.IsDir():
		return syscall.EISDIR
	case !h.node.mode.IsRegular():
		return syscall.ESPIPE
	case offset < 0:
		return syscall.EINVAL
	default:
		return nil
	}
}

func (h *handle) mayWrite(offset int64) error {
	if err := h.mayAccess(offset); err != nil {
		return err
	}
	switch {
	case !h.writable:
		return syscall.EBADF
	case h.volume.readOnly:
		return syscall.EROFS
	default:
		return nil
	}
}
