package dump

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// Batch collects entries that are written together, all or none of them. It belongs to one
// goroutine at a time and can be used again after a Reset.
type Batch[K comparable, V any] struct {
	format  *format[K, V]
	bytes   []byte // with room for the frame's header in front
	records int

	// What is encoded goes through here, because a pointer to an argument would put that
	// on the heap, each time.
	key   K
	value V
}

// NewBatch returns an empty batch.
func (d *Dump[K, V]) NewBatch() *Batch[K, V] {
	return &Batch[K, V]{format: &d.format, bytes: make([]byte, frameHeader, sector)}
}

// Len returns how many entries the batch holds.
func (b *Batch[K, V]) Len() int { return b.records }

// Size returns how many bytes they take.
func (b *Batch[K, V]) Size() int { return len(b.bytes) - frameHeader }

// Reset empties the batch.
func (b *Batch[K, V]) Reset() { b.bytes, b.records = b.bytes[:frameHeader], 0 }

// Put adds an entry. The value is encoded here and now. The error is an [ErrEncode], that
// names the key, if it would not come back as it is, or is too large ([MaxKey], [MaxValue],
// [MaxBatch]); the batch is then as it was.
func (b *Batch[K, V]) Put(entry Entry[K, V]) error {
	b.key, b.value = entry.Key, entry.Value
	longer, err := b.field(appendSet(b.bytes, entry.At), keyField)
	if err == nil {
		longer, err = b.field(longer, valueField)
	}
	return b.add(longer, err)
}

// Delete adds the removal of a key. The error is that of Put.
func (b *Batch[K, V]) Delete(key K) error {
	b.key = key
	longer, err := b.field(append(b.bytes, opDelete), keyField)
	return b.add(longer, err)
}

// add takes the batch with one more record, if that is whole. Whatever happened on the way,
// the batch has not changed until here.
func (b *Batch[K, V]) add(longer []byte, err error) error {
	key := b.key
	var noKey K
	var noValue V
	b.key, b.value = noKey, noValue
	if err == nil && len(longer)-frameHeader > MaxBatch {
		err = fmt.Errorf("%w: the batch would be larger than %d bytes: write it in parts", ErrEncode, MaxBatch)
	}
	if err != nil {
		return fmt.Errorf("dump: key %v: %w", printable{key}, err)
	}
	b.bytes = longer
	b.records++
	return nil
}

type fieldKind string

const (
	keyField   fieldKind = "key"
	valueField fieldKind = "value"
)

// field appends the encoded key or value, with its length in front. Most lengths take one
// byte, for which room is left; the others have what was encoded moved.
func (b *Batch[K, V]) field(into []byte, kind fieldKind) ([]byte, error) {
	start, limit := len(into), MaxKey
	into = append(into, 0)
	var encoded []byte
	var err error
	if kind == keyField {
		encoded, err = b.format.encodeKey(into, &b.key)
	} else {
		limit = MaxValue
		encoded, err = b.format.encode(b.format.values, into, &b.value)
	}
	if err != nil {
		return nil, err
	}

	length := len(encoded) - start - 1
	switch {
	case length < 0:
		return nil, fmt.Errorf("%w: the codec of the %s returned less than it was given", ErrEncode, kind)
	case length > limit:
		return nil, fmt.Errorf("%w: the %s takes %d bytes, and may take %d", ErrEncode, kind, length, limit)
	case length < 0x80:
		encoded[start] = byte(length)
		return encoded, nil
	}
	var room [binary.MaxVarintLen64]byte
	return slices.Replace(encoded, start, start+1, binary.AppendUvarint(room[:0], uint64(length))...), nil
}

// printable shows a key in a message: its own methods may panic, which fmt survives, and a
// huge one is cut.
type printable struct{ key any }

func (p printable) String() string {
	const most = 100
	text := fmt.Sprintf("%v", p.key)
	if _, ok := p.key.(string); ok {
		text = fmt.Sprintf("%q", p.key)
	}
	if len(text) > most {
		return text[:most] + "..."
	}
	return text
}
