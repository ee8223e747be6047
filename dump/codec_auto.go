package dump

import (
	"errors"
	"fmt"
	"reflect"
)

// CodecFor is the codec for keys or values of type t: the chosen one, or if that is nil the
// fastest of this package that carries them.
func CodecFor(t reflect.Type, chosen Codec) Codec {
	if chosen != nil {
		return chosen
	}
	if Raw().CheckType(t) == nil {
		return Raw()
	}
	return CBOR()
}

// Unchecked returns c without its doubts about types: for those who know what
// becomes of the unexported fields and the interfaces in theirs. The file is the
// same, and so is the codec's name in it.
//
// A type is still refused of which the codec cannot encode anything, and a value
// that it would not decode again. What is decoded may differ from what was encoded:
// unexported fields are zero, an any holds the maps and numbers of the codec. Values
// of a type that has been doubted are decoded when they are written.
func Unchecked(c Codec) Codec {
	switch c := c.(type) {
	case checked:
		c.waived = true
		return c
	case binaryCodec:
		c.waived = true
		return c
	case rawCodec, unchecked:
		return c
	default:
		return unchecked{c}
	}
}

// unchecked is a codec from elsewhere. That its values come back is seen by decoding
// each of them.
type unchecked struct{ Codec }

// CheckType implements Codec.
func (unchecked) CheckType(reflect.Type) error { return nil }

// Encode implements Codec.
func (c unchecked) Encode(into []byte, value any) (longer []byte, err error) {
	defer func() {
		if broken := recover(); broken != nil {
			longer, err = into, fmt.Errorf("%w: %s: panic: %v", ErrEncode, c.Name(), broken)
		}
	}()
	t, err := pointedTo(value)
	if err != nil {
		return into, fmt.Errorf("%w: %s: %w", ErrEncode, c.Name(), err)
	}
	longer, err = c.Codec.Encode(into, value)
	if err != nil {
		return into, c.notEncoded(err)
	}
	if err = c.Decode(longer[len(into):], reflect.New(t).Interface()); err != nil {
		return into, c.notEncoded(fmt.Errorf("it would not be decoded: %w", err))
	}
	return longer, nil
}

func (c unchecked) notEncoded(err error) error {
	if errors.Is(err, ErrEncode) {
		return err
	}
	return fmt.Errorf("%w: %s: %w", ErrEncode, c.Name(), err)
}
