package dump

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
)

// slot is a promise about the length of the file: all of it up to there had reached the
// disk before the slot was written. Two slots stand behind the header, each in a sector of
// its own, and are the only bytes that are ever overwritten, one at a time; the one with
// the higher counter counts.
//
// A slot tells a file that somebody cut short from one whose last write a crash tore.
type slot struct {
	counter uint64
	length  int64
	clean   bool // the file was closed: the length is exact
}

const (
	slotOpen  = 1
	slotClean = 2
)

func (s slot) encode(seed uint32) []byte {
	b := make([]byte, sector)
	binary.LittleEndian.PutUint64(b[0:], s.counter)
	binary.LittleEndian.PutUint64(b[8:], uint64(s.length))
	state := uint32(slotOpen)
	if s.clean {
		state = slotClean
	}
	binary.LittleEndian.PutUint32(b[16:], state)
	binary.LittleEndian.PutUint32(b[sector-4:], crc32.Update(seed, castagnoli, b[:sector-4]))
	return b
}

func decodeSlot(b []byte, seed uint32) (s slot, ok bool) {
	if crc32.Update(seed, castagnoli, b[:sector-4]) != binary.LittleEndian.Uint32(b[sector-4:]) {
		return slot{}, false
	}
	state := binary.LittleEndian.Uint32(b[16:])
	return slot{
		counter: binary.LittleEndian.Uint64(b[0:]),
		length:  int64(binary.LittleEndian.Uint64(b[8:])),
		clean:   state == slotClean,
	}, state == slotOpen || state == slotClean
}

// offset is where a slot is written: they take turns.
func (s slot) offset(h *header) int64 { return h.size + int64(s.counter%slotsPerFile)*sector }

// readSlots returns the slot that counts, of a file that is size bytes long. One damaged slot
// is no harm, but said.
func readSlots(path string, file io.ReaderAt, h *header, size int64) (best slot, damaged bool, err error) {
	b := make([]byte, slotsPerFile*sector)
	if err := readAt(path, file, b, h.size); err != nil {
		return slot{}, false, err
	}
	found := 0
	for i := range slotsPerFile {
		s, ok := decodeSlot(b[i*sector:(i+1)*sector], h.seed)
		if !ok || s.offset(h) != h.size+int64(i)*sector || s.length < h.frames() {
			continue
		}
		found++
		if found == 1 || s.counter > best.counter {
			best = s
		}
	}
	if found == 0 {
		return slot{}, true, &Error{Path: path, Offset: h.size, Kind: ErrCorrupt, Reason: "both length slots are damaged"}
	}
	damaged = found < slotsPerFile
	if damaged && size > best.length {
		best.clean = false // the other one, which was later, said that the file is in use again
	}
	return best, damaged, nil
}

// check holds the promise of the slot against the size of the file.
func (s slot) check(path string, size int64) error {
	switch {
	case size < s.length:
		return &Error{
			Path: path, Offset: size, Kind: ErrTruncated,
			Reason: fmt.Sprintf("the file has %d bytes, and had %d", size, s.length),
		}
	case s.clean && size > s.length:
		return &Error{
			Path: path, Offset: s.length, Kind: ErrCorrupt,
			Reason: fmt.Sprintf("%d bytes were added after the file was closed", size-s.length),
		}
	}
	return nil
}
