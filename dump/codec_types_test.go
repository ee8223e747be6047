package dump_test

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"net/netip"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// The types that the codecs are asked about. Each is small, and of each something is
// easily lost.
type (
	name   string
	count  int
	digest [4]byte
	octet  uint8

	point struct{ X, Y int }

	everything struct {
		B   bool
		I   int
		I8  int8
		I16 int16
		I32 int32
		I64 int64
		U   uint
		U8  uint8
		U16 uint16
		U32 uint32
		U64 uint64
		F32 float32
		F64 float64
		S   string
		Raw []byte
		A   [3]byte
		L   []string
		M   map[string]int
		P   *int
		N   point
	}

	closed  struct{ Name, secret string }
	sealed  struct{ a, b int }
	nested  struct{ Parts []closed }
	decided struct {
		Name   string
		Parent *decided       `cbor:"-" json:"-"`
		cache  map[string]int `json:"-"`
	}
	locked struct {
		mu sync.Mutex
		N  int
	}
	padded struct {
		A int8
		_ [3]byte
		B int
	}

	inner    struct{ A int }
	Inner    struct{ A int }
	Promoted struct{ A, B int }
	embeds   struct {
		inner
		B int
	}
	embedsPtr struct {
		*Inner
		B int
	}
	embedsBad struct {
		*inner
		B int
	}
	embedsOpt struct {
		*Optional
		B int
	}
	Optional struct {
		A int `json:",omitempty"`
	}
	shadows struct {
		Inner
		A int
	}
	twins struct {
		A int `json:"B"`
		B int
	}
	bigInside struct {
		big.Int
		Note string
	}

	stamped struct {
		time.Time
		Note string
	}
	stampedOnly struct{ time.Time }
	dated       struct {
		At    time.Time
		Maybe *time.Time
		Every []time.Time
	}

	list struct {
		V    int
		Next *list
	}
	Ouroboros struct {
		*Ouroboros
		A int
	}
	tree  struct{ Kids []tree }
	knot  map[string]knot
	loop  *loop
	broad struct {
		Next *broad
		Data [][][]int
	}

	shouts   struct{ S string }
	whispers struct{ S string }
	signed   struct{ V int }
	drops    struct{ A, B int }
	breaks   struct{ A int }
	nothing  struct{ A int }
	wide     struct{ V float64 }
	worded   struct{ s string }
	byValue  struct{ V int }

	opt struct {
		N int            `json:",omitempty"`
		L []int          `json:",omitempty"`
		M map[string]int `json:"m,omitempty"`
		Z time.Time      `json:",omitzero"`
	}
	array struct {
		_ struct{} `cbor:",toarray"`
		A int
		B string
	}
	indefinite struct {
		_ struct{} `cbor:",toindefarray"`
		A int
	}
	numbered struct {
		A int `cbor:"1,keyasint"`
		B int `cbor:"2,keyasint"`
	}
	misnumbered struct {
		A int `cbor:"one,keyasint"`
	}
	// Values of these are compared with what was decoded, part by part.
	mixed struct {
		Own   signed
		Words map[string]byte
		All   everything
		At    time.Time
		Big   *big.Int
		List  [][2]string
		Named map[string]point
		Dates map[time.Time]int
		Opt   opt
		In    *embedsPtr
		Bytes map[int][]byte
		Next  *mixed
	}
	mixedFloats struct {
		Own    signed
		Floats []float32
		Keys   map[float64]int
	}
	sameNumber struct {
		A int `cbor:"1,keyasint"`
		B int `cbor:"01,keyasint"`
	}
	partKey struct {
		A int
		B int `cbor:"-" json:"-"`
	}
)

func (shouts) MarshalBinary() ([]byte, error)        { return []byte("!"), nil }
func (*whispers) UnmarshalBinary([]byte) error       { return nil }
func (s signed) MarshalBinary() ([]byte, error)      { return fmt.Append(nil, s.V), nil }
func (s *signed) UnmarshalBinary(b []byte) error     { _, err := fmt.Sscan(string(b), &s.V); return err }
func (d drops) MarshalBinary() ([]byte, error)       { return fmt.Append(nil, d.A), nil }
func (d *drops) UnmarshalBinary([]byte) error        { d.A = 7; return nil }
func (breaks) MarshalBinary() ([]byte, error)        { panic("no") }
func (*breaks) UnmarshalBinary([]byte) error         { panic("no") }
func (n nothing) MarshalCBOR() ([]byte, error)       { return []byte{0xf6}, nil }
func (n *nothing) UnmarshalCBOR([]byte) error        { return nil }
func (w worded) MarshalText() ([]byte, error)        { return []byte(w.s), nil }
func (w *worded) UnmarshalText(b []byte) error       { w.s = string(b); return nil }
func (w wide) AppendBinary(b []byte) ([]byte, error) { return fmt.Append(b, w.V), nil }
func (w *wide) UnmarshalBinary(b []byte) error       { _, err := fmt.Sscan(string(b), &w.V); return err }
func (v *byValue) MarshalJSON() ([]byte, error)      { return fmt.Appendf(nil, "[%d]", v.V), nil }
func (v *byValue) UnmarshalJSON(b []byte) error {
	_, err := fmt.Sscanf(string(b), "[%d]", &v.V)
	return err
}

// Fields that are there to be lost.
var (
	_ = decided{}.cache
	_ = &(&locked{}).mu
)

const (
	kept    = ""
	noRaw   = "type: neither a string"
	noBin   = "type: AppendBinary nor MarshalBinary"
	unexp   = "type: unexported"
	anIface = "type: interface"
)

// verdict is what a codec makes of a value: kept, or "type: ..." or "value: ..." with
// part of the reason for which CheckType or Encode refuse it.
type verdict struct {
	name                    string
	value                   any // a pointer to it
	cbor, raw, binary, json string
}

func at[T any](v T) *T { return &v }

var (
	zone    = time.FixedZone("", 3*3600)
	moment  = time.Date(2024, 2, 29, 12, 0, 0, 123456789, time.UTC)
	beyond  = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)
	ancient = time.Date(-1, 1, 1, 0, 0, 0, 0, time.UTC)
	local   = time.Date(1930, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", 1172))
	western = time.Date(1880, 1, 1, 0, 0, 0, 0, time.FixedZone("LMT", -17762))
)

func chain(n int) *list {
	var l *list
	for i := range n {
		l = &list{V: i, Next: l}
	}
	return l
}

func broadChain(n int) *broad {
	b := &broad{Data: [][][]int{{{1}}}}
	for range n {
		b = &broad{Next: b}
	}
	return b
}

func circle() *list {
	l := &list{}
	l.Next = &list{Next: l}
	return l
}

func selfMap() knot {
	k := knot{}
	k["k"] = k
	return k
}

func selfAny() map[string]any {
	m := map[string]any{}
	m["m"] = m
	return m
}

var verdicts = []verdict{
	{"string", at("hello"), kept, kept, noBin, kept},
	{"empty string", at(""), kept, kept, noBin, kept},
	{"invalid UTF-8", at("\xff\xfe"), kept, kept, noBin, "value: not valid UTF-8"},
	{"invalid UTF-8 within", &map[string][]string{"a": {"\xff"}}, kept, noRaw, noBin, "value: not valid UTF-8"},
	{"invalid UTF-8 key", &map[string]int{"\xff": 1}, kept, noRaw, noBin, "value: not valid UTF-8"},
	{"the replacement character", at("\ufffd \\ufffd"), kept, kept, noBin, kept},
	{"HTML", at("<a&b>\u2028"), kept, kept, noBin, kept},
	{"named string", at(name("n")), kept, kept, noBin, kept},
	{"bytes", at([]byte("b\x00")), kept, kept, noBin, kept},
	{"nil bytes", at([]byte(nil)), kept, kept, noBin, kept},
	{"empty bytes", at([]byte{}), kept, kept, noBin, kept},
	{"the mark of nil", at([]byte{0xf6}), kept, kept, noBin, kept},
	{"the mark of nil twice", at([]byte{0xf6, 0xf6}), kept, kept, noBin, kept},
	{"named bytes", at([]octet{1, 0xf6}), kept, kept, noBin, kept},
	{"json.RawMessage", at(json.RawMessage(`{"a":1}`)), kept, kept, noBin, kept},
	{"spaced json.RawMessage", at(json.RawMessage(`[ ]`)), kept, kept, noBin, "same: re-encoded"},
	{"bad json.RawMessage", at(json.RawMessage(`{`)), kept, kept, noBin, "value: "},
	{"cbor.RawMessage", at(cbor.RawMessage{0x82, 1, 2}), kept, kept, noBin, kept},
	{"bad cbor.RawMessage", at(cbor.RawMessage{0x82, 1}), "value: ", kept, noBin, kept},
	{"indefinite cbor.RawMessage", at(cbor.RawMessage{0x9f, 0xff}), "value: ", kept, noBin, kept},
	{"pointer to a null RawMessage", &struct{ P *cbor.RawMessage }{&cbor.RawMessage{0xf6}}, "value: changed", noRaw, noBin, "type: pointer to a nil slice"},
	{"cbor.ByteString", at(cbor.ByteString("b")), kept, kept, noBin, kept},
	{"cbor.SimpleValue", at(cbor.SimpleValue(5)), kept, kept, noBin, kept},
	{"reserved cbor.SimpleValue", at(cbor.SimpleValue(25)), "value: ", kept, noBin, kept},
	{"cbor.RawTag", &cbor.RawTag{Number: 9, Content: cbor.RawMessage{1}}, kept, noRaw, noBin, kept},
	{"bool", at(true), kept, kept, noBin, kept},
	{"int", at(-1), kept, kept, noBin, kept},
	{"int8", at(int8(-128)), kept, kept, noBin, kept},
	{"int16", at(int16(-300)), kept, kept, noBin, kept},
	{"int32", at(int32(math.MinInt32)), kept, kept, noBin, kept},
	{"int64 past 2^53", at(int64(1<<53 + 1)), kept, kept, noBin, kept},
	{"least int64", at(int64(math.MinInt64)), kept, kept, noBin, kept},
	{"uint8", at(uint8(255)), kept, kept, noBin, kept},
	{"uint16", at(uint16(65535)), kept, kept, noBin, kept},
	{"uint32", at(uint32(math.MaxUint32)), kept, kept, noBin, kept},
	{"greatest uint64", at(uint64(math.MaxUint64)), kept, kept, noBin, kept},
	{"uint", at(uint(7)), kept, kept, noBin, kept},
	{"uintptr", at(uintptr(7)), "type: uintptr", kept, noBin, kept},
	{"named int", at(count(3)), kept, kept, noBin, kept},
	{"time.Duration", at(time.Hour), kept, kept, noBin, kept},
	{"float32", at(float32(0.1)), kept, kept, noBin, kept},
	{"float64", at(0.1), kept, kept, noBin, kept},
	{"negative zero", at(math.Copysign(0, -1)), kept, kept, noBin, kept},
	{"infinity", at(math.Inf(-1)), kept, kept, noBin, "value: unsupported"},
	{"NaN with a payload", at(math.Float64frombits(0x7ff8_0000_dead_beef)), kept, kept, noBin, "value: unsupported"},
	{"float32 NaN", at(math.Float32frombits(0x7fc0_0bee)), kept, kept, noBin, "value: unsupported"},
	{"NaN in a slice", at([]float64{math.NaN()}), kept, noRaw, noBin, "value: unsupported"},
	{"NaN keys", &map[float64]int{math.NaN(): 1, math.Float64frombits(0x7ff8_0000_0000_0002): 2}, kept, noRaw, noBin, "type: keys of JSON"},
	{"complex", at(complex(1, 2)), "type: complex", noRaw, noBin, "type: complex"},
	{"array of bytes", at([4]byte{1, 2}), kept, kept, noBin, kept},
	{"named array", at(digest{1}), kept, kept, noBin, kept},
	{"array of int16", at([2]int16{-1, 2}), kept, kept, noBin, kept},
	{"array of arrays", at([2][2]float32{{1, 2}, {3, 4}}), kept, kept, noBin, kept},
	{"array of bools", at([2]bool{true, false}), kept, kept, noBin, kept},
	{"array of nothing", at([0]int{}), kept, kept, noBin, kept},
	{"array of strings", at([2]string{"a", "b"}), kept, noRaw, noBin, kept},
	{"everything", &everything{B: true, I: -1, U64: math.MaxUint64, F32: 0.1, S: "s", Raw: []byte{}, L: []string{}, M: map[string]int{}, P: at(0)}, kept, noRaw, noBin, kept},
	{"nothing of everything", &everything{}, kept, noRaw, noBin, kept},
	{"pointer to a struct", at(&point{1, 2}), kept, noRaw, noBin, kept},
	{"nil pointer", at((*point)(nil)), kept, noRaw, noBin, kept},
	{"pointer to zero", at(at(0)), kept, noRaw, noBin, kept},
	{"pointer to pointer", at(at(at(0))), "type: pointer to a nil ptr", noRaw, "type: what to decode", "type: pointer to a nil ptr"},
	{"pointer to slice", at(at([]int{1})), "type: pointer to a nil slice", noRaw, noBin, "type: pointer to a nil slice"},
	{"pointer to map", &struct{ M *map[string]int }{}, "type: pointer to a nil map", noRaw, noBin, "type: pointer to a nil map"},
	{"endless pointer", at(loop(nil)), "type: pointer to itself", noRaw, "type: what to decode", "type: pointer to itself"},
	{"nil slice", at([]int(nil)), kept, noRaw, noBin, kept},
	{"empty slice", at([]int{}), kept, noRaw, noBin, kept},
	{"nil map", at(map[string]int(nil)), kept, noRaw, noBin, kept},
	{"empty map", at(map[string]int{}), kept, noRaw, noBin, kept},
	{"slice of 200 000", at(make([]int, 200_000)), kept, noRaw, noBin, kept},
	{"map of ints", &map[int8]string{-1: "a", 5: "b"}, kept, noRaw, noBin, kept},
	{"map of bools", &map[bool]int{true: 1, false: 2}, kept, noRaw, noBin, "type: keys of JSON"},
	{"map of structs", &map[point]int{{1, 2}: 1, {2, 1}: 2}, kept, noRaw, noBin, "type: keys of JSON"},
	{"map of arrays", &map[[2]int]int{{1, 2}: 1}, kept, noRaw, noBin, "type: keys of JSON"},
	{"map of digests", &map[digest]int{{1}: 1}, kept, noRaw, noBin, "type: keys of JSON"},
	{"map of pointers", &map[*int]int{}, "type: pointer as a key", noRaw, noBin, "type: keys of JSON"},
	{"map of structs with pointers", &map[struct{ P *int }]int{}, "type: pointer as a key", noRaw, noBin, "type: keys of JSON"},
	{"map of any", &map[any]int{}, anIface, noRaw, noBin, anIface},
	{"map of times", &map[time.Time]int{moment: 1}, kept, noRaw, noBin, kept},
	{"map of one instant twice", &map[time.Time]int{moment: 1, moment.In(zone): 2}, "value: decoded", noRaw, noBin, "same: instants"},
	{"map of part keys", &map[partKey]int{{1, 0}: 1, {2, 0}: 2}, kept, noRaw, noBin, "type: keys of JSON"},
	{"map of part keys that clash", &map[partKey]int{{1, 0}: 1, {1, 2}: 2}, "value: decoded", noRaw, noBin, "type: keys of JSON"},
	{"map of addresses", &map[netip.Addr]int{netip.MustParseAddr("::1"): 1}, kept, noRaw, noBin, kept},
	{"map of words", &map[worded]int{{"a"}: 1}, unexp, noRaw, noBin, kept},
	{"map of words that clash", &map[worded]int{{"\xff"}: 1, {"\xfe"}: 2}, unexp, noRaw, noBin, "value: changed"},
	{"map of signed", &map[signed]int{{1}: 1, {2}: 2}, kept, noRaw, noBin, "type: keys of JSON"},
	{"interface", at(any(1)), anIface, noRaw, "type: what to decode", anIface},
	{"field of any", &struct{ V any }{1}, anIface, noRaw, noBin, anIface},
	{"error", &struct{ Err error }{}, anIface, noRaw, noBin, anIface},
	{"func", &struct{ F func() }{}, "type: func cannot", noRaw, noBin, "type: func cannot"},
	{"chan", &struct{ C []chan int }{}, "type: chan cannot", noRaw, noBin, "type: chan cannot"},
	{"unexported field", &closed{Name: "n", secret: "s"}, unexp, noRaw, noBin, unexp},
	{"only unexported fields", &sealed{1, 2}, unexp, noRaw, noBin, unexp},
	{"unexported field within", &nested{}, unexp, noRaw, noBin, unexp},
	{"mutex", &locked{N: 1}, unexp, noRaw, noBin, unexp},
	{"decided fields", &decided{Name: "n"}, kept, noRaw, noBin, kept},
	{"padding", &padded{A: 1, B: 2}, kept, noRaw, noBin, kept},
	{"empty struct", &struct{}{}, kept, noRaw, noBin, kept},
	{"embedded unexported struct", &embeds{inner{1}, 2}, kept, noRaw, noBin, kept},
	{"embedded pointer", &embedsPtr{&Inner{1}, 2}, kept, noRaw, noBin, kept},
	{"embedded nil pointer", &embedsPtr{nil, 2}, kept, noRaw, noBin, kept},
	{"embedded pointer to unexported", &embedsBad{}, "type: cannot be set", noRaw, noBin, "type: cannot be set"},
	{"embedded pointer to optional", &embedsOpt{}, "type: come back nil", noRaw, noBin, "type: come back nil"},
	{"shadowed field", &shadows{}, "type: under the name", noRaw, noBin, "type: under the name"},
	{"embedded in itself", &Ouroboros{}, "type: embedded twice", noRaw, noBin, "type: embedded twice"},
	{"two fields of one name", &twins{}, "type: under the name", noRaw, noBin, "type: under the name"},
	{"embedded big.Int", &bigInside{}, unexp, noRaw, noBin, "type: from an embedded"},
	{"embedded time", &stamped{moment, "n"}, "type: from an embedded", noRaw, "type: from an embedded", "type: from an embedded"},
	{"embedded time alone", &stampedOnly{moment}, kept, noRaw, kept, kept},
	{"time", &moment, kept, noRaw, kept, kept},
	{"time with an offset", at(moment.In(zone)), "same: instants", noRaw, "same: instants", "same: instants"},
	{"time with seconds in its offset", &local, "same: instants", noRaw, "same: instants", "value: offset"},
	{"time with seconds in its offset, west", &western, "same: instants", noRaw, "value: changed", "value: offset"},
	{"zero time", at(time.Time{}), kept, noRaw, kept, kept},
	{"zero time elsewhere", at(time.Time{}.In(zone)), "same: instants", noRaw, "same: instants", "same: instants"},
	{"year 0", at(time.Date(0, 1, 1, 0, 0, 0, 0, time.UTC)), kept, noRaw, kept, kept},
	{"year 10000", &beyond, "value: year", noRaw, kept, "value: year"},
	{"year -1", &ancient, "value: year", noRaw, kept, "value: year"},
	{"times within", &dated{moment, at(moment), []time.Time{moment, {}}}, kept, noRaw, noBin, kept},
	{"year 10000 within", &dated{Every: []time.Time{beyond}}, "value: year", noRaw, noBin, "value: year"},
	{"pointer to the zero time", &dated{Maybe: &time.Time{}}, "value: zero time", noRaw, noBin, kept},
	{"big.Int", big.NewInt(-5), kept, noRaw, noBin, kept},
	{"great big.Int", &struct{ N *big.Int }{new(big.Int).Lsh(big.NewInt(-3), 200)}, kept, noRaw, noBin, kept},
	{"map to big.Int values", &map[string]big.Int{"a": *big.NewInt(1)}, kept, noRaw, noBin, "value: decoded"},
	{"big.Float", big.NewFloat(1.5), unexp, noRaw, noBin, "same: re-encoded"},
	{"netip.Addr", at(netip.MustParseAddr("1.2.3.4")), kept, noRaw, kept, kept},
	{"url.URL", &url.URL{Scheme: "http", Host: "h", User: url.User("u")}, kept, noRaw, kept, unexp},
	{"json.Number", at(json.Number("1e9")), kept, kept, noBin, kept},
	{"empty json.Number", at(json.Number("")), kept, kept, noBin, "value: changed"},
	{"list of 40", chain(40), kept, noRaw, noBin, kept},
	{"list of 1024", chain(1024), kept, noRaw, noBin, kept},
	{"list of 1025", chain(1025), "value: 1024 levels", noRaw, noBin, kept},
	{"list of 10 000", chain(10_000), "value: 1024 levels", noRaw, noBin, kept},
	{"list of 10 001", chain(10_001), "value: 1024 levels", noRaw, noBin, "value: 10000 levels"},
	{"just deep enough", broadChain(1020), kept, noRaw, noBin, kept},
	{"just too deep", broadChain(1021), "value: 1024 levels", noRaw, noBin, kept},
	{"circle", circle(), "value: contains itself", noRaw, noBin, "value: contains itself"},
	{"map in itself", at(selfMap()), "value: contains itself", noRaw, noBin, "value: contains itself"},
	{"tree", &tree{[]tree{{}, {[]tree{}}}}, kept, noRaw, noBin, kept},
	{"marshaller alone", &shouts{"s"}, "type: not UnmarshalBinary", noRaw, "type: no UnmarshalBinary", kept},
	{"unmarshaller alone", &whispers{"s"}, "type: not MarshalBinary", noRaw, noBin, kept},
	{"signed", &signed{5}, kept, noRaw, kept, kept},
	{"pointer to signed", at(&signed{5}), kept, noRaw, kept, kept},
	{"nil pointer to signed", at((*signed)(nil)), kept, noRaw, "value: nil pointer", kept},
	{"what its methods drop", &drops{1, 2}, "value: changed", noRaw, "value: changed", kept},
	{"what panics", &breaks{1}, "value: panic: no", noRaw, "value: panic: no", kept},
	{"pointer to what is null", at(&nothing{1}), "value: changed", noRaw, noBin, kept},
	{"appender", &wide{1.5}, "type: not MarshalBinary", noRaw, kept, kept},
	{"words", &worded{"w"}, unexp, noRaw, noBin, kept},
	{"words that are not UTF-8", &worded{"\xff"}, unexp, noRaw, noBin, "value: changed"},
	{"methods of the pointer", &byValue{1}, kept, noRaw, noBin, kept},
	{"methods of the pointer, out of reach", &map[string]byValue{"a": {1}}, kept, noRaw, noBin, "value: decoded"},
	{"compared", &mixed{
		signed{1},
		map[string]byte{"w": 1},
		everything{Raw: []byte{}, P: at(0), L: []string{"l"}},
		moment, big.NewInt(-7),
		[][2]string{{"a", ""}},
		map[string]point{"p": {1, 2}},
		map[time.Time]int{moment: 1},
		opt{N: 1},
		&embedsPtr{&Inner{1}, 2},
		map[int][]byte{1: nil, 2: {}},
		&mixed{In: &embedsPtr{}},
	}, kept, noRaw, noBin, kept},
	{"compared and empty", &mixed{}, kept, noRaw, noBin, kept},
	{"compared and left out", &mixed{Opt: opt{L: []int{}}}, "same: left out", noRaw, noBin, "same: left out"},
	{"compared NaNs", &mixedFloats{Floats: []float32{float32(math.NaN()), 1}, Keys: map[float64]int{math.NaN(): 1, 2: 2}}, "same: NaN", noRaw, noBin, "type: keys of JSON"},
	{"changed among others", &struct {
		Own  drops
		Rest everything
	}{Own: drops{1, 2}}, "value: changed", noRaw, noBin, kept},
	{"omitted", &opt{}, kept, noRaw, noBin, kept},
	{"not omitted", &opt{N: 1, L: []int{1}, M: map[string]int{"a": 1}, Z: moment}, kept, noRaw, noBin, kept},
	{"as an array", &array{A: 1, B: "b"}, kept, noRaw, noBin, kept},
	{"as an endless array", &indefinite{A: 1}, "type: toindefarray", noRaw, noBin, kept},
	{"names as integers", &numbered{1, 2}, kept, noRaw, noBin, kept},
	{"names that are no integers", &misnumbered{1}, "type: no integer", noRaw, noBin, kept},
	{"one integer twice", &sameNumber{}, "type: under the name", noRaw, noBin, kept},
	{"cbor.Tag", &cbor.Tag{Number: 5, Content: 1}, anIface, noRaw, noBin, anIface},
	{"long field", &struct{ S string }{strings.Repeat("x", 100_000)}, kept, noRaw, noBin, kept},
}
