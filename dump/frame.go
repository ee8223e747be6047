package dump

import (
	"encoding/binary"
	"hash/crc32"
	"iter"
)

// frameKind is what a frame holds.
type frameKind uint8

const (
	frameSnapshot frameKind = iota + 1 // a block of the snapshot
	frameEnd                           // the snapshot is complete
	frameBatch                         // records that were written together, later
)

const (
	frameHeader = 32
	frameAlign  = 8

	// MaxBatch is how many bytes one [Batch] can hold.
	MaxBatch = 64 << 20
)

// frame is the unit that is written, and that counts as a whole or not at all.
type frame struct {
	offset  int64
	kind    frameKind
	first   uint64 // how many records are in the file before it
	synced  int64  // all before this offset had reached the disk when the frame was made
	payload []byte
	records int // in the payload, if a scan has been through it
}

// place is where in the file the rest of the payload begins.
func (f frame) place(rest []byte) int64 {
	return f.offset + frameHeader + int64(len(f.payload)-len(rest))
}

// all gives the records of a frame that a scan has been through, and where each begins.
func (f frame) all() iter.Seq2[int64, rawRecord] {
	return func(yield func(int64, rawRecord) bool) {
		for rest := f.payload; len(rest) > 0; {
			offset := f.place(rest)
			var r rawRecord
			if r, rest, _ = nextRecord(rest); !yield(offset, r) {
				return
			}
		}
	}
}

// seal fills the header of a frame that is to stand at offset. b is room for the header,
// and the payload; the padding is added.
func seal(b []byte, f frame, seed uint32) []byte {
	length := len(b) - frameHeader
	b = append(b, zeros[:padding(length)]...)
	binary.LittleEndian.PutUint32(b[4:], uint32(length))
	binary.LittleEndian.PutUint64(b[8:], f.first)
	binary.LittleEndian.PutUint64(b[16:], uint64(f.synced))
	b[24], b[25], b[26], b[27] = byte(f.kind), 0, 0, 0
	binary.LittleEndian.PutUint32(b[28:], crc32.Update(seed, castagnoli, b[frameHeader:]))
	binary.LittleEndian.PutUint32(b, headerSum(b, f.offset, seed))
	return b
}

// headerSum is the checksum of a frame's header. It has one of its own, so that a wrong
// length is never believed; the offset goes in, so that a frame is valid in one place only.
func headerSum(b []byte, offset int64, seed uint32) uint32 {
	var place [8]byte
	binary.LittleEndian.PutUint64(place[:], uint64(offset))
	return crc32.Update(crc32.Update(seed, castagnoli, place[:]), castagnoli, b[4:frameHeader])
}

// frameHead is a frame's header as it was read.
type frameHead struct {
	length int64 // of the payload
	first  uint64
	synced int64
	kind   frameKind
	flags  uint32
	sum    uint32
}

// openHead reads a frame's header; ok says that it is undamaged.
func openHead(b []byte, offset int64, seed uint32) (h frameHead, ok bool) {
	if binary.LittleEndian.Uint32(b) != headerSum(b, offset, seed) {
		return frameHead{}, false
	}
	kinds := binary.LittleEndian.Uint32(b[24:])
	return frameHead{
		length: int64(binary.LittleEndian.Uint32(b[4:])),
		first:  binary.LittleEndian.Uint64(b[8:]),
		synced: int64(binary.LittleEndian.Uint64(b[16:])),
		kind:   frameKind(kinds & 0xff),
		flags:  kinds >> 8,
		sum:    binary.LittleEndian.Uint32(b[28:]),
	}, true
}

// padded is how many bytes the payload takes in the file.
func (h frameHead) padded() int64 { return h.length + int64(padding(int(h.length))) }

// intact says whether the payload, with its padding, is undamaged.
func (h frameHead) intact(padded []byte, seed uint32) bool {
	return crc32.Update(seed, castagnoli, padded) == h.sum
}

var zeros [frameAlign]byte

func padding(length int) int { return -length & (frameAlign - 1) }
