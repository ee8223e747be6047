package dumptest

import (
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/dataworker-go/dataworker/dump"
)

// lock takes the lock of a file for its holder, who may have it already.
func (n *node) lock(holder any) error {
	if n.holder != nil && n.holder != holder {
		return fmt.Errorf("%w by process %d", dump.ErrLocked, os.Getpid())
	}
	n.holder = holder
	return nil
}

// unlock gives it back, if it is the holder's.
func (n *node) unlock(holder any) {
	if n.holder == holder {
		n.holder = nil
	}
}

// Lock is part of [dump.File].
func (h *handle) Lock() error {
	h.volume.mu.Lock()
	defer h.volume.mu.Unlock()
	if h.closed {
		return failed("lock", h.path, fs.ErrClosed)
	}
	return failed("lock", h.path, h.node.lock(h))
}

// pathLock is a lock that a path stands for.
type pathLock struct {
	volume *volume
	node   *node
	path   string
	closed bool
}

// Lock is part of [dump.FS].
func (v *volume) Lock(path string) (io.Closer, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	l := &pathLock{volume: v, path: path}
	if err := l.take(); err != nil {
		return nil, failed("lock", path, err)
	}
	return l, nil
}

func (l *pathLock) take() error {
	at, err := l.volume.find(l.path, true)
	if err != nil {
		return err
	}
	if at.node == nil {
		at, err = l.volume.create(at.path, 0o600)
		if err != nil {
			return err
		}
	}
	if !at.node.mode.IsRegular() {
		return syscall.EINVAL
	}
	if err := l.volume.mayOpen(at.node, true); err != nil {
		return err
	}
	l.node = at.node
	return l.node.lock(l)
}

// Close is part of [io.Closer].
func (l *pathLock) Close() error {
	l.volume.mu.Lock()
	defer l.volume.mu.Unlock()
	if l.closed {
		return failed("unlock", l.path, fs.ErrClosed)
	}
	l.closed = true
	l.node.unlock(l)
	at, err := l.volume.find(l.path, true)
	if err == nil && at.node == l.node && l.volume.mayChange(at) == nil {
		l.volume.change(at.parent, change{removed: at.name})
	}
	return nil
}
