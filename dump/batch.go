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
	key     K
	value   V
	scratch []byte
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
	start := len(b.bytes)
	b.bytes = appendSet(b.bytes, entry.At)
	err := b.putKey(entry.Key)
	if err == nil {
		err = b.putValue(entry.Value)
	}
	return b.seal(start, entry.Key, err)
}

// Delete adds the removal of a key. The error is that of Put.
func (b *Batch[K, V]) Delete(key K) error {
	start := len(b.bytes)
	b.bytes = append(b.bytes, opDelete)
	return b.seal(start, key, b.putKey(key))
}

func (b *Batch[K, V]) seal(start int, key K, err error) error {
	if err == nil && len(b.bytes)-frameHeader > MaxBatch {
		err = fmt.Errorf("%w: the batch would be larger than %d bytes: write it in parts", ErrEncode, MaxBatch)
	}
	if err != nil {
		b.bytes = b.bytes[:start]
		return fmt.Errorf("dump: key %v: %w", printable{key}, err)
	}
	b.records++
	return nil
}

func (b *Batch[K, V]) putKey(key K) error {
	b.key = key
	defer func() { var none K; b.key = none }()
	return b.put(MaxKey, "key", func(into []byte) ([]byte, error) { return b.format.encodeKey(into, &b.key) })
}

func (b *Batch[K, V]) putValue(value V) error {
	b.value = value
	defer func() { var none V; b.value = none }()
	return b.put(MaxValue, "value", func(into []byte) ([]byte, error) { return b.format.encodeValue(into, &b.value) })
}

// put adds what encode appends, with its length in front. Most lengths take one byte, for
// which room is left; the others have what was encoded moved.
func (b *Batch[K, V]) put(limit int, what string, encode func([]byte) ([]byte, error)) error {
	start := len(b.bytes)
	encoded, err := encode(append(b.bytes, 0))
	if err != nil {
		return err
	}
	length := len(encoded) - start - 1
	if length < 0 {
		return fmt.Errorf("%w: the codec of the %s returned less than it was given", ErrEncode, what)
	}
	if length > limit {
		return fmt.Errorf("%w: the %s takes %d bytes, and may take %d", ErrEncode, what, length, limit)
	}
	if length < 0x80 {
		encoded[start] = byte(length)
		b.bytes = encoded
		return nil
	}
	prefix := binary.AppendUvarint(b.scratch[:0], uint64(length))
	b.scratch = prefix
	b.bytes = slices.Replace(encoded, start, start+1, prefix...)
	return nil
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
