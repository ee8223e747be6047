package dump

import (
	"encoding/binary"
	"errors"
)

// Limits of what is written.
const (
	MaxKey   = 1 << 20  // bytes of an encoded key
	MaxValue = 16 << 20 // bytes of an encoded value
)

const (
	opSet    = 1
	opDelete = 2

	minRecord = 1 + 8 + 1 + 1 // a set of nothing to nothing; a delete is shorter
)

// rawRecord is one key as the file holds it.
type rawRecord struct {
	deleted bool
	at      int64
	key     []byte
	value   []byte
	size    int // bytes that it takes
}

// appendSet writes a set, but for the value: encode adds that.
func appendSet(b []byte, at int64) []byte {
	b = append(b, opSet)
	return binary.LittleEndian.AppendUint64(b, uint64(at))
}

func appendBytes(b, bytes []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(len(bytes))), bytes...)
}

var errRecord = errors.New("a record does not fit its frame")

// nextRecord takes the first record off a payload whose checksum was right, so an error
// means that the writer was wrong.
func nextRecord(payload []byte) (r rawRecord, rest []byte, err error) {
	switch {
	case len(payload) >= 9 && payload[0] == opSet:
		r.at = int64(binary.LittleEndian.Uint64(payload[1:]))
		rest = payload[9:]
	case payload[0] == opDelete:
		r.deleted = true
		rest = payload[1:]
	default:
		return r, nil, errRecord
	}
	if r.key, rest, err = nextBytes(rest, MaxKey); err == nil && !r.deleted {
		r.value, rest, err = nextBytes(rest, MaxValue)
	}
	r.size = len(payload) - len(rest)
	return r, rest, err
}

func nextBytes(b []byte, limit uint64) (bytes, rest []byte, err error) {
	length, n := binary.Uvarint(b)
	if n <= 0 || length > limit || length > uint64(len(b)-n) {
		return nil, nil, errRecord
	}
	end := n + int(length)
	return b[n:end:end], b[end:], nil
}
