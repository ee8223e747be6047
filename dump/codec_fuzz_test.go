package dump_test

import (
	"bytes"
	"errors"
	"math/big"
	"net/netip"
	"net/url"
	"reflect"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/dataworker-go/dataworker/dump"
)

// Targets are what arbitrary bytes are decoded into. Between them they have every
// form that a codec treats in its own way.
var (
	reflectedTargets = []any{
		&everything{}, &dated{}, &list{}, &tree{}, &knot{}, &opt{}, &embedsPtr{}, &numbered{}, &array{}, &decided{},
		&[]point{}, &map[point]int{}, &map[time.Time]string{}, &map[netip.Addr]signed{}, &map[float64][]byte{}, &map[partKey]bool{},
		&big.Int{}, &struct{ N *big.Int }{}, &url.URL{}, &cbor.RawMessage{}, &signed{}, &worded{}, at(""), at(0), at(uint8(0)),
		at(float32(0)), &[4]byte{}, &[]octet{}, &time.Time{}, at(at(0)), &[3][]string{}, &stampedOnly{}, &drops{}, &byValue{},
		&map[worded]byValue{}, &struct{ P *cbor.RawMessage }{},
	}
	rawTargets = []any{
		at(""), &[]byte{}, at(name("")), &json5{}, &[]octet{}, at(0), at(int8(0)), at(uint16(0)), at(int32(0)), at(int64(0)),
		at(uint64(0)), at(uintptr(0)), at(false), at(float32(0)), at(0.0), &[4]byte{}, &[3]int16{}, &[2][2]bool{}, &[0]int{},
	}
	binaryTargets = []any{
		&time.Time{}, at(&time.Time{}), &netip.Addr{}, &url.URL{}, &signed{}, &wide{}, &drops{}, &breaks{}, &ownMarshaler{}, &stampedOnly{},
	}
)

// settles checks that whatever b is, it is an error, or a value that from then on
// comes back as it is.
func settles(t *testing.T, c dump.Codec, target any, b []byte) {
	t.Helper()
	typ := reflect.TypeOf(target).Elem()
	if c.CheckType(typ) != nil {
		return
	}
	given := bytes.Clone(b)
	value := reflect.New(typ).Interface()
	err := c.Decode(b, value)
	if !bytes.Equal(b, given) {
		t.Fatalf("%s changed %x to %x, decoding a %v", c.Name(), given, b, typ)
	}
	if err != nil {
		return
	}
	first, err := c.Encode(nil, value)
	if errors.Is(err, dump.ErrEncode) { // written by another hand
		return
	}
	if err != nil {
		t.Fatalf("%s: %v: %x cannot be encoded again, and it is not said how: %v", c.Name(), typ, b, err)
	}
	back := reflect.New(typ).Interface()
	if err = c.Decode(first, back); err != nil {
		t.Fatalf("%s: %v: %x became %x, which cannot be decoded: %v", c.Name(), typ, b, first, err)
	}
	if c != dump.Raw() && c == dump.Unchecked(c) { // comes back, and may come back changed
		return
	}
	second, err := c.Encode(nil, back)
	if err != nil || !bytes.Equal(first, second) {
		t.Fatalf("%s: %v: %x became %x, and that became %x: %v", c.Name(), typ, b, first, second, err)
	}
}

func FuzzCBOR(f *testing.F) {
	for _, v := range verdicts {
		if b, err := dump.CBOR().Encode(nil, v.value); err == nil && len(b) < 1000 {
			f.Add(b)
		}
	}
	f.Add([]byte{0x9a, 0xff, 0xff, 0xff, 0xff})       // an array far longer than the bytes
	f.Add([]byte{0x9f, 0x9f, 0x9f, 0xff, 0xff, 0xff}) // of unknown length
	f.Add(bytes.Repeat([]byte{0x81}, 1100))           // too deep
	f.Add([]byte{0xc0, 0x60})                         // a time without text
	f.Add([]byte{0xc1, 0xfb, 0x7f, 0xf8, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0xc1, 0x1b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // the year 292277026596
	f.Add([]byte{0xa2, 0x01, 0x02, 0x01, 0x03})                               // a key twice
	f.Add([]byte{0xa2, 0xfb, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xfb, 0x80, 0, 0, 0, 0, 0, 0, 0, 2})
	f.Add([]byte{0xf7})
	f.Add([]byte{0xd9, 0xd9, 0xf7, 0xf6})
	f.Add([]byte{0xc2, 0x49, 1, 0, 0, 0, 0, 0, 0, 0, 0})
	f.Add([]byte{0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, target := range reflectedTargets {
			settles(t, dump.CBOR(), target, b)
		}
		settles(t, dump.Unchecked(dump.CBOR()), at(any(nil)), b)
		settles(t, dump.Unchecked(dump.CBOR()), &map[any]any{}, b)
	})
}

func FuzzJSON(f *testing.F) {
	for _, v := range verdicts {
		if b, err := dump.JSON().Encode(nil, v.value); err == nil && len(b) < 1000 {
			f.Add(b)
		}
	}
	for _, s := range []string{
		`"\ud800"`, `"\u0000"`, "\"\xff\"", `{"x":1,"x":2}`, `{"N":1,"n":2}`, `1e400`, `-0`, `"0000-01-01T00:00:00Z"`,
		`"2024-02-29T12:00:00+23:59"`, `{"\ufffd":1,"` + "\xff" + `":2}`, `[[[[]]]]`, `"AQ="`, `{"F64":-0.0,"M":{"":1}}`, `nul`, ``, ` 1 `,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, target := range reflectedTargets {
			settles(t, dump.JSON(), target, b)
		}
		settles(t, dump.Unchecked(dump.JSON()), at(any(nil)), b)
	})
}

// FuzzRaw also asks that what is read is what was there: raw values have one
// encoding each.
func FuzzRaw(f *testing.F) {
	for _, b := range [][]byte{nil, {0}, {0xf6}, {0xf6, 0xf6}, {2}, {1, 2, 3, 4}, bytes.Repeat([]byte{0xff}, 8), []byte("text")} {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, target := range rawTargets {
			settles(t, dump.Raw(), target, b)
			value := reflect.New(reflect.TypeOf(target).Elem()).Interface()
			if dump.Raw().Decode(b, value) != nil {
				continue
			}
			if again, err := dump.Raw().Encode(nil, value); err != nil || !bytes.Equal(again, b) {
				t.Fatalf("%T: %x became %x: %v", value, b, again, err)
			}
		}
	})
}

func FuzzBinary(f *testing.F) {
	for _, v := range verdicts {
		if b, err := dump.Binary().Encode(nil, v.value); err == nil {
			f.Add(b)
		}
	}
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}) // nanoseconds past the second
	f.Add([]byte{2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff})
	f.Add([]byte("http://[::1%25"))
	f.Add([]byte("NaN"))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, target := range binaryTargets {
			settles(t, dump.Binary(), target, b)
			settles(t, dump.Unchecked(dump.Binary()), target, b)
		}
	})
}
