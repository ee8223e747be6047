package main

import (
	"math"
	"math/big"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

type host struct {
	Name string
	Port int
}

type (
	id   int64
	uuid [16]byte
)

type quote struct {
	Bid   float64
	At    time.Time
	Bytes []byte
	Big   *big.Int
	ByDay map[int]string
	Text  string
}

func TestGet_decodes_what_each_codec_wrote(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	huge, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	tests := []struct {
		name string
		file string
		key  string
		want string
	}{
		{"raw text", made(t, dump.Options{}, text{"a", "one\ntwo"}), "a", "one\ntwo\n"},
		{"raw text that acts on a terminal", made(t, dump.Options{}, text{"a", "\x1b[2J"}), "a", `"\u001b[2J"` + "\n"},
		{"raw text that is no UTF-8", made(t, dump.Options{}, text{"a", "\xff"}), "a", "{\n  \"base64\": \"/w==\"\n}\n"},
		{"raw integers", made(t, dump.Options{}, pair[int64, int16]{-5, -300}), "-5", "-300\n"},
		{"raw unsigned", made(t, dump.Options{}, pair[uint8, uint64]{200, math.MaxUint64}), "200", "18446744073709551615\n"},
		{"raw floats", made(t, dump.Options{}, pair[float64, float32]{0.5, 0.1}), "0.5", "0.1\n"},
		{"raw NaN", made(t, dump.Options{}, pair[bool, float64]{true, math.NaN()}), "true", "NaN\n"},
		{"raw bytes", made(t, dump.Options{}, pair[string, []byte]{"a", []byte{0, 1, 2}}), "a", "AAEC\n"},
		{"raw bytes of the marker", made(t, dump.Options{}, pair[string, []byte]{"a", []byte{0xf6}}), "a", "9g==\n"},
		{"raw nil bytes", made(t, dump.Options{}, pair[string, []byte]{"a", nil}), "a", "null\n"},
		{"raw arrays", made(t, dump.Options{}, pair[[2]int8, [2][2]uint16]{[2]int8{-1, 1}, [2][2]uint16{{1, 2}, {3, 4}}}), "[-1, 1]", "[\n  [\n    1,\n    2\n  ],\n  [\n    3,\n    4\n  ]\n]\n"},
		{"raw array of bytes", made(t, dump.Options{}, pair[[4]byte, [3]bool]{[4]byte{0xde, 0xad, 0xbe, 0xef}, [3]bool{true}}), "deadbeef", "[\n  true,\n  false,\n  false\n]\n"},
		{"raw named array", made(t, dump.Options{}, pair[uuid, string]{uuid{0xab}, "x"}), "ab000000000000000000000000000000", "x\n"},
		{"raw duration", made(t, dump.Options{}, pair[time.Duration, string]{time.Second, "x"}), "1000000000", "x\n"},
		{"cbor", made(t, dump.Options{}, pair[string, quote]{"a", quote{1.5, at, []byte{1}, huge, map[int]string{1: "x"}, "\u202e"}}), "a", `{
  "At": "2026-01-02T03:04:05.000000006Z",
  "Bid": 1.5,
  "Big": -123456789012345678901234567890,
  "Text": "\u202e",
  "ByDay": {
    "1": "x"
  },
  "Bytes": "AQ=="
}
`},
		{"cbor struct key", made(t, dump.Options{}, pair[host, int]{host{"db1", 5432}, 7}), `{"Port": 5432, "Name": "db1"}`, "7\n"},
		{"json", made(t, dump.Options{Keys: dump.JSON(), Values: dump.JSON()}, pair[string, host]{"a", host{"x\u009b", 1}}), "a", `{"Name":"x\u009b","Port":1}` + "\n"},
		{"json struct key", made(t, dump.Options{Keys: dump.JSON()}, pair[host, int]{host{"db1", 5432}, 7}), `{"Port":5432,"Name":"db1"}`, "7\n"},
		{"json integer key", made(t, dump.Options{Keys: dump.JSON()}, pair[int, int]{-3, 7}), "-3", "7\n"},
		{"binary", made(t, dump.Options{Keys: dump.Binary(), Values: dump.Binary()}, pair[netip.Addr, netip.Addr]{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")}), "0a000001", "CgAAAg==\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := ran(t, "get", tt.file, tt.key)
			require.Equal(t, result{exitOK, tt.want, ""}, got)
		})
	}
}

func TestGet_raw_writes_the_bytes_and_nothing_else(t *testing.T) {
	value := string([]byte{0, 0xff, '\x1b', '\n'})
	path := made(t, dump.Options{}, text{"logo", value})
	require.Equal(t, result{exitOK, value, ""}, ran(t, "get", "-raw", path, "logo"))
}

func TestGet_finds_a_key_as_list_prints_it(t *testing.T) {
	for _, key := range []string{"\x1b[2J", " a ", "", "two\nlines", "\u202e", `"`, "-17", "{", `{"base64":"//4="}`, "\xff\xfe"} {
		path := made(t, dump.Options{}, text{key, "found"})
		listed := ran(t, "list", path).stdout
		listed = listed[10+2+30+2 : len(listed)-1]
		got := ran(t, "get", path, "--", listed)
		require.Equal(t, result{exitOK, "found\n", ""}, got, "%q, listed as %s", key, listed)
	}
}

func TestGet_prefers_the_key_with_quotes_to_the_one_without(t *testing.T) {
	path := made(t, dump.Options{}, text{"a", "plain"}, text{`"a"`, "quoted"})
	require.Equal(t, "quoted\n", ran(t, "get", path, `"a"`).stdout)
	require.Equal(t, "plain\n", ran(t, "get", path, "a").stdout)

	path = made(t, dump.Options{}, text{"a", "plain"})
	require.Equal(t, "plain\n", ran(t, "get", path, `"a"`).stdout)
}

func TestGet_reads_a_named_type_as_it_is_told(t *testing.T) {
	path := made(t, dump.Options{}, pair[id, [2]id]{42, [2]id{1, 2}})
	require.Equal(t, "0100000000000000"+"0200000000000000\n", ran(t, "get", path, "2a00000000000000").stdout)
	require.Equal(t, "[\n  1,\n  2\n]\n", ran(t, "get", path, "42", "-key-type", "int64", "-value-type", "[2]int64").stdout)
}

func TestGet_of_a_missing_key_is_told_from_a_damaged_file(t *testing.T) {
	require.Equal(t, exitNoKey, ran(t, "get", prices(t), "JPY").code)
	got := ran(t, "get", damaged(t), "JPY")
	require.Equal(t, exitDamaged, got.code)
	require.Contains(t, got.stderr, "there is no key JPY in what could be read")
}

func TestGet_reads_a_file_that_is_in_use(t *testing.T) {
	d := opened(t, missing(t), dump.Options{}, text{"EUR", "1"})
	require.NoError(t, d.Put(entry(text{"EUR", "2"})))
	require.Equal(t, result{exitOK, "2\n", ""}, ran(t, "get", d.Path(), "EUR"))
	require.NoError(t, d.Put(entry(text{"EUR", "3"})), "it was not disturbed")
	_, err := os.Stat(d.Path())
	require.NoError(t, err)
}
