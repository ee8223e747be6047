package dump

import (
	"bytes"
	"encoding"
	"math"
	"math/big"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// CBOR returns the codec "cbor/1", which carries nearly every Go type that consists
// of exported fields, and any that encodes itself by MarshalCBOR or MarshalBinary:
// RFC 8949, written and read by github.com/fxamacker/cbor/v2. Struct tags are those
// of that package: cbor, or else json.
//
// What comes back is equal to what went in, nil and empty slices and maps apart
// from one another, strings that are not UTF-8 and NaNs included, with these
// exceptions:
//
//   - A time.Time comes back as the same instant in UTC. Years before 0 and after
//     9999 are refused.
//   - Two pointers to one thing come back as pointers to two equal things.
//   - A field that is tagged "-" comes back zero. One that is tagged omitempty or
//     omitzero comes back zero, or nil, if it was left out.
//   - What encodes itself comes back as its methods have it; it is decoded when it is
//     written, and refused if it would then encode itself otherwise.
//
// A value of plain structs, numbers, strings, slices and maps costs nothing more
// than its encoding. One that contains itself by its type is walked over first, and
// refused at more than 1024 levels. One that encodes itself, or has times for map
// keys, is decoded to see whether it would come back.
//
// Decoding takes no more memory than the bytes call for, but an element may be
// larger than its bytes: a null in a [][4096]byte is one byte of the file and 4096
// of memory.
func CBOR() Codec { return checked{dialect: cborDialect} }

// maxCBORLevels is deep for data, and shallow for a stack.
const maxCBORLevels = 1024

var cborDialect = &dialect{
	name:   "cbor/1",
	tags:   []string{"cbor", "json"},
	levels: maxCBORLevels,

	special: specialToCBOR,
	methods: []methodPair{
		{
			marshaler:   reflect.TypeFor[cbor.Marshaler](),
			unmarshaler: reflect.TypeFor[cbor.Unmarshaler](),
			method:      "MarshalCBOR", inverse: "UnmarshalCBOR",
			marshal: func(value any) ([]byte, error) { return value.(cbor.Marshaler).MarshalCBOR() },
		},
		binaryMethods,
	},
	byteString: func(t reflect.Type) bool { return t.Elem().Kind() == reflect.Uint8 },
	refuses:    refusedByCBOR,
	refusesKey: func(reflect.Type) string { return "" },
	fieldName: func(tag string) string {
		name, _, _ := strings.Cut(tag, ",")
		return name
	},
	layouts:        true,
	stringForm:     plain,
	zeroTimeIsNull: true,

	appendTo: appendCBOR,
	read:     readCBOR,
}

var binaryMethods = methodPair{
	marshaler:   reflect.TypeFor[encoding.BinaryMarshaler](),
	unmarshaler: reflect.TypeFor[encoding.BinaryUnmarshaler](),
	method:      "MarshalBinary", inverse: "UnmarshalBinary",
	marshal: func(value any) ([]byte, error) { return value.(encoding.BinaryMarshaler).MarshalBinary() },
}

func specialToCBOR(t reflect.Type) (form, bool) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return instant, true
	case reflect.TypeFor[big.Int]():
		return bignum, true
	case reflect.TypeFor[cbor.ByteString]():
		return plain, true
	default:
		return plain, false
	}
}

func refusedByCBOR(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Uintptr:
		return "CBOR has no uintptr: use uint64"
	case reflect.Complex64, reflect.Complex128:
		return "CBOR has no complex numbers: use two floats"
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return "a " + t.Kind().String() + " cannot be written down: leave it out, tagged `cbor:\"-\"`"
	default:
		return ""
	}
}

// These options decide what the bytes of a file mean. They are part of "cbor/1" and
// cannot change without another name.
var (
	cborEncoder = must(cbor.EncOptions{
		Sort:          cbor.SortCoreDeterministic,
		ShortestFloat: cbor.ShortestFloatNone,
		NaNConvert:    cbor.NaNConvertNone, // or the payload of a NaN would be lost
		Time:          cbor.TimeRFC3339NanoUTC,
		TimeTag:       cbor.EncTagRequired,
		IndefLength:   cbor.IndefLengthForbidden, // which is not read back either
	}.UserBufferEncMode())

	cborDecoder = must(cborDecoding(cbor.BignumTagAllowed).DecMode())

	// A bignum where a plain number is due is an error whose text spells it out in
	// decimal: seconds for a megabyte. Types without a big.Int refuse it at sight.
	cborPlainDecoder = must(cborDecoding(cbor.BignumTagForbidden).DecMode())
)

func cborDecoding(bignums cbor.BignumTagMode) cbor.DecOptions {
	return cbor.DecOptions{
		// A first pass over the bytes checks that all elements are there, so that
		// their number is bounded by the length of the record.
		MaxArrayElements: math.MaxInt32,
		MaxMapPairs:      math.MaxInt32,
		MaxNestedLevels:  maxCBORLevels,

		UTF8:              cbor.UTF8DecodeInvalid,
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		DefaultMapType:    reflect.TypeFor[map[string]any](),
		FieldNameMatching: cbor.FieldNameMatchingCaseSensitive,
		BignumTag:         bignums,

		// Elements of unknown number are counted by reading ahead, at every level
		// again.
		IndefLength: cbor.IndefLengthForbidden,
	}
}

// must is for options that are constants.
func must[T any](mode T, err error) T {
	if err != nil {
		panic(err)
	}
	return mode
}

// The encoder writes to nothing but a *bytes.Buffer.
var cborBuffers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

func appendCBOR(into []byte, value any) ([]byte, error) {
	buffer := cborBuffers.Get().(*bytes.Buffer) // nothing else is in there
	*buffer = *bytes.NewBuffer(into)
	err := cborEncoder.MarshalToBuffer(value, buffer)
	longer := buffer.Bytes()
	*buffer = bytes.Buffer{} // the bytes are the caller's
	cborBuffers.Put(buffer)
	if err != nil {
		return into, err
	}
	return longer, nil
}

func readCBOR(p *plan, encoded []byte, value any) error {
	if p.shape.bignums {
		return cborDecoder.Unmarshal(encoded, value)
	}
	return cborPlainDecoder.Unmarshal(encoded, value)
}
