package dumptest

import (
	"slices"
	"strings"
)

// directory is what a directory holds.
type directory struct {
	seen    []entry  // by name
	kept    []entry  // on the platter; only of interest if there are changes
	changes []change // from kept to seen
	saved   int      // changes that came before these
}

type entry struct {
	name string
	node *node
}

// change is one step of a directory, done or not done.
type change struct {
	removed string // this name goes, if not empty
	name    string // this name becomes that of node, if not empty
	node    *node
}

func (c change) apply(entries []entry) []entry {
	if c.removed != "" {
		if i, found := search(entries, c.removed); found {
			entries = slices.Delete(entries, i, i+1)
		}
	}
	if c.name != "" {
		added := entry{name: c.name, node: c.node}
		i, found := search(entries, c.name)
		if found {
			entries[i] = added
		} else {
			entries = slices.Insert(entries, i, added)
		}
	}
	return entries
}

func search(entries []entry, name string) (int, bool) {
	return slices.BinarySearchFunc(entries, name, func(e entry, name string) int {
		return strings.Compare(e.name, name)
	})
}

// find returns what has this name, or nil.
func (d *directory) find(name string) *node {
	if i, found := search(d.seen, name); found {
		return d.seen[i].node
	}
	return nil
}

func (d *directory) change(c change) {
	if len(d.changes) == 0 {
		d.kept = slices.Clone(d.seen)
	}
	d.changes = append(d.changes, c)
	d.seen = c.apply(d.seen)
}

// unsaved returns the number of the last change, for save.
func (d *directory) unsaved() int { return d.saved + len(d.changes) }

// save puts the changes up to this number on the platter.
func (d *directory) save(upTo int) {
	arrived := upTo - d.saved
	if arrived <= 0 {
		return // another SyncDir began later and was done sooner
	}
	d.kept = applied(d.kept, d.changes[:arrived])
	d.changes = slices.Delete(d.changes, 0, arrived)
	d.saved = upTo
}

// crash returns what a power cut leaves.
func (d *directory) crash(draw *draw) []entry {
	if len(d.changes) == 0 {
		return d.seen
	}
	return applied(slices.Clone(d.kept), d.changes[:draw.first(len(d.changes))])
}

func applied(entries []entry, changes []change) []entry {
	for _, c := range changes {
		entries = c.apply(entries)
	}
	return entries
}
