package dumptest

// copier makes one volume of another.
type copier struct {
	to    *volume
	draw  *draw           // nil for an exact copy
	nodes map[*node]*node // those that can be met twice
}

func (v *volume) clone() *volume { return v.copy(nil) }

func (v *volume) crash(keep Keep) *volume { return v.copy(newDraw(keep, v.seed)) }

func (v *volume) copy(draw *draw) *volume {
	v.mu.Lock()
	defer v.mu.Unlock()
	c := copier{
		to:   &volume{seed: v.seed, capacity: v.capacity, readOnly: v.readOnly},
		draw: draw,
	}
	c.to.root = c.node(v.root, false)
	return c.to
}

// node returns the copy of a node.
func (c *copier) node(from *node, again bool) *node {
	if to := c.nodes[from]; to != nil {
		return to
	}
	to := &node{mode: from.mode, changed: from.changed, target: from.target}
	if again {
		if c.nodes == nil {
			c.nodes = make(map[*node]*node)
		}
		c.nodes[from] = to
	}
	switch {
	case from.directory != nil:
		to.directory = c.directory(from.directory)
	case c.draw == nil:
		to.content = from.content.clone()
	default:
		to.content = from.content.crash(c.draw)
	}
	return to
}

func (c *copier) directory(from *directory) *directory {
	again := len(from.changes) > 0 // then a node may have left one name for another
	if c.draw != nil {
		to := &directory{seen: c.entries(from.crash(c.draw), again)}
		c.count(to)
		return to
	}
	to := &directory{seen: c.entries(from.seen, again), saved: from.saved}
	if again {
		to.kept = c.entries(from.kept, again)
		for _, change := range from.changes {
			if change.node != nil {
				change.node = c.node(change.node, again)
			}
			to.changes = append(to.changes, change)
		}
	}
	c.count(to)
	return to
}

func (c *copier) entries(from []entry, again bool) []entry {
	to := make([]entry, len(from), len(from)+1)
	for i, e := range from {
		to[i] = entry{name: e.name, node: c.node(e.node, again || e.node.links > 1)}
	}
	return to
}

// count counts the names of a new directory, and the room of what they name.
func (c *copier) count(d *directory) {
	for _, e := range d.seen {
		e.node.links++
		if e.node.links == 1 {
			c.to.used += e.node.content.size
		}
	}
}
