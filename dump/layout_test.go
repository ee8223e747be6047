package dump_test

import (
	"encoding/binary"
	"hash/crc32"
	"maps"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

// layout is a file, read as FORMAT.md says and without the package, so that the two are held
// against each other. It is for whole files only.
type layout struct {
	bytes  []byte
	header int // its size
	slots  [2]layoutSlot
	frames []layoutFrame
}

type layoutSlot struct {
	offset  int
	counter uint64
	length  int
	state   uint32
}

type layoutFrame struct {
	offset, length, end int
	first               uint64
	synced              int
	kind                byte
	records             []layoutRecord
}

type layoutRecord struct {
	offset  int
	deleted bool
	at      int64
	key     string
	value   string
}

const (
	kindSnapshot = 1
	kindEnd      = 2
	kindBatch    = 3

	slotIsOpen  = 1
	slotIsClean = 2
)

var crcTable = crc32.MakeTable(crc32.Castagnoli)

func u32(b []byte, at int) uint32      { return binary.LittleEndian.Uint32(b[at:]) }
func u64(b []byte, at int) uint64      { return binary.LittleEndian.Uint64(b[at:]) }
func put32(b []byte, at int, v uint32) { binary.LittleEndian.PutUint32(b[at:], v) }

// sum is the checksum of some bytes behind the id of their file.
func sum(file []byte, parts ...[]byte) uint32 {
	crc := crc32.Checksum(file[24:40], crcTable)
	for _, part := range parts {
		crc = crc32.Update(crc, crcTable, part)
	}
	return crc
}

func frameSum(file []byte, at int) uint32 {
	return sum(file, binary.LittleEndian.AppendUint64(nil, uint64(at)), file[at+4:at+32])
}

func layoutOf(t testing.TB, file []byte) layout {
	t.Helper()
	l := layout{bytes: file, header: int(u32(file, 12))}
	require.Equal(t, u32(file, l.header-4), crc32.Checksum(file[:l.header-4], crcTable))
	for i := range l.slots {
		at := l.header + i*512
		require.Equal(t, u32(file, at+508), sum(file, file[at:at+508]))
		l.slots[i] = layoutSlot{at, u64(file, at), int(u64(file, at+8)), u32(file, at+16)}
		require.EqualValues(t, i, l.slots[i].counter%2)
	}
	for at := l.header + 1024; at < len(file); {
		require.Equal(t, u32(file, at), frameSum(file, at))
		f := layoutFrame{
			offset: at, length: int(u32(file, at+4)), first: u64(file, at+8),
			synced: int(u64(file, at+16)), kind: file[at+24],
		}
		require.Equal(t, make([]byte, 3), file[at+25:at+28])
		f.end = at + 32 + (f.length+7)/8*8
		require.Equal(t, u32(file, at+28), sum(file, file[at+32:f.end]))
		require.Equal(t, make([]byte, f.end-at-32-f.length), file[at+32+f.length:f.end], "padding")
		f.records = recordsOf(file, at+32, at+32+f.length)
		l.frames = append(l.frames, f)
		at = f.end
	}
	return l
}

func recordsOf(file []byte, at, end int) (records []layoutRecord) {
	text := func() string {
		length, n := binary.Uvarint(file[at:end])
		at += n + int(length)
		return string(file[at-int(length) : at])
	}
	for at < end {
		r := layoutRecord{offset: at, deleted: file[at] == 2}
		if at++; !r.deleted {
			r.at = int64(u64(file, at))
			at += 8
		}
		if r.key = text(); !r.deleted {
			r.value = text()
		}
		records = append(records, r)
	}
	return records
}

// best is the slot that counts among those that are whole.
func (l layout) best(whole func(from, to int) bool) layoutSlot {
	var best layoutSlot
	for _, s := range l.slots {
		if whole(s.offset, s.offset+512) && s.counter > best.counter {
			best = s
		}
	}
	return best
}

// promised is how much of a file is said to have been synced, by what of it is whole.
func (l layout) promised(whole func(from, to int) bool) int {
	promised := l.best(whole).length
	for _, f := range l.frames {
		if whole(f.offset, f.offset+32) {
			promised = max(promised, f.synced)
		}
	}
	return promised
}

// stored is an entry without its key.
type stored struct {
	value string
	at    int64
}

// states are the contents of the file after each of its frames, by the number of records up
// to there, and where that frame ends.
func (l layout) states() map[int]state {
	states := map[int]state{0: {end: l.header + 1024}}
	contents := map[string]stored{}
	n := 0
	for _, f := range l.frames {
		for _, r := range f.records {
			if r.deleted {
				delete(contents, r.key)
			} else {
				contents[r.key] = stored{r.value, r.at}
			}
		}
		n += len(f.records)
		states[n] = state{maps.Clone(contents), f.end, f.kind != kindSnapshot}
	}
	return states
}

type state struct {
	contents map[string]stored
	end      int
	complete bool // the snapshot is
}

// resum corrects every checksum of a file as far as it goes: what a careful forger does. It
// survives whatever it is given.
func resum(file []byte) []byte {
	file = slices.Clone(file)
	if len(file) < 80 {
		return file
	}
	header := int(u32(file, 12))
	if header < 84 || header > len(file) {
		return file
	}
	put32(file, header-4, crc32.Checksum(file[:header-4], crcTable))
	if len(file) < header+1024 {
		return file
	}
	for at := header; at < header+1024; at += 512 {
		put32(file, at+508, sum(file, file[at:at+508]))
	}
	for at := header + 1024; at+32 <= len(file); {
		end := at + 32 + (int(u32(file, at+4))+7)/8*8
		put32(file, at+28, sum(file, file[at+32:min(end, len(file))]))
		put32(file, at, frameSum(file, at))
		at = end
	}
	return file
}
