package cluster

import (
	"fmt"
	"reflect"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
)

// encodeList makes Values, which say once how all of them are to be read. The error is that of the
// first that cannot be carried.
func (ts *types) encodeList(values []any) (*wire.Values, error) {
	var failed error
	list := ts.encodeEach(values, func(_ int, err error) {
		if failed == nil {
			failed = err
		}
	})
	return list, failed
}

// encodeEach is encodeList with nil in place of what cannot be carried.
func (ts *types) encodeEach(values []any, fail func(at int, err error)) *wire.Values {
	w := listWriter{list: &wire.Values{Sizes: make([]uint32, len(values))}, numbers: map[kind]uint32{}}
	for i, value := range values {
		if i == 0 || reflect.TypeOf(value) != w.goType {
			if err := w.turnTo(ts, value); err != nil {
				fail(i, err)
			}
		}
		if err := w.add(i, value); err != nil {
			fail(i, fmt.Errorf("%w: %w", ErrNotCarried, err))
		}
	}
	return w.list
}

// listWriter writes values one behind the other.
type listWriter struct {
	list    *wire.Values
	numbers map[kind]uint32 // of the kinds

	goType reflect.Type // of the last value
	number uint32       // of its kind
	encode func(into []byte, value any) ([]byte, error)
}

// turnTo is for a value of another type than the one before it.
func (w *listWriter) turnTo(ts *types, value any) error {
	t, err := ts.carriedFor(value)
	if err != nil {
		t = &nothing
	}
	w.goType, w.encode, w.number = reflect.TypeOf(value), nil, w.numberOf(t.kind)
	if t == &nothing {
		w.goType = nil // so that each that cannot be carried says so
	} else {
		w.encode = t.encoder()
	}
	return err
}

func (w *listWriter) add(i int, value any) error {
	number := w.number
	var err error
	if w.encode != nil {
		before := len(w.list.Data)
		if w.list.Data, err = w.encode(w.list.Data, value); err != nil {
			w.list.Data, number = w.list.Data[:before], w.numberOf(nothing.kind)
		}
		w.list.Sizes[i] = uint32(len(w.list.Data) - before) //nolint:gosec // a message is not that large
	}
	if number > 0 && w.list.Kind == nil {
		w.list.Kind = make([]uint32, i, len(w.list.Sizes)) // all before were of the first
	}
	if w.list.Kind != nil {
		w.list.Kind = append(w.list.Kind, number)
	}
	return err
}

// numberOf is the place of a kind among those of the list.
func (w *listWriter) numberOf(k kind) uint32 {
	number, known := w.numbers[k]
	if !known {
		number = uint32(len(w.list.Kinds)) //nolint:gosec // there are not that many types
		w.numbers[k] = number
		w.list.Kinds = append(w.list.Kinds, &wire.Kind{Type: k.goType, Codec: k.codec, Schema: k.schema})
	}
	return number
}

// nothing is how nil is carried.
var nothing carried

// decodeList reads Values. The error is that of the first that cannot be read.
func (ts *types) decodeList(list *wire.Values) ([]any, error) {
	var failed error
	values := ts.decodeEach(list, func(_ int, err error) {
		if failed == nil {
			failed = err
		}
	})
	return values, failed
}

// decodeEach is decodeList with nil in place of what cannot be read.
func (ts *types) decodeEach(list *wire.Values, fail func(at int, err error)) []any {
	sizes, rest, numbers := list.GetSizes(), list.GetData(), list.GetKind()
	values := make([]any, len(sizes))
	readers := ts.readersOf(list.GetKinds())
	for i, size := range sizes {
		var number uint32
		if i < len(numbers) {
			number = numbers[i]
		}
		if uint64(size) > uint64(len(rest)) || int(number) >= len(readers) {
			fail(i, fmt.Errorf("%w: value %d of %d in a list is %d bytes of kind %d, and there are %d and %d",
				ErrNotCarried, i+1, len(sizes), size, number+1, len(rest), len(readers)))
			return values
		}
		var err error
		if values[i], err = readers[number](rest[:size:size]); err != nil {
			values[i] = nil
			fail(i, err)
		}
		rest = rest[size:]
	}
	return values
}

// readersOf reads values of some kinds.
func (ts *types) readersOf(kinds []*wire.Kind) []func(encoded []byte) (any, error) {
	readers := make([]func([]byte) (any, error), len(kinds))
	for i, k := range kinds {
		t, err := ts.readerFor(kind{k.GetType(), k.GetCodec(), k.GetSchema()})
		if err != nil || t == &nothing {
			readers[i] = func([]byte) (any, error) { return nil, err }
			continue
		}
		decode := t.decoder()
		readers[i] = func(encoded []byte) (any, error) {
			value, err := decode(encoded)
			if err != nil {
				return nil, fmt.Errorf("%w: %v: %w", ErrNotCarried, t.kind, err)
			}
			return value, nil
		}
	}
	return readers
}
