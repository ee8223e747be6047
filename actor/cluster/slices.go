package cluster

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
)

// A slice of keys or values is written as a list is, and read without looking at the type of each of
// them: that of thousands would take longer than to read them.

// failing is told what cannot be written or read.
type failing func(at int, err error)

// sliceOf says how the elements of a slice are carried.
func (ts *types) sliceOf(values any) (*carried, error) {
	t := reflect.TypeOf(values)
	if t == nil || t.Kind() != reflect.Slice || t.Name() != "" {
		return nil, fmt.Errorf("%w: a %T is no slice of keys: give a slice of the bucket's key type", ErrNotCarried, values)
	}
	if c, ok := ts.byGo[t.Elem()]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("%w: no bucket with keys or values of type %v is carried: name it with Carry", ErrNotCarried, t.Elem())
}

// encodeSlice fails if one of the values cannot be carried.
func (ts *types) encodeSlice(values any) (*wire.Values, error) {
	c, err := ts.sliceOf(values)
	if err != nil {
		return nil, err
	}
	list, _ := c.encodeSlice(values, nil, func(_ int, failed error) { err = failed })
	return list, err
}

// decodeSlice fails if one of the values cannot be read.
func (ts *types) decodeSlice(list *wire.Values) (any, error) {
	c, err := ts.sliceReader(list)
	if err != nil {
		return nil, err
	}
	return c.decodeSlice(list, nil, func(_ int, failed error) { err = failed }), err
}

func (ts *types) sliceReader(list *wire.Values) (*carried, error) {
	if kinds := list.GetKinds(); len(kinds) == 1 && kinds[0].GetType() != "" {
		return ts.readerFor(kind{kinds[0].GetType(), kinds[0].GetCodec(), kinds[0].GetSchema()})
	}
	return nil, fmt.Errorf("%w: a slice of %d types", ErrNotCarried, len(list.GetKinds()))
}

// encodeFoundMany has each value fail by itself.
func (ts *types) encodeFoundMany(msg bucket.FoundMany) (*wire.Message, error) {
	c, err := ts.sliceOf(msg.Values)
	if err != nil {
		return nil, err
	}
	errs := slices.Clone(msg.Errs)
	var encoded wire.FoundMany
	var many int
	encoded.Values, many = c.encodeSlice(msg.Values, msg.Errs, func(at int, err error) {
		if errs == nil {
			errs = make([]error, at+1)
		}
		errs = append(errs, make([]error, max(at+1-len(errs), 0))...)
		errs[at] = err
	})
	for i, err := range errs[:min(many, len(errs))] {
		if err != nil {
			encoded.Errors = append(encoded.Errors, &wire.ErrorAt{At: uint32(i), Error: ts.encodeError(err)})
		}
	}
	return &wire.Message{Body: &wire.Message_FoundMany{FoundMany: &encoded}}, nil
}

func (ts *types) decodeFoundMany(encoded *wire.FoundMany) (bucket.FoundMany, error) {
	var msg bucket.FoundMany
	c, err := ts.sliceReader(encoded.GetValues())
	if err != nil {
		return msg, err
	}
	many := len(encoded.GetValues().GetSizes())
	fail := func(at int, err error) {
		if msg.Errs == nil {
			msg.Errs = make([]error, many)
		}
		msg.Errs[at] = err
	}
	for _, failed := range encoded.GetErrors() {
		if int(failed.GetAt()) < many {
			fail(int(failed.GetAt()), ts.decodeError(failed.GetError()))
		}
	}
	msg.Values = c.decodeSlice(encoded.GetValues(), slices.Clone(msg.Errs), fail)
	return msg, nil
}

// encodeSlice writes values one behind the other, but for those that there is an error instead of.
func encodeSlice[T any](codec dump.Codec, values []T, skip []error, fail failing, k kind) *wire.Values {
	list := &wire.Values{
		Kinds: []*wire.Kind{{Type: k.goType, Codec: k.codec, Schema: k.schema}},
		Sizes: make([]uint32, len(values)),
	}
	for i := range values {
		if i < len(skip) && skip[i] != nil {
			continue
		}
		before := len(list.Data)
		var err error
		if list.Data, err = codec.Encode(list.Data, &values[i]); err != nil {
			list.Data = list.Data[:before]
			fail(i, fmt.Errorf("%w: %w", ErrNotCarried, err))
		}
		list.Sizes[i] = uint32(len(list.Data) - before) //nolint:gosec // a message is not that large
		if before == 0 {
			list.Data = slices.Grow(list.Data, (len(values)-i)*len(list.Data)) // the others may be as large
		}
	}
	return list
}

// decodeSlice reads what encodeSlice has written. Values that would share their memory get their own, or
// one of them would keep all others in memory.
func decodeSlice[T any](codec dump.Codec, list *wire.Values, skip []error, fail failing, own bool, k kind) []T {
	sizes, rest := list.GetSizes(), list.GetData()
	values := make([]T, len(sizes))
	for i, size := range sizes {
		if uint64(size) > uint64(len(rest)) {
			fail(i, fmt.Errorf("%w: value %d of %d is %d bytes, and there are %d", ErrNotCarried, i+1, len(sizes), size, len(rest)))
			return values
		}
		encoded := rest[:size:size]
		rest = rest[size:]
		if i < len(skip) && skip[i] != nil {
			continue
		}
		if !own {
			encoded = bytes.Clone(encoded)
		}
		if err := codec.Decode(encoded, &values[i]); err != nil {
			var none T
			values[i] = none
			fail(i, fmt.Errorf("%w: %v: %w", ErrNotCarried, k, err))
		}
	}
	return values
}
