package dumptest

import (
	"io/fs"
	"syscall"
	"time"
)

// MkdirAll makes a directory, and those above it.
func (d *Disk) MkdirAll(path string) error {
	d.volume.mu.Lock()
	defer d.volume.mu.Unlock()
	return failed("mkdir", path, d.volume.mkdirAll(rooted(path)))
}

func (v *volume) mkdirAll(path string) error {
	for end := 1; end <= len(path); end++ {
		if end < len(path) && path[end] != '/' {
			continue
		}
		at, err := v.find(path[:end], true)
		switch {
		case err != nil:
			return err
		case at.node == nil:
			v.place(at, newNode(fs.ModeDir|0o755))
		case at.node.directory == nil:
			return syscall.ENOTDIR
		}
	}
	return nil
}

// place gives a node a name, on the platter.
func (v *volume) place(at spot, n *node) {
	v.change(at.parent, change{name: at.name, node: n})
	at.parent.directory.save(at.parent.directory.unsaved())
}

// Symlink makes a symbolic link that says target.
func (d *Disk) Symlink(target, path string) error {
	n := newNode(fs.ModeSymlink | 0o777)
	n.target = target
	return d.add(path, n)
}

// Mknod makes what has this mode: [fs.ModeNamedPipe], [fs.ModeDevice] and so on, and
// permissions. It can be opened and not be read or written.
func (d *Disk) Mknod(path string, mode fs.FileMode) error {
	return d.add(path, newNode(mode))
}

// HardLink gives a file one more name.
func (d *Disk) HardLink(existing, path string) error {
	d.volume.mu.Lock()
	at, err := d.volume.existing(existing, false)
	d.volume.mu.Unlock()
	if err != nil {
		return failed("link", existing, err)
	}
	return d.add(path, at.node)
}

func (d *Disk) add(path string, n *node) error {
	d.volume.mu.Lock()
	defer d.volume.mu.Unlock()
	at, err := d.volume.find(path, false)
	if err == nil && at.node != nil {
		err = fs.ErrExist
	}
	if err != nil {
		return failed("make", path, err)
	}
	d.volume.place(at, n)
	return nil
}

// Chmod changes the permissions of a file or a directory.
func (d *Disk) Chmod(path string, mode fs.FileMode) error {
	return d.with(path, func(n *node) error {
		n.mode = n.mode.Type() | mode.Perm()
		return nil
	})
}

// WriteFile writes a whole file, in place if there is one. The mode is for a new one.
func (d *Disk) WriteFile(path string, data []byte, mode fs.FileMode) error {
	d.volume.mu.Lock()
	defer d.volume.mu.Unlock()
	at, err := d.volume.find(path, true)
	if err != nil {
		return failed("write", path, err)
	}
	if at.node == nil {
		at.node = newNode(mode.Perm())
		d.volume.change(at.parent, change{name: at.name, node: at.node})
	}
	if !at.node.mode.IsRegular() {
		return failed("write", path, syscall.EINVAL)
	}
	at.parent.directory.save(at.parent.directory.unsaved())
	d.volume.used += int64(len(data)) - at.node.content.size
	at.node.content = kept(data, at.node.content.clock)
	at.node.changed = time.Now()
	return nil
}

// ReadFile returns what a file holds.
func (d *Disk) ReadFile(path string) ([]byte, error) {
	var data []byte
	err := d.with(path, func(n *node) error {
		data = n.content.bytes()
		return nil
	})
	return data, err
}

// Truncate changes the size of a file.
func (d *Disk) Truncate(path string, size int64) error {
	return d.with(path, func(n *node) error {
		d.volume.used += size - n.content.size
		n.content.truncate(size)
		n.content.save(n.content.unsaved())
		n.changed = time.Now()
		return nil
	})
}

// FlipBit changes one bit of a file, in what is seen and in what is kept. What was
// not synced stays so.
func (d *Disk) FlipBit(path string, bit int64) error {
	return d.with(path, func(n *node) error {
		if bit < 0 || bit/8 >= n.content.size {
			return syscall.EINVAL
		}
		n.content.flip(bit)
		return nil
	})
}

// with does something to the file or directory that a path leads to.
func (d *Disk) with(path string, do func(*node) error) error {
	d.volume.mu.Lock()
	defer d.volume.mu.Unlock()
	at, err := d.volume.existing(path, true)
	if err != nil {
		return failed("find", path, err)
	}
	return failed("touch", path, do(at.node))
}

// Names returns the names in a directory, in order: none if there is no directory.
func (d *Disk) Names(directory string) []string {
	names, err := d.volume.List(directory)
	if err != nil {
		return nil
	}
	return names
}
