package dump

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"strings"
	"time"
)

// The layout of a file is told in FORMAT.md; the names here are those of its tables.
const (
	magic        = "\x89DWB\r\n\x1a\n"
	major        = 1
	minor        = 0
	sector       = 512
	headerFixed  = 80
	maxHeader    = 64 << 10
	maxTypeName  = 1 << 10
	writerName   = "dataworker/1"
	flagPartial  = 1 << 0
	slotsPerFile = 2
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is what a file says about itself. It never changes while the file lives.
type header struct {
	minor      uint16
	partial    bool
	id         [16]byte
	generation uint64
	records    uint64
	created    int64
	freshAt    int64
	schema     uint32

	name                 string
	keyCodec, valueCodec string
	keyType, valueType   string
	writer               string

	size int64  // of the header in the file
	seed uint32 // what every checksum of this file begins with
}

// identify gives the header a random id, so that bytes of another file are never taken for
// this one's.
func (h *header) identify() {
	_, _ = rand.Read(h.id[:]) // never fails
	h.seed = crc32.Checksum(h.id[:], castagnoli)
}

func (h *header) encode() ([]byte, error) {
	flags := uint32(0)
	if h.partial {
		flags |= flagPartial
	}
	b := make([]byte, 0, sector)
	b = append(b, magic...)
	b = binary.LittleEndian.AppendUint16(b, major)
	b = binary.LittleEndian.AppendUint16(b, minor)
	b = append(b, 0, 0, 0, 0) // its size, see below
	b = append(b, 0, 0, 0, 0) // incompatible flags
	b = binary.LittleEndian.AppendUint32(b, flags)
	b = append(b, h.id[:]...)
	b = binary.LittleEndian.AppendUint64(b, h.generation)
	b = binary.LittleEndian.AppendUint64(b, h.records)
	b = binary.LittleEndian.AppendUint64(b, uint64(h.created))
	b = binary.LittleEndian.AppendUint64(b, uint64(h.freshAt))
	b = binary.LittleEndian.AppendUint32(b, h.schema)
	b = append(b, 0, 0, 0, 0)
	for _, text := range h.texts() {
		b = binary.LittleEndian.AppendUint16(b, uint16(min(len(*text), maxHeader-1)))
		b = append(b, *text...)
	}

	size := (len(b) + 4 + sector - 1) / sector * sector
	if size > maxHeader {
		return nil, fmt.Errorf("the names in the header take %d bytes, and there is room for %d: use a shorter name", len(b), maxHeader)
	}
	h.size = int64(size)
	b = append(b, make([]byte, size-len(b))...)
	binary.LittleEndian.PutUint32(b[12:], uint32(size))
	binary.LittleEndian.PutUint32(b[size-4:], crc32.Checksum(b[:size-4], castagnoli))
	return b, nil
}

func (h *header) texts() []*string {
	return []*string{&h.name, &h.keyCodec, &h.valueCodec, &h.keyType, &h.valueType, &h.writer}
}

// readHeader reads the header of a file that is size bytes long.
func readHeader(path string, file io.ReaderAt, size int64) (*header, error) {
	if size == 0 {
		return nil, &Error{
			Path: path, Offset: 0, Kind: ErrTruncated,
			Reason: "the file is empty, and no dump ever is: remove it if it means nothing, or put the right one in its place",
		}
	}
	start := make([]byte, min(size, headerFixed))
	if err := readAt(path, file, start, 0); err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(start, []byte(magic)[:min(len(start), len(magic))]) {
		return nil, &Error{
			Path: path, Offset: 0, Kind: ErrForeign,
			Reason: fmt.Sprintf("it begins with %q, and a dump with %q: this is the file of something else", start[:min(len(start), len(magic))], magic),
		}
	}
	if len(start) < headerFixed {
		return nil, &Error{Path: path, Offset: size, Kind: ErrTruncated, Reason: fmt.Sprintf("%d bytes are not even a header", size)}
	}

	length := int64(binary.LittleEndian.Uint32(start[12:]))
	switch {
	case length < sector || length > maxHeader || length%sector != 0:
		return nil, &Error{Path: path, Offset: 12, Kind: ErrCorrupt, Reason: fmt.Sprintf("a header cannot be %d bytes long", length)}
	case length+slotsPerFile*sector > size:
		return nil, &Error{
			Path: path, Offset: size, Kind: ErrTruncated,
			Reason: fmt.Sprintf("the file has %d bytes, its header and slots need %d", size, length+slotsPerFile*sector),
		}
	}
	b := make([]byte, length)
	if err := readAt(path, file, b, 0); err != nil {
		return nil, err
	}
	return decodeHeader(path, b)
}

func decodeHeader(path string, b []byte) (*header, error) {
	corrupt := func(offset int, reason string) error {
		return &Error{Path: path, Offset: int64(offset), Kind: ErrCorrupt, Reason: reason}
	}
	end := len(b) - 4
	if crc32.Checksum(b[:end], castagnoli) != binary.LittleEndian.Uint32(b[end:]) {
		return nil, corrupt(0, "the header's checksum is wrong")
	}
	if version := binary.LittleEndian.Uint16(b[8:]); version != major {
		return nil, &Error{
			Path: path, Offset: 8, Kind: ErrVersion,
			Reason: fmt.Sprintf("the file has format %d, this program reads format %d: use the program that wrote it, or a newer one", version, major),
		}
	}
	if flags := binary.LittleEndian.Uint32(b[16:]); flags != 0 {
		return nil, &Error{
			Path: path, Offset: 16, Kind: ErrVersion,
			Reason: fmt.Sprintf("the file uses features %#x that this program does not know: use a newer one", flags),
		}
	}

	h := &header{
		minor:      binary.LittleEndian.Uint16(b[10:]),
		partial:    binary.LittleEndian.Uint32(b[20:])&flagPartial != 0,
		id:         [16]byte(b[24:]),
		generation: binary.LittleEndian.Uint64(b[40:]),
		records:    binary.LittleEndian.Uint64(b[48:]),
		created:    int64(binary.LittleEndian.Uint64(b[56:])),
		freshAt:    int64(binary.LittleEndian.Uint64(b[64:])),
		schema:     binary.LittleEndian.Uint32(b[72:]),
		size:       int64(len(b)),
	}
	h.seed = crc32.Checksum(h.id[:], castagnoli)
	at := headerFixed
	for _, text := range h.texts() {
		if at+2 > end {
			return nil, corrupt(at, "the header's names end too early")
		}
		length := int(binary.LittleEndian.Uint16(b[at:]))
		at += 2
		if at+length > end {
			return nil, corrupt(at, "a name in the header is longer than the header")
		}
		*text = string(b[at : at+length])
		at += length
	}
	return h, nil
}

// frames is where the frames begin.
func (h *header) frames() int64 { return h.size + slotsPerFile*sector }

func (h *header) createdAt() time.Time { return time.Unix(0, h.created) }

// shortName is how a type is called in messages.
func shortName(name string) string {
	if len(name) > maxTypeName {
		return strings.ToValidUTF8(name[:maxTypeName], "")
	}
	return name
}

// readAt fills b, or says what is wrong. A read error is never taken for the end of
// the file.
func readAt(path string, file io.ReaderAt, b []byte, offset int64) error {
	n, err := file.ReadAt(b, offset)
	if n == len(b) {
		return nil
	}
	if err == nil || err == io.EOF { // a bare EOF is the contract of io.ReaderAt
		return &Error{Path: path, Offset: offset + int64(n), Kind: ErrStolen, Reason: "it became shorter while it was read"}
	}
	return &Error{Path: path, Offset: offset + int64(n), Kind: ErrIO, Reason: "reading", Err: err}
}
