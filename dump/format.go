package dump

import (
	"errors"
	"fmt"
	"reflect"
)

// format is how the keys and values of a dump become bytes and back.
type format[K comparable, V any] struct {
	keys, values Codec

	// exact: every key comes back as it was. Otherwise each is tried, when it is written: a
	// key that comes back as another one would not be found again.
	exact bool
}

func newFormat[K comparable, V any](o Options) (format[K, V], error) {
	keyType, valueType := reflect.TypeFor[K](), reflect.TypeFor[V]()
	f := format[K, V]{keys: CodecFor(keyType, o.Keys), values: CodecFor(valueType, o.Values)}
	if err := checkType(f.keys, keyType); err != nil {
		return f, fmt.Errorf("key: %w", err)
	}
	if err := checkType(f.values, valueType); err != nil {
		return f, fmt.Errorf("value: %w", err)
	}
	f.exact = f.keys == Raw()
	return f, nil
}

// checkType asks a codec, which may be anybody's.
func checkType(codec Codec, t reflect.Type) error {
	err := codec.CheckType(t)
	if err != nil && !errors.Is(err, ErrType) {
		err = fmt.Errorf("%w: %w", ErrType, err)
	}
	return err
}

func (f *format[K, V]) encodeKey(into []byte, key *K) ([]byte, error) {
	start := len(into)
	encoded, err := f.encode(f.keys, into, key)
	if err != nil || f.exact {
		return encoded, err
	}
	var back K
	if err := f.decode(f.keys, encoded[start:], &back); err != nil {
		return into, fmt.Errorf("%w: it would not come back: %w", ErrEncode, err)
	}
	if back != *key {
		return into, fmt.Errorf("%w: it would come back as another key, %v", ErrEncode, printable{back})
	}
	return encoded, nil
}

// encode calls a codec, which is the user's code or calls it.
func (f *format[K, V]) encode(codec Codec, into []byte, value any) (encoded []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			encoded, err = into, fmt.Errorf("%w: codec %s panicked: %v", ErrEncode, codec.Name(), p)
		}
	}()
	encoded, err = codec.Encode(into, value)
	if err != nil {
		return into, fmt.Errorf("%w: %w", ErrEncode, err)
	}
	return encoded, nil
}

func (f *format[K, V]) decode(codec Codec, encoded []byte, value any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("codec %s panicked: %v", codec.Name(), p)
		}
	}()
	return codec.Decode(encoded, value)
}
