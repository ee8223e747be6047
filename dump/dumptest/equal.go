package dumptest

import (
	"bytes"
	"fmt"
	"path"
	"slices"
)

// Equal says whether the same is seen on both disks.
func (d *Disk) Equal(other *Disk) bool { return d.Difference(other) == "" }

// Difference names the first path, in order, at which this disk does not show what
// the other does, and what is different: a name, the kind, the permissions, the
// bytes. It is empty if all is the same. Against an earlier [Disk.Clone], that is
// what changed:
//
//	before := disk.Clone()
//	…
//	if difference := disk.Difference(before); difference != "" { … }
func (d *Disk) Difference(other *Disk) string {
	mine, others := d.volume.clone(), other.volume.clone() // nobody else holds these
	return mine.root.difference(others.root, "/")
}

func (n *node) difference(other *node, at string) string {
	switch {
	case n.mode != other.mode:
		return fmt.Sprintf("%s: %v, not %v", at, n.mode, other.mode)
	case n.target != other.target:
		return fmt.Sprintf("%s: leads to %q, not to %q", at, n.target, other.target)
	case n.directory != nil:
		return n.directory.difference(other.directory, at)
	default:
		return n.content.difference(&other.content, at)
	}
}

func (d *directory) difference(other *directory, at string) string {
	for _, name := range d.names(other) {
		mine, others, here := d.find(name), other.find(name), path.Join(at, name)
		switch {
		case mine == nil:
			return here + ": missing"
		case others == nil:
			return here + ": not in the other"
		}
		if difference := mine.difference(others, here); difference != "" {
			return difference
		}
	}
	return ""
}

// names returns those of either directory, in order.
func (d *directory) names(other *directory) []string {
	var names []string
	for _, e := range slices.Concat(d.seen, other.seen) {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (c *content) difference(other *content, at string) string {
	if c.size != other.size {
		return fmt.Sprintf("%s: %d bytes, not %d", at, c.size, other.size)
	}
	if mine, others := c.bytes(), other.bytes(); !bytes.Equal(mine, others) {
		i := 0
		for mine[i] == others[i] {
			i++
		}
		return fmt.Sprintf("%s: byte %d is %#02x, not %#02x", at, i, mine[i], others[i])
	}
	return ""
}
