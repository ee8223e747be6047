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
	list := &wire.Values{Data: make([][]byte, len(values))}
	kinds := map[kind]uint32{}
	var numbers []uint32 // of the kinds, when there are several
	var last *carried
	var lastType reflect.Type
	var lastNumber uint32
	for i, value := range values {
		t := reflect.TypeOf(value)
		if i == 0 || t != lastType {
			var err error
			if last, err = ts.carriedFor(value); err != nil {
				fail(i, err)
				last, t = &nothing, nil
			}
			lastType, lastNumber = t, numberOf(list, kinds, last.kind)
		}
		if lastNumber > 0 && numbers == nil {
			numbers = make([]uint32, i, len(values)) // all before were of the first
		}
		number := lastNumber
		if last != &nothing {
			data, err := last.encode(value)
			if err != nil {
				fail(i, fmt.Errorf("%w: %w", ErrNotCarried, err))
				number = numberOf(list, kinds, nothing.kind)
				if numbers == nil && number > 0 {
					numbers = make([]uint32, i, len(values))
				}
			}
			list.Data[i] = data
		}
		if numbers != nil {
			numbers = append(numbers, number)
		}
	}
	list.Kind = numbers
	return list
}

// nothing is how nil is carried.
var nothing carried

// numberOf is the place of a kind among those of a list.
func numberOf(list *wire.Values, numbers map[kind]uint32, k kind) uint32 {
	number, known := numbers[k]
	if !known {
		number = uint32(len(list.Kinds)) //nolint:gosec // there are not that many types
		numbers[k] = number
		list.Kinds = append(list.Kinds, &wire.Kind{Type: k.goType, Codec: k.codec, Schema: k.schema})
	}
	return number
}

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
	values := make([]any, len(list.GetData()))
	readers, errs := ts.readersOf(list.GetKinds())
	numbers := list.GetKind()
	for i, data := range list.GetData() {
		number := 0
		if i < len(numbers) {
			number = int(numbers[i])
		}
		if number >= len(readers) {
			fail(i, fmt.Errorf("%w: a list says that a value is of kind %d of %d", ErrNotCarried, number+1, len(readers)))
			continue
		}
		if errs[number] != nil {
			fail(i, errs[number])
			continue
		}
		if readers[number] == &nothing {
			continue
		}
		value, err := readers[number].decode(data)
		if err != nil {
			fail(i, fmt.Errorf("%w: %v: %w", ErrNotCarried, readers[number].kind, err))
			continue
		}
		values[i] = value
	}
	return values
}

func (ts *types) readersOf(kinds []*wire.Kind) (readers []*carried, errs []error) {
	readers, errs = make([]*carried, len(kinds)), make([]error, len(kinds))
	for i, k := range kinds {
		readers[i], errs[i] = ts.readerFor(kind{k.GetType(), k.GetCodec(), k.GetSchema()})
	}
	return readers, errs
}
