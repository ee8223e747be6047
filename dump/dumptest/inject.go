package dumptest

import (
	"io"
	"io/fs"
	"sync/atomic"

	"github.com/dataworker-go/dataworker/dump"
)

// Injected is a [dump.FS] that counts the calls made to another one and to its
// files, and can hold them or make them fail.
//
// All methods may be called by many goroutines.
type Injected struct {
	inner     dump.FS
	hook      atomic.Pointer[func(Op) error]
	pauses    pauses
	ops       atomic.Int64
	mutations atomic.Int64
}

// Wrap returns inner with injection. For power cuts it takes a [Disk].
func Wrap(inner dump.FS) *Injected { return &Injected{inner: inner} }

// Inject has hook called before every call, and after Pause has held it. An error it
// returns is the call's, which then does nothing; but see [Done] and [Partly]. It
// replaces the hook before it; nil takes that away.
//
// The hook is called by the goroutines that make the calls, by many at a time. It
// may use the disk, and the calls it makes are calls too.
func (i *Injected) Inject(hook func(Op) error) {
	if hook == nil {
		i.hook.Store(nil)
		return
	}
	i.hook.Store(&hook)
}

// Ops returns how many calls there were.
func (i *Injected) Ops() int { return int(i.ops.Load()) }

// Mutations returns how many [Mutating] calls there were.
func (i *Injected) Mutations() int { return int(i.mutations.Load()) }

// before counts a call, holds it and asks the hook.
func (i *Injected) before(op Op) verdict {
	op.N = int(i.ops.Add(1))
	if op.Kind&Mutating != 0 {
		op.Mutation = int(i.mutations.Add(1))
	}
	i.pauses.wait(op.Kind)
	hook := i.hook.Load()
	if hook == nil {
		return verdict{bytes: -1}
	}
	v := verdictOf((*hook)(op))
	v.err = failed(op.Kind.String(), op.Path, v.err)
	return v
}

// do makes a call, unless it is to be skipped.
func (i *Injected) do(op Op, call func() error) error {
	v := i.before(op)
	if v.skip {
		return v.err
	}
	if err := call(); err != nil {
		return err
	}
	return v.err
}

// Resolve is part of [dump.FS].
func (i *Injected) Resolve(path string) (resolved string, err error) {
	err = i.do(Op{Kind: Resolve, Path: path}, func() error {
		resolved, err = i.inner.Resolve(path)
		return err
	})
	return resolved, err
}

// Lstat is part of [dump.FS].
func (i *Injected) Lstat(path string) (found fs.FileInfo, err error) {
	err = i.do(Op{Kind: Stat, Path: path}, func() error {
		found, err = i.inner.Lstat(path)
		return err
	})
	return found, err
}

// Open is part of [dump.FS].
func (i *Injected) Open(path string, writable bool) (dump.File, error) {
	op := Op{Kind: Open, Path: path, Writable: writable}
	return i.file(op, func() (dump.File, error) { return i.inner.Open(path, writable) })
}

// Create is part of [dump.FS].
func (i *Injected) Create(path string, mode fs.FileMode) (dump.File, error) {
	op := Op{Kind: Create, Path: path, Writable: true}
	return i.file(op, func() (dump.File, error) { return i.inner.Create(path, mode) })
}

func (i *Injected) file(op Op, open func() (dump.File, error)) (dump.File, error) {
	v := i.before(op)
	if v.skip {
		return nil, v.err
	}
	inner, err := open()
	if err != nil {
		return nil, err
	}
	if v.err != nil {
		_ = inner.Close() // the caller is told that there is no file to close
		return nil, v.err
	}
	return &file{injected: i, inner: inner, path: op.Path}, nil
}

// Link is part of [dump.FS].
func (i *Injected) Link(from, to string) error {
	return i.do(Op{Kind: Link, Path: from, To: to}, func() error { return i.inner.Link(from, to) })
}

// Rename is part of [dump.FS].
func (i *Injected) Rename(from, to string) error {
	return i.do(Op{Kind: Rename, Path: from, To: to}, func() error { return i.inner.Rename(from, to) })
}

// Remove is part of [dump.FS].
func (i *Injected) Remove(path string) error {
	return i.do(Op{Kind: Remove, Path: path}, func() error { return i.inner.Remove(path) })
}

// List is part of [dump.FS].
func (i *Injected) List(directory string) (names []string, err error) {
	err = i.do(Op{Kind: List, Path: directory}, func() error {
		names, err = i.inner.List(directory)
		return err
	})
	return names, err
}

// SyncDir is part of [dump.FS].
func (i *Injected) SyncDir(directory string) error {
	save := func() error { return i.inner.SyncDir(directory) }
	if v, ok := i.inner.(*volume); ok {
		save = v.stageSyncDir(directory)
	}
	return i.do(Op{Kind: SyncDir, Path: directory}, save)
}

// Free is part of [dump.FS].
func (i *Injected) Free(directory string) (bytes int64, err error) {
	err = i.do(Op{Kind: Free, Path: directory}, func() error {
		bytes, err = i.inner.Free(directory)
		return err
	})
	return bytes, err
}

// Lock is part of [dump.FS].
func (i *Injected) Lock(path string) (io.Closer, error) {
	v := i.before(Op{Kind: Lock, Path: path})
	if v.skip {
		return nil, v.err
	}
	inner, err := i.inner.Lock(path)
	if err != nil {
		return nil, err
	}
	if v.err != nil {
		_ = inner.Close() // the caller is told that there is no lock to close
		return nil, v.err
	}
	return &lock{injected: i, inner: inner, path: path}, nil
}

// lock is the lock of a path.
type lock struct {
	injected *Injected
	inner    io.Closer
	path     string
}

// Close is part of [io.Closer]. It gives the lock back even if it fails.
func (l *lock) Close() error {
	v := l.injected.before(Op{Kind: Close, Path: l.path})
	if err := l.inner.Close(); err != nil {
		return err
	}
	return v.err
}
