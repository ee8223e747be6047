package main

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// rawType is a type of raw/1, as far as its name tells.
type rawType struct {
	kind  string // of package reflect, or "array", or "" for a name that says nothing
	width int    // bytes, if they are fixed
	count int    // elements of an array
	of    *rawType
}

var rawWidths = map[string]int{
	"bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4,
	"float32": 4, "int64": 8, "uint64": 8, "int": 8, "uint": 8, "uintptr": 8, "float64": 8,
}

const (
	maxDimensions = 8       // of an array; the name of a type is not to be trusted
	maxElements   = 1 << 24 // of an array: as many bytes as a value has at the most
)

// parseType reads the name of a type; ok says that it is one that raw/1 is for. The names of
// other packages say nothing about what is behind them.
func parseType(name string) (t rawType, ok bool) { return parseDimensions(name, maxDimensions) }

func parseDimensions(name string, left int) (t rawType, ok bool) {
	switch name {
	case "string", "[]uint8":
		return rawType{kind: name}, true
	case "byte":
		name = "uint8"
	case "rune":
		name = "int32"
	case "time.Duration":
		name = "int64"
	case "[]byte":
		return rawType{kind: "[]uint8"}, true
	}
	if width, ok := rawWidths[name]; ok {
		return rawType{kind: name, width: width}, true
	}
	length, of, isArray := strings.Cut(strings.TrimPrefix(name, "["), "]")
	if !isArray || name[0] != '[' || left == 0 {
		return rawType{}, false
	}
	count, err := strconv.Atoi(length)
	element, ok := parseDimensions(of, left-1)
	if err != nil || !ok || element.width == 0 || count < 1 || count > maxElements/element.width {
		return rawType{}, false
	}
	return rawType{kind: "array", width: count * element.width, count: count, of: &element}, true
}

func rawDecoder(typeName string) decoder {
	t, _ := parseType(typeName)
	return func(into, encoded []byte) ([]byte, error) {
		if t.width != 0 && t.width != len(encoded) {
			return into, fmt.Errorf("raw/1: %d bytes for a %s, which has %d", len(encoded), typeName, t.width)
		}
		return t.append(into, encoded)
	}
}

// append appends what the bytes mean; they are as many as the type has.
func (t *rawType) append(b, encoded []byte) ([]byte, error) {
	switch t.kind {
	case "":
		return appendGuessed(b, encoded), nil
	case "string":
		return appendText(b, string(encoded)), nil
	case "[]uint8":
		return appendRawBytes(b, encoded), nil
	case "array":
		return t.appendArray(b, encoded)
	case "bool":
		if encoded[0] > 1 {
			return b, fmt.Errorf("raw/1: %#x is no bool", encoded[0])
		}
		return strconv.AppendBool(b, encoded[0] == 1), nil
	case "float32":
		return appendFloat(b, float64(math.Float32frombits(binary.LittleEndian.Uint32(encoded))), 32), nil
	case "float64":
		return appendFloat(b, math.Float64frombits(binary.LittleEndian.Uint64(encoded)), 64), nil
	default:
		return t.appendInteger(b, encoded), nil
	}
}

func (t *rawType) appendInteger(b, encoded []byte) []byte {
	var bits uint64
	for i, c := range encoded {
		bits |= uint64(c) << (8 * i)
	}
	if strings.HasPrefix(t.kind, "uint") {
		return strconv.AppendUint(b, bits, 10)
	}
	unused := 64 - 8*t.width
	return strconv.AppendInt(b, int64(bits<<unused)>>unused, 10)
}

// appendArray writes an array of bytes in hexadecimal: it is an address or a hash.
func (t *rawType) appendArray(b, encoded []byte) ([]byte, error) {
	if t.of.kind == "uint8" {
		return asHex(b, encoded)
	}
	start, err := len(b), error(nil)
	b = append(b, '[')
	for i := range t.count {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = t.of.append(b, encoded[i*t.of.width:(i+1)*t.of.width]); err != nil {
			return b[:start], err
		}
	}
	return append(b, ']'), nil
}

// rawNil stands for the nil slice; a slice of nothing but this byte has one more of them.
const rawNil = 0xf6

func appendRawBytes(b, encoded []byte) []byte {
	switch only := bytes.Count(encoded, []byte{rawNil}) == len(encoded); {
	case !only || len(encoded) == 0:
		return appendBase64(b, encoded)
	case len(encoded) == 1:
		return append(b, "null"...)
	default:
		return appendBase64(b, encoded[1:])
	}
}

// appendGuessed is for a type of which only the program's name for it is known: text if it
// can be text, and else hexadecimal.
func appendGuessed(b, encoded []byte) []byte {
	if utf8.Valid(encoded) && harmless(string(encoded)) {
		return appendText(b, string(encoded))
	}
	b = append(b, '"')
	b = hex.AppendEncode(b, encoded)
	return append(b, '"')
}

// appendFloat writes what JSON has no number for as a string.
func appendFloat(b []byte, f float64, bits int) []byte {
	if math.IsNaN(f) || math.IsInf(f, 0) {
		return fmt.Appendf(b, `"%v"`, f)
	}
	return strconv.AppendFloat(b, f, 'g', -1, bits)
}
