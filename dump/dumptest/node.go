package dumptest

import (
	"io/fs"
	"time"
)

// node is a file, whatever its names: a regular one, a directory, a link, a pipe.
type node struct {
	mode    fs.FileMode
	changed time.Time
	links   int // names that are seen
	opens   int // open files
	holder  any // of the lock; nil if it is free

	content   content    // of a regular file
	directory *directory // nil if it is none
	target    string     // of a link
}

func newNode(mode fs.FileMode) *node {
	n := &node{mode: mode, changed: time.Now()}
	if mode.IsDir() {
		n.directory = &directory{}
	}
	return n
}

func (n *node) isLink() bool { return n.mode&fs.ModeSymlink != 0 }

// What the owner may do.
func (n *node) readable() bool   { return n.mode&0o400 != 0 }
func (n *node) writable() bool   { return n.mode&0o200 != 0 }
func (n *node) searchable() bool { return n.mode&0o100 != 0 }

// info is what a node was when it was described.
type info struct {
	name    string
	size    int64
	mode    fs.FileMode
	changed time.Time
}

func (n *node) info(name string) info {
	size := n.content.size
	if n.isLink() {
		size = int64(len(n.target))
	}
	return info{name: name, size: size, mode: n.mode, changed: n.changed}
}

func (i info) Name() string       { return i.name }
func (i info) Size() int64        { return i.size }
func (i info) Mode() fs.FileMode  { return i.mode }
func (i info) ModTime() time.Time { return i.changed }
func (i info) IsDir() bool        { return i.mode.IsDir() }
func (i info) Sys() any           { return nil }
