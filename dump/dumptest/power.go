package dumptest

// maxPast bounds how many versions of a sector are remembered between two Syncs.
const maxPast = 8

// version is what a cell held after it was saved and before it was written again.
type version struct {
	data   *sector
	until  uint64 // the clock of content just before it was written over
	older  *version
	number int // of older versions, and this one
}

// add returns the versions with one more. Those it has stay unchanged, because
// copies of a disk share them; so when they are too many, all are forgotten.
func (v *version) add(data *sector, until uint64) *version {
	switch {
	case v == nil || v.number == maxPast:
		return &version{data: data, until: until, number: 1}
	default:
		return &version{data: data, until: until, older: v, number: v.number + 1}
	}
}

// since returns those versions that were seen at clock or later.
func (v *version) since(clock uint64) *version {
	if v == nil || v.until < clock {
		return nil
	}
	return v.older.since(clock).add(v.data, v.until)
}

// saving is what a Sync has to save: the unsaved of the moment it was called.
type saving struct {
	at    uint64
	size  int64
	cells []savedCell
}

type savedCell struct {
	index int
	data  *sector
}

func (c *content) unsaved() saving {
	s := saving{at: c.clock, size: c.size, cells: make([]savedCell, 0, len(c.dirty))}
	for _, index := range c.dirty {
		s.cells = append(s.cells, savedCell{index: index, data: c.cells[index].seen})
	}
	return s
}

// save puts it on the platter. What was written since it was taken stays unsaved.
func (c *content) save(s saving) {
	if s.at <= c.saved {
		return // another Sync began later and was done sooner
	}
	c.own()
	arrived := 0
	for arrived < len(c.resizes) && c.resizes[arrived].at <= s.at {
		arrived++
	}
	c.cutKept(smallest(c.resizes[:arrived], 0, c.keptSize))
	c.resizes = append([]resize(nil), c.resizes[arrived:]...)
	c.keptSize, c.saved = s.size, s.at
	for _, saved := range s.cells {
		if saved.index < len(c.cells) {
			c.cells[saved.index].kept = saved.data
		}
	}
	c.clean(s)
	c.cells = c.cells[:min(len(c.cells), sectors(max(c.size, c.keptSize)))]
	c.listDirty()
}

// lose forgets that it was to be saved: the next Sync does not see it.
func (c *content) lose(s saving) {
	if s.at <= c.saved {
		return
	}
	c.own()
	c.clean(s)
	c.listDirty()
	c.lost = true
}

// clean marks as saved those cells that were not written since s was taken.
func (c *content) clean(s saving) {
	for _, saved := range s.cells {
		if saved.index >= len(c.cells) {
			continue
		}
		here := &c.cells[saved.index]
		if here.seen == saved.data {
			here.dirty, here.past = false, nil
		} else {
			here.past = here.past.since(s.at)
		}
	}
}

func (c *content) listDirty() {
	var dirty []int // a new one: copies of the disk share the old
	for _, index := range c.dirty {
		if index < len(c.cells) && c.cells[index].dirty {
			dirty = append(dirty, index)
		}
	}
	c.dirty = dirty
}

// cutKept takes from the platter what is beyond size.
func (c *content) cutKept(size int64) {
	if size >= c.keptSize {
		return
	}
	for i := int(size / sectorSize); i < len(c.cells); i++ {
		c.cells[i].kept = c.cells[i].kept.before(size, i)
	}
}

// smallest returns the smallest size among those after clock, or atMost.
func smallest(resizes []resize, clock uint64, atMost int64) int64 {
	for _, r := range resizes {
		if r.at > clock {
			atMost = min(atMost, r.size)
		}
	}
	return atMost
}

// crash returns what a power cut leaves.
func (c *content) crash(draw *draw) content {
	draw.nextFile()
	if len(c.dirty) == 0 && len(c.resizes) == 0 && !c.lost {
		return c.clone()
	}
	arrived := c.resizes[:draw.first(len(c.resizes))]
	size := c.keptSize
	if len(arrived) > 0 {
		size = arrived[len(arrived)-1].size
	}
	after := content{
		cells: make([]cell, sectors(size)), size: size, keptSize: size,
		clock: c.clock, saved: c.clock,
	}
	for i := range min(len(after.cells), len(c.cells)) {
		left := c.cells[i].crash(i, arrived, draw).before(size, i)
		after.cells[i] = cell{seen: left, kept: left}
	}
	return after
}

// crash returns what is left of one cell if these sizes arrived.
func (c *cell) crash(index int, arrived []resize, draw *draw) *sector {
	const everywhere = int64(1) << 62
	if !c.dirty || !draw.sector() {
		return c.kept.before(smallest(arrived, 0, everywhere), index)
	}
	if c.past == nil {
		return c.seen
	}
	back := draw.older(c.past.number)
	if back == 0 {
		return c.seen
	}
	chosen := c.past
	for range back - 1 {
		chosen = chosen.older
	}
	return chosen.data.before(smallest(arrived, chosen.until, everywhere), index)
}
