package dump

import (
	"bytes"
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
	"time"
	"unicode"
)

// JSON returns the codec "json/1", for files that people are to read: encoding/json
// with its struct tags. It is several times slower than [CBOR], and refuses more:
// strings that are not UTF-8, NaNs and infinities, times whose offset has seconds,
// map keys that are neither strings nor integers nor encode themselves as text.
//
// What it takes comes back equal, with the exceptions of [CBOR] about pointers, tags
// and types that encode themselves, here by MarshalJSON or MarshalText. A time.Time
// comes back as the same instant, at the same offset.
func JSON() Codec { return checked{dialect: jsonDialect} }

// maxJSONLevels is what encoding/json reads.
const maxJSONLevels = 10_000

var jsonDialect = &dialect{
	name:   "json/1",
	tags:   []string{"json"},
	levels: maxJSONLevels,

	special: specialToJSON,
	methods: []methodPair{
		{
			marshaler:   reflect.TypeFor[json.Marshaler](),
			unmarshaler: reflect.TypeFor[json.Unmarshaler](),
			method:      "MarshalJSON", inverse: "UnmarshalJSON",
			marshal: func(value any) ([]byte, error) { return appendJSON(nil, value) }, // spaces do not count
		},
		{
			marshaler:   reflect.TypeFor[encoding.TextMarshaler](),
			unmarshaler: reflect.TypeFor[encoding.TextUnmarshaler](),
			method:      "MarshalText", inverse: "UnmarshalText",
			marshal: func(value any) ([]byte, error) { return value.(encoding.TextMarshaler).MarshalText() },
		},
	},
	byteString: isBase64,
	refuses:    refusedByJSON,
	refusesKey: refusedAsJSONKey,
	fieldName:  jsonName,
	stringForm: text,

	appendTo: appendJSON,
	read: func(_ *plan, encoded []byte, value any) error {
		return json.Unmarshal(encoded, value)
	},
}

func specialToJSON(t reflect.Type) (form, bool) {
	switch t {
	case reflect.TypeFor[time.Time]():
		return instant, true
	case reflect.TypeFor[json.Number](): // "" is written as 0
		return number, true
	default:
		return plain, false
	}
}

// isBase64 says whether t is a slice of bytes, and of none that write themselves.
func isBase64(t reflect.Type) bool {
	if t.Kind() != reflect.Slice || t.Elem().Kind() != reflect.Uint8 {
		return false
	}
	element := reflect.PointerTo(t.Elem())
	return !element.Implements(reflect.TypeFor[json.Marshaler]()) &&
		!element.Implements(reflect.TypeFor[encoding.TextMarshaler]())
}

func refusedByJSON(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Complex64, reflect.Complex128:
		return "JSON has no complex numbers: use two floats"
	case reflect.Chan, reflect.Func, reflect.UnsafePointer:
		return "a " + t.Kind().String() + " cannot be written down: leave it out, tagged `json:\"-\"`"
	default:
		return ""
	}
}

func refusedAsJSONKey(t reflect.Type) string {
	switch t.Kind() {
	case reflect.String,
		reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		return ""
	default:
	}
	if t.Implements(reflect.TypeFor[encoding.TextMarshaler]()) {
		return ""
	}
	return "the keys of JSON are text: use a string or an integer, or give " + typeName(t) + " a MarshalText"
}

// jsonName is the name in a tag, if it is one that encoding/json accepts.
func jsonName(tag string) string {
	name, _, _ := strings.Cut(tag, ",")
	for _, c := range name {
		if !strings.ContainsRune("!#$%&()*+-./:;<=>?@[]^_{|}~ ", c) && !unicode.IsLetter(c) && !unicode.IsDigit(c) {
			return ""
		}
	}
	return name
}

func appendJSON(into []byte, value any) ([]byte, error) {
	buffer := bytes.NewBuffer(into)
	encoder := json.NewEncoder(buffer)
	encoder.SetEscapeHTML(false) // a reader is not a browser
	if err := encoder.Encode(value); err != nil {
		return into, err
	}
	return bytes.TrimSuffix(buffer.Bytes(), []byte("\n")), nil
}
