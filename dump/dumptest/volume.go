package dumptest

import (
	"io/fs"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// plenty is what is free on a disk without a capacity.
const plenty = int64(1) << 40

// volume is a [dump.FS] that never fails without a reason.
type volume struct {
	mu       sync.Mutex // guards all below, and every node
	root     *node
	seed     uint64
	capacity int64 // negative if there is no bound
	used     int64 // the sizes of all files that have a name or are open
	readOnly bool
}

func newVolume(seed uint64) *volume {
	return &volume{seed: seed, capacity: -1, root: newNode(fs.ModeDir | 0o755)}
}

// Resolve is part of [dump.FS].
func (v *volume) Resolve(path string) (string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, err := v.find(path, true)
	if err != nil {
		return "", failed("resolve", path, err)
	}
	return filepath.FromSlash(at.path), nil
}

// Lstat is part of [dump.FS].
func (v *volume) Lstat(path string) (fs.FileInfo, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, err := v.existing(path, false)
	if err != nil {
		return nil, failed("lstat", path, err)
	}
	return at.node.info(at.name), nil
}

// Open is part of [dump.FS].
func (v *volume) Open(path string, writable bool) (dump.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, err := v.existing(path, true)
	if err != nil {
		return nil, failed("open", path, err)
	}
	if err := v.mayOpen(at.node, writable); err != nil {
		return nil, failed("open", path, err)
	}
	return v.open(at, path, writable), nil
}

func (v *volume) mayOpen(n *node, writable bool) error {
	switch {
	case n.mode&fs.ModeSocket != 0:
		return syscall.ENXIO
	case !n.readable() || writable && !n.writable():
		return fs.ErrPermission
	case writable && n.mode.IsDir():
		return syscall.EISDIR
	case writable && v.readOnly:
		return syscall.EROFS
	default:
		return nil
	}
}

// Create is part of [dump.FS].
func (v *volume) Create(path string, mode fs.FileMode) (dump.File, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, err := v.create(path, mode)
	if err != nil {
		return nil, failed("create", path, err)
	}
	return v.open(at, path, true), nil
}

func (v *volume) create(path string, mode fs.FileMode) (spot, error) {
	at, err := v.find(path, false)
	if err != nil {
		return spot{}, err
	}
	if at.node != nil {
		return spot{}, fs.ErrExist
	}
	if err := v.mayChange(at); err != nil {
		return spot{}, err
	}
	at.node = newNode(mode.Perm())
	v.change(at.parent, change{name: at.name, node: at.node})
	return at, nil
}

// Rename is part of [dump.FS].
func (v *volume) Rename(from, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return failed("rename", from, v.rename(from, to))
}

func (v *volume) rename(from, to string) error {
	source, err := v.existing(from, false)
	if err != nil {
		return err
	}
	target, err := v.find(to, false)
	if err != nil {
		return err
	}
	if err := v.mayChange(source); err != nil {
		return err
	}
	switch {
	case source.parent != target.parent:
		return syscall.EXDEV
	case source.node == target.node:
		return nil // two names of one file: both stay
	case target.node != nil && target.node.mode.IsDir():
		return syscall.EISDIR
	}
	v.change(source.parent, change{removed: source.name, name: target.name, node: source.node})
	return nil
}

// Link is part of [dump.FS].
func (v *volume) Link(from, to string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return failed("link", from, v.link(from, to))
}

func (v *volume) link(from, to string) error {
	source, err := v.existing(from, false)
	if err != nil {
		return err
	}
	target, err := v.find(to, false)
	if err != nil {
		return err
	}
	if err := v.mayChange(target); err != nil {
		return err
	}
	switch {
	case source.parent != target.parent:
		return syscall.EXDEV
	case source.node.mode.IsDir():
		return fs.ErrPermission
	case target.node != nil:
		return fs.ErrExist
	}
	v.change(target.parent, change{name: target.name, node: source.node})
	return nil
}

// Remove is part of [dump.FS].
func (v *volume) Remove(path string) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	at, err := v.existing(path, false)
	if err == nil {
		err = v.mayChange(at)
	}
	if err == nil && at.node.directory != nil && len(at.node.directory.seen) > 0 {
		err = syscall.ENOTEMPTY
	}
	if err != nil {
		return failed("remove", path, err)
	}
	v.change(at.parent, change{removed: at.name})
	return nil
}

// List is part of [dump.FS].
func (v *volume) List(directory string) ([]string, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, err := v.directory(directory)
	if err == nil && !n.readable() {
		err = fs.ErrPermission
	}
	if err != nil {
		return nil, failed("list", directory, err)
	}
	names := make([]string, 0, len(n.directory.seen))
	for _, e := range n.directory.seen {
		names = append(names, e.name)
	}
	return names, nil
}

// SyncDir is part of [dump.FS].
func (v *volume) SyncDir(directory string) error {
	return v.stageSyncDir(directory)()
}

// stageSyncDir takes what is to be saved, and returns how to save it.
func (v *volume) stageSyncDir(directory string) (save func() error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, err := v.directory(directory)
	if err != nil {
		return func() error { return failed("syncdir", directory, err) }
	}
	upTo := n.directory.unsaved()
	return func() error {
		v.mu.Lock()
		defer v.mu.Unlock()
		n.directory.save(upTo)
		return nil
	}
}

// Free is part of [dump.FS].
func (v *volume) Free(directory string) (int64, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if _, err := v.directory(directory); err != nil {
		return 0, failed("free", directory, err)
	}
	return v.free(), nil
}

func (v *volume) free() int64 {
	if v.capacity < 0 {
		return plenty
	}
	return max(0, v.capacity-v.used)
}

// existing is find, for a path that must lead somewhere.
func (v *volume) existing(path string, follow bool) (spot, error) {
	at, err := v.find(path, follow)
	if err == nil && at.node == nil {
		err = fs.ErrNotExist
	}
	return at, err
}

func (v *volume) directory(path string) (*node, error) {
	at, err := v.existing(path, true)
	if err == nil && at.node.directory == nil {
		err = syscall.ENOTDIR
	}
	return at.node, err
}

// change makes a change of a directory, and counts the names of what it is about.
func (v *volume) change(parent *node, c change) {
	if c.node != nil {
		c.node.links++ // first: a rename must not look like the end of the file
	}
	for _, name := range [...]string{c.name, c.removed} {
		if gone := parent.directory.find(name); gone != nil {
			gone.links--
			v.release(gone)
		}
	}
	parent.directory.change(c)
	parent.changed = time.Now()
}

// release gives the room of a file back if nobody can reach it any more.
func (v *volume) release(n *node) {
	if n.links == 0 && n.opens == 0 {
		v.used -= n.content.size
	}
}

// failed returns an error as package os has it.
func failed(op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: op, Path: path, Err: err}
}
