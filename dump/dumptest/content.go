package dumptest

import (
	"io"
	"slices"
)

const sectorSize = 512

// sector is what is written in one piece. It is never changed once it is in a cell:
// copies of a disk share it.
type sector [sectorSize]byte

// cell is the place of one sector in a file; nil is a sector of zeros.
type cell struct {
	seen  *sector  // what reads see
	kept  *sector  // what is on the platter
	past  *version // what was seen in between, if dirty
	dirty bool     // the next Sync saves what is seen
}

// content is what a file holds.
type content struct {
	cells  []cell
	shared bool  // the array of cells is also another disk's
	dirty  []int // which cells are

	size     int64
	keptSize int64
	resizes  []resize // since keptSize

	clock uint64 // counts the writes and truncations
	saved uint64 // the clock of the newest state that was saved
	lost  bool   // a failed Sync left cells that are clean and not kept
}

// resize is a size that a file was given.
type resize struct {
	at   uint64
	size int64
}

// kept returns content that is on the platter as it is. The clock goes on, so that
// a Sync that began before does not save what it knew.
func kept(data []byte, clock uint64) content {
	c := content{clock: clock, saved: clock}
	c.write(data, 0)
	c.clock++
	c.save(c.unsaved())
	return c
}

func (c *content) bytes() []byte {
	data := make([]byte, c.size)
	_, _ = c.read(data, 0) // cannot fail within the size
	return data
}

// flip changes a bit wherever it is.
func (c *content) flip(bit int64) {
	c.own()
	c.grow(sectors(c.size))
	here := &c.cells[bit/8/sectorSize]
	here.seen = here.seen.flipped(bit)
	if bit/8 < c.keptSize {
		here.kept = here.kept.flipped(bit)
	}
}

func (s *sector) flipped(bit int64) *sector {
	var other sector
	if s != nil {
		other = *s
	}
	other[bit/8%sectorSize] ^= 1 << (bit % 8)
	return &other
}

func (c *content) read(into []byte, offset int64) (int, error) {
	if offset >= c.size {
		if len(into) == 0 {
			return 0, nil
		}
		return 0, io.EOF
	}
	var err error
	if left := c.size - offset; int64(len(into)) > left {
		into, err = into[:left], io.EOF
	}
	read := 0
	for read < len(into) {
		at := offset + int64(read)
		index, inside := int(at/sectorSize), int(at%sectorSize)
		n := min(len(into)-read, sectorSize-inside)
		if index < len(c.cells) && c.cells[index].seen != nil {
			copy(into[read:read+n], c.cells[index].seen[inside:])
		} else {
			clear(into[read : read+n])
		}
		read += n
	}
	return read, err
}

func (c *content) write(data []byte, offset int64) {
	if len(data) == 0 {
		return
	}
	c.own()
	c.clock++
	end := offset + int64(len(data))
	first := int(offset / sectorSize)
	c.grow(sectors(end))
	written := make([]sector, sectors(end)-first)
	inside := int(offset % sectorSize)
	for i := range written {
		if before := c.cells[first+i].seen; before != nil {
			written[i] = *before
		}
		data = data[copy(written[i][inside:], data):]
		inside = 0
		c.put(first+i, &written[i])
	}
	if end > c.size {
		c.resize(end)
	}
}

func (c *content) truncate(size int64) {
	if size == c.size {
		return
	}
	c.own()
	c.clock++
	for i := int(size / sectorSize); i < len(c.cells); i++ {
		if cut := c.cells[i].seen.before(size, i); cut != c.cells[i].seen {
			c.put(i, cut)
		}
	}
	c.resize(size)
}

// put changes what is seen in a cell.
func (c *content) put(index int, seen *sector) {
	here := &c.cells[index]
	if here.dirty {
		here.past = here.past.add(here.seen, c.clock-1)
	} else {
		here.dirty = true
		c.dirty = append(c.dirty, index)
	}
	here.seen = seen
}

func (c *content) resize(size int64) {
	c.size = size
	c.resizes = append(c.resizes, resize{at: c.clock, size: size})
}

func (c *content) grow(n int) {
	if n > len(c.cells) {
		c.cells = append(c.cells, make([]cell, n-len(c.cells))...)
	}
}

// own makes the array of cells this content's alone.
func (c *content) own() {
	if c.shared {
		c.cells = slices.Clone(c.cells)
		c.shared = false
	}
}

// clone returns an equal content. The two share all that neither changes in place.
func (c *content) clone() content {
	c.shared = true
	other := *c
	other.dirty = slices.Clip(c.dirty)
	other.resizes = slices.Clip(c.resizes)
	return other
}

// before returns the sector without what is at or beyond size: itself, if that is
// nothing but zeros or nothing at all.
func (s *sector) before(size int64, index int) *sector {
	inside := size - int64(index)*sectorSize
	switch {
	case s == nil || inside >= sectorSize:
		return s
	case inside <= 0:
		return nil
	}
	var rest sector
	copy(rest[:inside], s[:inside])
	if rest == *s {
		return s
	}
	return &rest
}

// sectors returns how many sectors hold size bytes.
func sectors(size int64) int {
	return int((size + sectorSize - 1) / sectorSize)
}
