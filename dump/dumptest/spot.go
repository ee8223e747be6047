package dumptest

import (
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"syscall"
)

// maxLinks is how many symbolic links a path may lead through.
const maxLinks = 40

// spot is where a path leads.
type spot struct {
	path   string // clean, with slashes, and no link in its directory
	parent *node  // the directory
	name   string // in it
	node   *node  // nil if there is nothing
}

// find follows the links in the directory of a path, and a link at its end too if
// it is to follow. The caller holds v.mu.
func (v *volume) find(name string, follow bool) (spot, error) {
	name = rooted(name)
	for range maxLinks {
		at, next, err := v.walk(name, follow)
		if err != nil || next == "" {
			return at, err
		}
		name = next
	}
	return spot{}, syscall.ELOOP
}

// walk goes down a path until its end, or until a link: then next is the path with
// the link replaced by what it says.
func (v *volume) walk(name string, follow bool) (at spot, next string, err error) {
	at = spot{path: name, parent: v.root, name: ".", node: v.root}
	for begin := 1; begin < len(name); {
		end := len(name)
		if slash := strings.IndexByte(name[begin:], '/'); slash >= 0 {
			end = begin + slash
		}
		if at.node == nil {
			return spot{}, "", fs.ErrNotExist
		}
		if at.node.directory == nil {
			return spot{}, "", syscall.ENOTDIR
		}
		if !at.node.searchable() {
			return spot{}, "", fs.ErrPermission
		}
		at.parent, at.name = at.node, name[begin:end]
		at.node = at.parent.directory.find(at.name)
		if at.node != nil && at.node.isLink() && (follow || end < len(name)) {
			return spot{}, followed(name[:begin], at.node.target, name[end:]), nil
		}
		begin = end + 1
	}
	return at, "", nil
}

// followed returns where a link in a directory leads, and on from there.
func followed(directory, target, rest string) string {
	target = filepath.ToSlash(target)
	if path.IsAbs(target) {
		return path.Clean(target + rest)
	}
	return path.Clean(directory + target + rest)
}

// rooted returns a path as walk wants it. There is one root, and no working
// directory but it.
func rooted(name string) string {
	name = filepath.ToSlash(name[len(filepath.VolumeName(name)):])
	if !strings.HasPrefix(name, "/") {
		name = "/" + name
	}
	return path.Clean(name)
}

// mayChange says why the names in the directory cannot change, or nothing.
func (v *volume) mayChange(at spot) error {
	switch {
	case v.readOnly:
		return syscall.EROFS
	case !at.parent.writable() || !at.parent.searchable():
		return fs.ErrPermission
	default:
		return nil
	}
}
