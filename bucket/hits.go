package bucket

import (
	"math/bits"
	"runtime"
	"sync/atomic"
	"unsafe"
)

// hitCounter counts hits, for many goroutines at once. A counter that they share would cost them
// more than the look-up, so there are many, and a goroutine takes the one that its stack points at:
// nobody else is on that stack, and to find it costs nothing. Two that meet on one are slower, and as
// right.
type hitCounter struct {
	cells []hitCell // as many as a power of two
	shift uint8
}

// hitCell has the lines of a processor's cache to itself that it may fetch together.
type hitCell struct {
	hits atomic.Int64
	_    [120]byte
}

// newHitCounter returns a counter with so many cells that few of the goroutines that run at a time meet.
func newHitCounter() *hitCounter {
	width := bits.Len(uint(max(64, 8*runtime.GOMAXPROCS(0)) - 1))
	return &hitCounter{cells: make([]hitCell, 1<<width), shift: uint8(64 - width)}
}

func (c *hitCounter) add() {
	var here byte // on the stack; the smallest has 2 KiB
	at := uint64(uintptr(unsafe.Pointer(&here))) >> 11 * 0x9e3779b97f4a7c15 >> c.shift
	c.cells[at].hits.Add(1)
}

// sum returns how many there were. Hits that are counted meanwhile may be in it or not.
func (c *hitCounter) sum() (hits int64) {
	for i := range c.cells {
		hits += c.cells[i].hits.Load()
	}
	return hits
}
