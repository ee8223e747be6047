package dump

import (
	"encoding/binary"
	"fmt"
	"math"
	"reflect"
	"unsafe"
)

// Raw returns the codec "raw/1", for types that are their own encoding: strings and
// slices of bytes, integers, floats and bools, and fixed arrays of numbers and bools;
// named types of these too, whatever methods they have. Integers have the width of
// their type, int, uint and uintptr eight bytes, all of them little endian.
//
// Everything comes back as it was, to the bits of a NaN. A string and a slice of
// bytes share the memory of what they are decoded from; nothing is allocated.
func Raw() Codec { return rawCodec{} }

type rawCodec struct{}

// Name implements Codec.
func (rawCodec) Name() string { return "raw/1" }

// CheckType implements Codec.
func (rawCodec) CheckType(t reflect.Type) error {
	if t == nil {
		return fmt.Errorf("%w: no type", ErrType)
	}
	if isBytes(t) || t.Kind() == reflect.String {
		return nil
	}
	if _, ok := rawWidth(t); !ok {
		return fmt.Errorf("%w: raw/1: %v is neither a string, bytes, a number nor a fixed array of numbers: use CBOR", ErrType, t)
	}
	return nil
}

func isBytes(t reflect.Type) bool {
	return t.Kind() == reflect.Slice && t.Elem().Kind() == reflect.Uint8
}

// rawWidth is the number of bytes of each value of t, if it has one.
func rawWidth(t reflect.Type) (int, bool) {
	switch t.Kind() {
	case reflect.Bool, reflect.Int8, reflect.Uint8:
		return 1, true
	case reflect.Int16, reflect.Uint16:
		return 2, true
	case reflect.Int32, reflect.Uint32, reflect.Float32:
		return 4, true
	case reflect.Int, reflect.Uint, reflect.Uintptr, reflect.Int64, reflect.Uint64, reflect.Float64:
		return 8, true
	case reflect.Array:
		width, ok := rawWidth(t.Elem())
		return width * t.Len(), ok
	default:
		return 0, false
	}
}

// Encode implements Codec.
func (c rawCodec) Encode(into []byte, value any) ([]byte, error) {
	switch v := value.(type) {
	case *string:
		return append(into, *v...), nil
	case *[]byte:
		return appendRawBytes(into, *v), nil
	case *int:
		return appendRaw64(into, uint64(*v)), nil
	case *int64:
		return appendRaw64(into, uint64(*v)), nil
	case *uint64:
		return appendRaw64(into, *v), nil
	default:
		return c.encodeReflected(into, value)
	}
}

func appendRaw64(into []byte, bits uint64) []byte {
	return binary.LittleEndian.AppendUint64(into, bits)
}

// rawNil stands for the nil slice. A slice that consists of nothing but this byte is
// given one more of them, so that no other slice is longer than its bytes; text never
// has it, as no UTF-8 does.
const rawNil = 0xf6

func appendRawBytes(into, b []byte) []byte {
	if b == nil {
		return append(into, rawNil)
	}
	into = append(into, b...)
	if len(b) > 0 && onlyRawNil(b) {
		into = append(into, rawNil)
	}
	return into
}

func onlyRawNil(b []byte) bool {
	for _, c := range b {
		if c != rawNil {
			return false
		}
	}
	return true
}

func rawBytes(encoded []byte) []byte {
	switch {
	case len(encoded) == 0:
		return []byte{}
	case !onlyRawNil(encoded):
		return encoded[:len(encoded):len(encoded)]
	case len(encoded) == 1:
		return nil
	default:
		end := len(encoded) - 1
		return encoded[:end:end]
	}
}

func rawString(encoded []byte) string {
	return unsafe.String(unsafe.SliceData(encoded), len(encoded))
}

func (c rawCodec) encodeReflected(into []byte, value any) ([]byte, error) {
	t, err := pointedTo(value)
	if err != nil {
		return into, fmt.Errorf("%w: raw/1: %w", ErrEncode, err)
	}
	if err := c.CheckType(t); err != nil {
		return into, fmt.Errorf("%w: %w", ErrEncode, err)
	}
	return appendRaw(into, reflect.ValueOf(value).Elem()), nil
}

func appendRaw(into []byte, v reflect.Value) []byte {
	switch v.Kind() {
	case reflect.String:
		return append(into, v.String()...)
	case reflect.Slice:
		return appendRawBytes(into, v.Bytes())
	case reflect.Array:
		return appendRawArray(into, v)
	case reflect.Bool:
		if v.Bool() {
			return append(into, 1)
		}
		return append(into, 0)
	case reflect.Float32:
		return binary.LittleEndian.AppendUint32(into, math.Float32bits(*float32Of(v)))
	case reflect.Float64:
		return appendRaw64(into, math.Float64bits(v.Float()))
	default:
		return appendRawInteger(into, v)
	}
}

// float32Of is for NaNs, which are changed on the way through a float64.
func float32Of(v reflect.Value) *float32 {
	return (*float32)(v.Addr().UnsafePointer())
}

func appendRawArray(into []byte, v reflect.Value) []byte {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		return append(into, v.Bytes()...)
	}
	for i := range v.Len() {
		into = appendRaw(into, v.Index(i))
	}
	return into
}

func appendRawInteger(into []byte, v reflect.Value) []byte {
	var bits uint64
	if v.CanInt() {
		bits = uint64(v.Int())
	} else {
		bits = v.Uint()
	}
	width, _ := rawWidth(v.Type())
	for range width {
		into = append(into, byte(bits))
		bits >>= 8
	}
	return into
}

// Decode implements Codec.
func (c rawCodec) Decode(encoded []byte, value any) error {
	switch v := value.(type) {
	case *string:
		*v = rawString(encoded)
		return nil
	case *[]byte:
		*v = rawBytes(encoded)
		return nil
	case *int:
		if len(encoded) == 8 && math.MaxInt == math.MaxInt64 {
			*v = int(binary.LittleEndian.Uint64(encoded))
			return nil
		}
	case *int64:
		if len(encoded) == 8 {
			*v = int64(binary.LittleEndian.Uint64(encoded))
			return nil
		}
	case *uint64:
		if len(encoded) == 8 {
			*v = binary.LittleEndian.Uint64(encoded)
			return nil
		}
	}
	return c.decodeReflected(encoded, value)
}

func (c rawCodec) decodeReflected(encoded []byte, value any) error {
	t, err := pointedTo(value)
	if err != nil {
		return fmt.Errorf("raw/1: %w", err)
	}
	if err := c.CheckType(t); err != nil {
		return err
	}
	v := reflect.ValueOf(value).Elem()
	switch v.Kind() {
	case reflect.String:
		v.SetString(rawString(encoded))
		return nil
	case reflect.Slice:
		v.SetBytes(rawBytes(encoded))
		return nil
	default:
	}
	if width, _ := rawWidth(t); len(encoded) != width {
		return fmt.Errorf("raw/1: %d bytes for a %v, which has %d", len(encoded), t, width)
	}
	return setRaw(encoded, v)
}

// setRaw decodes as many bytes as v is wide.
func setRaw(encoded []byte, v reflect.Value) error {
	switch v.Kind() {
	case reflect.Array:
		return setRawArray(encoded, v)
	case reflect.Bool:
		if encoded[0] > 1 {
			return fmt.Errorf("raw/1: %#x is no bool", encoded[0])
		}
		v.SetBool(encoded[0] == 1)
	case reflect.Float32:
		*float32Of(v) = math.Float32frombits(binary.LittleEndian.Uint32(encoded))
	case reflect.Float64:
		v.SetFloat(math.Float64frombits(binary.LittleEndian.Uint64(encoded)))
	default:
		return setRawInteger(encoded, v)
	}
	return nil
}

func setRawArray(encoded []byte, v reflect.Value) error {
	if v.Type().Elem().Kind() == reflect.Uint8 {
		copy(v.Bytes(), encoded)
		return nil
	}
	width, _ := rawWidth(v.Type().Elem())
	for i := range v.Len() {
		if err := setRaw(encoded[i*width:(i+1)*width], v.Index(i)); err != nil {
			return err
		}
	}
	return nil
}

func setRawInteger(encoded []byte, v reflect.Value) error {
	var bits uint64
	for i, b := range encoded {
		bits |= uint64(b) << (8 * i)
	}
	if !v.CanInt() {
		if v.OverflowUint(bits) {
			return fmt.Errorf("raw/1: %d overflows %v", bits, v.Type())
		}
		v.SetUint(bits)
		return nil
	}
	unused := 64 - 8*len(encoded)
	signed := int64(bits<<unused) >> unused
	if v.OverflowInt(signed) {
		return fmt.Errorf("raw/1: %d overflows %v", signed, v.Type())
	}
	v.SetInt(signed)
	return nil
}
