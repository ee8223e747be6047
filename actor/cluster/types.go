package cluster

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
)

// Carried is a bucket whose keys and values can cross the border; see [Carry].
type Carried struct {
	bucket string
	types  []*carried
	err    error
}

// Carry has the keys and values of a bucket carried between members, by the codecs that the
// bucket's options name, as in its file. The bucket need not run here. All members must carry it
// with the same codecs and schema.
func Carry[K comparable, V any](b *bucket.Bucket[K, V]) Carried {
	config, err := b.Config()
	c := Carried{bucket: b.Name(), err: err}
	if err != nil {
		return c
	}
	c.types = []*carried{
		carriedBy[K](dump.CodecFor(reflect.TypeFor[K](), config.KeyCodec), 0),
		carriedBy[V](dump.CodecFor(reflect.TypeFor[V](), config.Codec), config.Schema),
	}
	for _, t := range c.types {
		if err := t.codec.CheckType(t.goType); err != nil {
			c.err = errors.Join(c.err, fmt.Errorf("values of %v would not arrive as they were sent: %w", t.goType, err))
		}
	}
	return c
}

// carried is a type that crosses the border, and how.
type carried struct {
	codec  dump.Codec
	goType reflect.Type
	kind   kind

	encode func(value any) ([]byte, error)
	decode func(encoded []byte) (any, error)

	// Slices of the type.
	encodeSlice func(values any, skip []error, fail failing) (*wire.Values, int)
	decodeSlice func(list *wire.Values, skip []error, fail failing) any

	// For many values in a row, by one goroutine.
	encoder func() func(into []byte, value any) ([]byte, error)
	decoder func() func(encoded []byte) (any, error)
}

// kind is what both sides must agree on. It is what a Value says of itself.
type kind struct {
	goType string
	codec  string
	schema uint32
}

func (k kind) String() string {
	return fmt.Sprintf("%s by %s, schema %d", k.goType, k.codec, k.schema)
}

func carriedBy[T any](codec dump.Codec, schema uint32) *carried {
	t := reflect.TypeFor[T]()
	k := kind{nameOf(t), codec.Name(), schema}
	return &carried{
		codec:  codec,
		goType: t,
		kind:   k,
		encode: func(value any) ([]byte, error) { return encode(codec, nil, value, new(T)) },
		decode: func(encoded []byte) (any, error) { return decode(codec, encoded, new(T)) },
		encodeSlice: func(values any, skip []error, fail failing) (*wire.Values, int) {
			typed, _ := values.([]T)
			return encodeSlice(codec, typed, skip, fail, k), len(typed)
		},
		decodeSlice: func(list *wire.Values, skip []error, fail failing) any {
			return decodeSlice[T](codec, list, skip, fail, owns(codec, t), k)
		},
		encoder: func() func([]byte, any) ([]byte, error) {
			room := new(T)
			return func(into []byte, value any) ([]byte, error) { return encode(codec, into, value, room) }
		},
		decoder: func() func([]byte) (any, error) {
			room, owning := new(T), owns(codec, t)
			return func(encoded []byte) (any, error) {
				if !owning { // or one value would keep all others in memory
					encoded = bytes.Clone(encoded)
				}
				return decode(codec, encoded, room)
			}
		},
	}
}

// encode appends a value, for which there has to be room.
func encode[T any](codec dump.Codec, into []byte, value any, room *T) ([]byte, error) {
	var ok bool
	if *room, ok = value.(T); !ok {
		return into, fmt.Errorf("%w: %T is no %v", bucket.ErrValueType, value, reflect.TypeFor[T]())
	}
	return codec.Encode(into, room)
}

// decode reads a value, for which there has to be room.
func decode[T any](codec dump.Codec, encoded []byte, room *T) (any, error) {
	var none T
	*room = none
	err := codec.Decode(encoded, room)
	return *room, err
}

// owns says that values of the type share no memory with what they are read from.
func owns(codec dump.Codec, t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Bool, reflect.Float32, reflect.Float64, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32,
		reflect.Int64, reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return true
	case reflect.String:
		return codec == dump.Raw()
	default:
		return false
	}
}

// nameOf tells types of one name in different packages apart, as reflect's String does not.
func nameOf(t reflect.Type) string {
	if t.Name() != "" && t.PkgPath() != "" {
		return t.PkgPath() + "." + t.Name()
	}
	return t.String()
}

// types are all that cross the border. They do not change.
type types struct {
	byGo   map[reflect.Type]*carried
	byKind map[kind]*carried
	byName map[string][]kind // the kinds of one type, for error messages
}

func newTypes(buckets []Carried) (*types, error) {
	ts := &types{map[reflect.Type]*carried{}, map[kind]*carried{}, map[string][]kind{}}
	for _, c := range buckets {
		if c.err != nil {
			return nil, fmt.Errorf("%w: Carry(%q): %w", ErrConfig, c.bucket, c.err)
		}
		for _, t := range c.types {
			ts.add(t)
		}
	}
	return ts, nil
}

// add takes a type in. Where two buckets carry it by different codecs, it goes out by the first, and
// comes in by either.
func (ts *types) add(t *carried) {
	if _, known := ts.byKind[t.kind]; known {
		return
	}
	ts.byKind[t.kind] = t
	ts.byName[t.kind.goType] = append(ts.byName[t.kind.goType], t.kind)
	if _, known := ts.byGo[t.goType]; !known {
		ts.byGo[t.goType] = t
	}
}

// encode makes a Value that says how it is to be read.
func (ts *types) encode(value any) (*wire.Value, error) {
	t, err := ts.carriedFor(value)
	if err != nil {
		return nil, err
	}
	if t == &nothing {
		return &wire.Value{}, nil
	}
	data, err := t.encode(value)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCarried, err)
	}
	return &wire.Value{Type: t.kind.goType, Codec: t.kind.codec, Schema: t.kind.schema, Data: data}, nil
}

// carriedFor says how a value is carried.
func (ts *types) carriedFor(value any) (*carried, error) {
	if value == nil {
		return &nothing, nil
	}
	if t, ok := ts.byGo[reflect.TypeOf(value)]; ok {
		return t, nil
	}
	if t := ts.implemented(value); t != nil {
		return t, nil
	}
	return nil, fmt.Errorf("%w: no bucket with keys or values of type %T is carried: name it with Carry", ErrNotCarried, value)
}

// implemented finds the interface type as which a value can be carried.
func (ts *types) implemented(value any) *carried {
	for t, c := range ts.byGo {
		if t.Kind() == reflect.Interface && reflect.TypeOf(value).Implements(t) {
			return c
		}
	}
	return nil
}

// decode reads a Value.
func (ts *types) decode(value *wire.Value) (any, error) {
	t, err := ts.readerFor(kind{value.GetType(), value.GetCodec(), value.GetSchema()})
	if err != nil || t == &nothing {
		return nil, err
	}
	got, err := t.decode(value.GetData())
	if err != nil {
		return nil, fmt.Errorf("%w: %v: %w", ErrNotCarried, t.kind, err)
	}
	return got, nil
}

// readerFor reads what another member sent as that kind.
func (ts *types) readerFor(sent kind) (*carried, error) {
	if sent.goType == "" {
		return &nothing, nil
	}
	if t, ok := ts.byKind[sent]; ok {
		return t, nil
	}
	if ours := ts.byName[sent.goType]; len(ours) > 0 {
		return nil, fmt.Errorf("%w: the other member sends %v, and here it is %v: give the bucket the same options in all members",
			ErrNotCarried, sent, ours[0])
	}
	return nil, fmt.Errorf("%w: the other member sends %v, and no such bucket is carried here: name it with Carry in all members",
		ErrNotCarried, sent)
}
