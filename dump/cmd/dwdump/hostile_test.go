package main

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// requireHarmless is what everything that is printed of a file has to be.
func requireHarmless(t *testing.T, asJSON []byte) {
	t.Helper()
	if !json.Valid(asJSON) {
		t.Fatalf("no JSON: %q", asJSON)
	}
	if !utf8.Valid(asJSON) || bytes.ContainsFunc(asJSON, func(r rune) bool { return !unicode.IsPrint(r) }) {
		t.Fatalf("not printable: %q", asJSON)
	}
}

func FuzzDecode(f *testing.F) {
	for _, seed := range []any{1, -1, "a", []byte{1}, []any{1.5, nil, true}, map[any]any{1: "x", "y": []int{2}}, cbor.Tag{Number: 2, Content: []byte{1, 2}}} {
		b, err := cbor.Marshal(seed)
		require.NoError(f, err)
		f.Add("cbor/1", "any", b)
	}
	f.Add("cbor/1", "any", []byte{0xf9, 0x3c, 0x00})                                               // a float of 16 bits
	f.Add("cbor/1", "any", bytes.Repeat([]byte{0x81}, 5000))                                       // nesting
	f.Add("cbor/1", "any", bytes.Repeat([]byte{0xa1}, 5000))                                       // nesting in keys
	f.Add("cbor/1", "any", []byte{0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})           // a length far past the end
	f.Add("cbor/1", "any", append(bytes.Repeat([]byte{0xa1}, 20), bytes.Repeat([]byte{1}, 21)...)) // maps as keys of maps as keys
	f.Add("json/1", "any", []byte(" {\"a\" : [1,\n\"\u009b\x7f\u202e\xff\U000e0001\"]}"))          // what JSON allows and a terminal acts upon
	f.Add("raw/1", "[2][3]uint16", make([]byte, 12))
	f.Add("raw/1", "["+strings.Repeat("1][", 5000)+"1]bool", []byte{1})
	f.Add("raw/1", "[999999999999999999]int8", []byte{1})
	f.Add("raw/1", "main.T", []byte("\u202e\x1b"))
	f.Add("raw/1", "[]uint8", []byte{0xf6, 0xf6})
	f.Add("binary/1", "T", []byte{1})
	f.Fuzz(func(t *testing.T, codec, typeName string, encoded []byte) {
		d, _ := decoderFor(codec, typeName, asHex)
		before := bytes.Clone(encoded)
		b, err := d([]byte("x"), encoded)
		if err != nil {
			require.Equal(t, "x", string(b), "with an error, nothing is appended")
			b = appendUndecoded([]byte("x"), encoded)
		}
		require.Equal(t, before, encoded)
		requireHarmless(t, b[1:])
		key := b[1:]
		_ = keyOrder(key)
		w := newWanted(keyText(key))
		require.True(t, w.exactly(key), "a key is found by its text")
		require.LessOrEqual(t, len(b), 200+64*len(encoded)*8, "the output is bounded by the input")
	})
}

func TestCBOR_that_is_nested_deeper_than_the_codec_reads_is_refused(t *testing.T) {
	_, err := decodeCBOR(nil, append(bytes.Repeat([]byte{0x81}, maxLevels-1), 1))
	require.NoError(t, err)
	_, err = decodeCBOR(nil, append(bytes.Repeat([]byte{0x81}, maxLevels), 1))
	require.ErrorIs(t, err, errDeep)
}

// What the codec of the library itself wrote is what it is compared with.
func FuzzDecodeCBOR_agrees_with_the_codec(f *testing.F) {
	for _, seed := range []string{"\x01", "\x82\x01\x61a", "\xa1\x61a\x02", "\xfb\x40\x09\x21\xfb\x54\x44\x2d\x18", "\xf9\x7c\x00", "\xf9\x00\x01", "\xf9\x84\x01"} {
		f.Add([]byte(seed))
	}
	decoding, err := cbor.DecOptions{
		IndefLength: cbor.IndefLengthForbidden, UTF8: cbor.UTF8DecodeInvalid, MaxNestedLevels: maxLevels,
		MaxArrayElements: 1 << 30, MaxMapPairs: 1 << 30,
	}.DecMode()
	require.NoError(f, err)
	f.Fuzz(func(t *testing.T, encoded []byte) {
		if decoding.Wellformed(encoded) != nil {
			return
		}
		b, err := decodeCBOR(nil, encoded)
		if err != nil {
			require.ErrorIs(t, err, errDeep)
			return
		}
		requireHarmless(t, b)
		var number float64
		if decoding.Unmarshal(encoded, &number) == nil && number == number && encoded[0]>>5 == cborSimple {
			var got float64
			if json.Unmarshal(b, &got) == nil && got != number {
				require.Equal(t, float32(number), float32(got), "the digits are those that a float32 needs")
			}
		}
	})
}

func FuzzHostileEntry(f *testing.F) {
	f.Add("cbor/1", []byte{0xa1}, []byte{0xa1, 0x01, 0x81})
	f.Add("json/1", []byte(`"\u001b"`), []byte("{\x7f}"))
	f.Add("raw/1", []byte("\x1b[2J"), []byte("\x9b"))
	f.Fuzz(func(t *testing.T, codec string, key, value []byte) {
		if len(codec) > 100 || len(key) > 1000 {
			return
		}
		as := ownCodec{dump.Raw(), codec}
		path := made(t, dump.Options{Keys: as, Values: as}, text{string(key), string(value)})
		for _, args := range [][]string{{"info", path}, {"verify", path}, {"list", path}, {"list", "-history", path}, {"export", path}, {"export", "-sorted", path}, {"export", "-raw", path}} {
			got := ran(t, args...)
			require.Contains(t, []int{exitOK, exitDamaged, exitForeign}, got.code)
			for line := range strings.Lines(got.stdout + got.stderr) {
				if text := strings.TrimSuffix(line, "\n"); printable(text) != text {
					t.Fatalf("%s printed %q", args[0], text)
				}
			}
		}
	})
}

func FuzzHostileFile(f *testing.F) {
	for _, path := range []string{prices(f), torn(f), damaged(f), newer(f)} {
		f.Add(read(f, path))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		path := written(t, b)
		for _, args := range [][]string{{"info", path}, {"info", "-json", path}, {"verify", path}, {"list", path}, {"list", "-history", path}, {"get", path, "EUR"}, {"export", path}} {
			require.NotContains(t, ran(t, args...).stdout+ran(t, args...).stderr, "\x1b")
		}
	})
}
