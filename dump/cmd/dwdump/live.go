package main

import (
	"cmp"
	"context"
	"hash/crc32"
	"slices"
	"strings"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// place is where the last record of a key stands, so that the value need not be kept.
type place struct {
	offset int64 // of the record
	value  int64 // offset of the value
	size   int32 // of the value
	sum    uint32
	at     int64 // unix nanoseconds
}

func (p place) time() time.Time { return time.Unix(0, p.at).UTC() }

// live are the keys that a file holds, as bytes, with their places.
type live map[string]place

// live reads the file and returns what it holds; of a damaged one, up to the damage.
func (f *subject) live(ctx context.Context) (found live, damage, err error) {
	found = make(live)
	damage, err = f.read(ctx, "reading", func(r dump.Record) error {
		if r.Deleted {
			delete(found, string(r.Key))
			return nil
		}
		found[string(r.Key)] = place{
			offset: r.Offset,
			value:  r.Offset + r.Size - int64(len(r.Value)),
			size:   int32(len(r.Value)),
			sum:    crc32.ChecksumIEEE(r.Value),
			at:     r.At.UnixNano(),
		}
		return nil
	})
	return found, damage, err
}

// namedKey is a key with what is needed to sort it.
type namedKey struct{ raw, order string }

// sorted returns the keys in their order, those that begin with prefix.
func (f *subject) sorted(found live, prefix string) []namedKey {
	keys := make([]namedKey, 0, len(found))
	var b []byte
	for raw, p := range found {
		b = f.key(b[:0], dump.Record{Offset: p.offset, Key: []byte(raw)})
		if !strings.HasPrefix(keyText(b), prefix) {
			continue
		}
		k := namedKey{raw, keyOrder(b)}
		if k.order == raw {
			k.order = raw // the memory of one is enough
		}
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b namedKey) int {
		return cmp.Or(strings.Compare(a.order, b.order), strings.Compare(a.raw, b.raw))
	})
	return keys
}

// fetch reads a value again.
func (f *subject) fetch(p place) ([]byte, error) {
	value := make([]byte, p.size)
	if n, err := f.file.file.ReadAt(value, p.value); n < len(value) {
		return nil, about(f.path, &dump.Error{Offset: p.value, Kind: dump.ErrIO, Reason: "reading again", Err: err})
	}
	if crc32.ChecksumIEEE(value) != p.sum {
		return nil, f.changed(p.value)
	}
	return value, nil
}

// changed is for bytes that are not what they were when they were read first.
func (f *subject) changed(offset int64) error {
	return about(f.path, &dump.Error{Offset: offset, Kind: dump.ErrStolen, Reason: "it was another at first"})
}
