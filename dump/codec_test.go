package dump_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

func TestCodec_gives_back_what_it_takes_and_refuses_the_rest(t *testing.T) {
	for _, v := range verdicts {
		t.Run(v.name, func(t *testing.T) {
			meets(t, dump.CBOR(), v.value, v.cbor)
			meets(t, dump.Raw(), v.value, v.raw)
			meets(t, dump.Binary(), v.value, v.binary)
			meets(t, dump.JSON(), v.value, v.json)
		})
	}
}

// meets checks one verdict. "same: instants" is kept but for the time zone, "same:
// re-encoded" is kept but for how it was written.
func meets(t *testing.T, c dump.Codec, value any, verdict string) {
	t.Helper()
	typ := reflect.TypeOf(value).Elem()
	why, refusedType := strings.CutPrefix(verdict, "type: ")
	err := c.CheckType(typ)
	if refusedType {
		require.ErrorIs(t, err, dump.ErrType, "%s accepts %v", c.Name(), typ)
		require.ErrorContains(t, err, why, c.Name())
	} else {
		require.NoError(t, err, "%s refuses %v", c.Name(), typ)
	}

	into := []byte("before")
	longer, err := c.Encode(into, value)
	if why, refused := strings.CutPrefix(verdict, "value: "); refused || refusedType {
		require.ErrorIs(t, err, dump.ErrEncode, "%s encodes it", c.Name())
		require.Equal(t, into, longer, "%s leaves a part of it", c.Name())
		if refused {
			require.ErrorContains(t, err, why, c.Name())
		}
		return
	}
	require.NoError(t, err, c.Name())
	require.True(t, bytes.HasPrefix(longer, into), "%s changes what was there", c.Name())

	back := reflect.New(typ)
	require.NoError(t, c.Decode(longer[len(into):], back.Interface()), c.Name())
	again, err := c.Encode(nil, back.Interface())
	require.NoError(t, err, c.Name())
	require.Equal(t, string(longer[len(into):]), string(again), "%s encodes what came back otherwise", c.Name())
	if verdict == kept && !holdsNaN(value) {
		require.Equal(t, reflect.ValueOf(value).Elem().Interface(), back.Elem().Interface(), c.Name())
	}
	if m, ok := value.(*time.Time); ok {
		require.True(t, m.Equal(*back.Interface().(*time.Time)), "%s: another instant", c.Name())
	}
}

func holdsNaN(value any) bool {
	switch v := value.(type) {
	case *float64:
		return math.IsNaN(*v)
	case *float32:
		return *v != *v
	case *[]float64, *map[float64]int:
		return true
	}
	return false
}

func encoded(t testing.TB, c dump.Codec, value any) []byte {
	t.Helper()
	b, err := c.Encode(nil, value)
	require.NoError(t, err)
	return b
}

func TestCodec_names_are_what_files_hold(t *testing.T) {
	assert.Equal(t, "cbor/1", dump.CBOR().Name())
	assert.Equal(t, "raw/1", dump.Raw().Name())
	assert.Equal(t, "binary/1", dump.Binary().Name())
	assert.Equal(t, "json/1", dump.JSON().Name())
	assert.Equal(t, "cbor/1", dump.Unchecked(dump.CBOR()).Name())
	assert.Equal(t, "binary/1", dump.Unchecked(dump.Binary()).Name())
}

// The bytes of a file must mean the same in every version of this package.
func TestCodec_writes_the_bytes_it_always_wrote(t *testing.T) {
	value := &struct {
		B   []byte
		F   float64
		M   map[string]int
		T   time.Time
		Nil []int
	}{[]byte{1}, 0.5, map[string]int{"bb": 1, "a": -2}, moment, nil}
	assert.Equal(t,
		"\xa5aBA\x01aF\xfb\x3f\xe0\x00\x00\x00\x00\x00\x00aM\xa2aa\x21bbb\x01"+
			"aT\xc0x\x1e2024-02-29T12:00:00.123456789ZcNil\xf6",
		string(encoded(t, dump.CBOR(), value)))
	assert.Equal(t,
		`{"B":"AQ==","F":0.5,"M":{"a":-2,"bb":1},"T":"2024-02-29T12:00:00.123456789Z","Nil":null}`,
		string(encoded(t, dump.JSON(), value)))
	assert.Equal(t, `"<a&b>"`, string(encoded(t, dump.JSON(), at("<a&b>"))))
	assert.Equal(t, "hello", string(encoded(t, dump.Raw(), at("hello"))))
	assert.Equal(t, "\xff\xfe", string(encoded(t, dump.Raw(), at([]byte{0xff, 0xfe}))))
	assert.Equal(t, "\xfe\xff\xff\xff\xff\xff\xff\xff", string(encoded(t, dump.Raw(), at(-2))))
	assert.Equal(t, "\x02\x01", string(encoded(t, dump.Raw(), at(uint16(0x0102)))))
	assert.Equal(t, "1.5", string(encoded(t, dump.Binary(), &wide{1.5})))
}

func TestCodec_says_which_part_of_a_type_and_what_to_do(t *testing.T) {
	type Part struct {
		Name  string
		price int
	}
	type Widget struct {
		Parts []Part
		ByDay map[string]*Part
	}
	err := dump.CBOR().CheckType(reflect.TypeFor[Widget]())
	assert.EqualError(t, err, "type cannot be dumped: cbor/1: Widget.Parts[].price: "+
		"unexported, and would be lost: export it, or tag it `cbor:\"-\"` if it may be")
	_ = Part{price: 1}.price
}

func TestCBOR_refuses_a_year_that_would_not_come_back(t *testing.T) {
	for _, year := range []int{-9999, -1, 10_000, 123_456} {
		_, err := dump.CBOR().Encode(nil, at(time.Date(year, 1, 1, 0, 0, 0, 0, time.UTC)))
		require.ErrorIs(t, err, dump.ErrEncode, year)
	}
	// The year 9999 here is the year 10000 in UTC.
	_, err := dump.CBOR().Encode(nil, at(time.Date(9999, 12, 31, 23, 0, 0, 0, time.FixedZone("", -7200))))
	require.ErrorIs(t, err, dump.ErrEncode)
}

func TestCBOR_and_Raw_keep_the_bits_of_a_NaN(t *testing.T) {
	const bits = 0x7ff8_0000_dead_beef
	for _, c := range []dump.Codec{dump.CBOR(), dump.Raw()} {
		var back float64
		require.NoError(t, c.Decode(encoded(t, c, at(math.Float64frombits(bits))), &back))
		assert.Equal(t, uint64(bits), math.Float64bits(back), c.Name())
	}
	const signalling = 0x7fa0_0001
	var back [1]float32
	require.NoError(t, dump.Raw().Decode(encoded(t, dump.Raw(), &[1]float32{math.Float32frombits(signalling)}), &back))
	assert.Equal(t, uint32(signalling), math.Float32bits(back[0]))
}

func TestCBOR_keeps_every_NaN_key(t *testing.T) {
	m := map[float64]int{}
	for i := range 5 {
		m[math.NaN()] = i
	}
	var back map[float64]int
	require.NoError(t, dump.CBOR().Decode(encoded(t, dump.CBOR(), &m), &back))
	sum := 0
	for _, v := range back {
		sum += v
	}
	assert.Len(t, back, 5)
	assert.Equal(t, 10, sum)
}

func TestCBOR_encodes_a_map_the_same_every_time(t *testing.T) {
	m := map[string]int{}
	for i := range 100 {
		m[strings.Repeat("k", i)] = i
	}
	first := encoded(t, dump.CBOR(), &m)
	for range 20 {
		require.Equal(t, first, encoded(t, dump.CBOR(), &m))
	}
}

func TestCBOR_reads_a_field_only_under_its_own_name(t *testing.T) {
	old := encoded(t, dump.CBOR(), &struct {
		Price int `cbor:"price"`
	}{5})
	var now struct{ PRICE, Other int }
	require.NoError(t, dump.CBOR().Decode(old, &now))
	assert.Zero(t, now.PRICE)
}

// Each level of them would be read to its end to be counted, and so would all that
// it holds.
func TestCBOR_reads_no_lengths_that_have_to_be_counted(t *testing.T) {
	for _, b := range [][]byte{{0x9f, 0xff}, {0xbf, 0xff}, {0x5f, 0xff}, {0x7f, 0xff}} {
		require.ErrorContains(t, dump.Unchecked(dump.CBOR()).Decode(b, at(any(nil))), "indefinite", "%x", b)
	}
}

func TestBinary_prefers_a_types_own_method_to_a_promoted_one(t *testing.T) {
	at := ownMarshaler{moment, "note"}
	b := encoded(t, dump.Binary(), &at)
	var back ownMarshaler
	require.NoError(t, dump.Binary().Decode(b, &back))
	assert.Equal(t, at, back)
}

// ownMarshaler has MarshalBinary of its own and AppendBinary of its time.
type ownMarshaler struct {
	time.Time
	Note string
}

func (o ownMarshaler) MarshalBinary() ([]byte, error) {
	b, err := o.Time.MarshalBinary()
	return append(b, o.Note...), err
}

func (o *ownMarshaler) UnmarshalBinary(b []byte) error {
	if len(b) < 15 {
		return errors.New("short")
	}
	o.Note = string(b[15:])
	return o.Time.UnmarshalBinary(b[:15])
}

func TestCodec_trusts_a_type_that_overrides_a_promoted_method(t *testing.T) {
	require.NoError(t, dump.CBOR().CheckType(reflect.TypeFor[ownMarshaler]()))
	var back ownMarshaler
	require.NoError(t, dump.CBOR().Decode(encoded(t, dump.CBOR(), &ownMarshaler{moment, "note"}), &back))
	assert.Equal(t, "note", back.Note)
}

func TestCodec_turns_a_panic_into_an_error(t *testing.T) {
	for _, c := range []dump.Codec{dump.CBOR(), dump.Binary(), dump.Unchecked(rude{})} {
		_, err := c.Encode(nil, &breaks{})
		require.ErrorIs(t, err, dump.ErrEncode, c.Name())
		require.ErrorContains(t, err, "panic", c.Name())
	}
	require.ErrorContains(t, dump.CBOR().Decode([]byte{0x40}, &breaks{}), "panic")
	require.ErrorContains(t, dump.Binary().Decode(nil, &breaks{}), "panic")
}

type rude struct{ dump.Codec }

func (rude) Name() string                       { return "rude/1" }
func (rude) Encode([]byte, any) ([]byte, error) { panic("no") }

func TestCodec_is_not_given_pointers(t *testing.T) {
	for _, c := range []dump.Codec{dump.CBOR(), dump.Raw(), dump.Binary(), dump.JSON()} {
		for _, value := range []any{nil, point{}, (*point)(nil)} {
			_, err := c.Encode(nil, value)
			require.ErrorIs(t, err, dump.ErrEncode, "%s: %T", c.Name(), value)
			require.Error(t, c.Decode([]byte{1}, value), "%s: %T", c.Name(), value)
		}
		require.ErrorIs(t, c.CheckType(nil), dump.ErrType)
	}
}

func TestUnchecked_takes_what_comes_back_otherwise(t *testing.T) {
	c := dump.Unchecked(dump.CBOR())
	require.NoError(t, c.CheckType(reflect.TypeFor[any]()))
	var back any
	require.NoError(t, c.Decode(encoded(t, c, at(any(point{1, 2}))), &back))
	assert.Equal(t, map[string]any{"X": uint64(1), "Y": uint64(2)}, back)

	var lost closed
	require.NoError(t, c.Decode(encoded(t, c, &closed{"n", "secret"}), &lost))
	assert.Equal(t, closed{Name: "n"}, lost)

	require.NoError(t, dump.Unchecked(dump.JSON()).CheckType(reflect.TypeFor[stamped]()))
	require.NoError(t, dump.Unchecked(dump.Binary()).CheckType(reflect.TypeFor[stamped]()))
	require.NoError(t, dump.Unchecked(dump.Unchecked(rude{})).CheckType(reflect.TypeFor[any]()))
	assert.Equal(t, dump.Raw(), dump.Unchecked(dump.Raw()))
}

func TestUnchecked_still_refuses_what_would_not_be_decoded(t *testing.T) {
	c := dump.Unchecked(dump.CBOR())
	for _, typ := range []reflect.Type{reflect.TypeFor[chan int](), reflect.TypeFor[loop](), reflect.TypeFor[indefinite]()} {
		require.ErrorIs(t, c.CheckType(typ), dump.ErrType, typ)
	}
	var round loop
	round = &round
	deep := any(nil)
	for range 1025 {
		deep = []any{deep}
	}
	for _, value := range []any{
		&struct{ Err error }{errors.New("x")},
		&map[any]int{1: 1, int8(1): 2},
		&embedsBad{inner: &inner{1}},
		&deep,
		at(any(selfAny())),
		at(any(circle())),
		at(any(round)),
		at(any(func() {})),
		at(any(beyond)),
		&shouts{"s"},
	} {
		_, err := c.Encode(nil, value)
		require.ErrorIs(t, err, dump.ErrEncode, "%T", value)
	}
	_, err := dump.Unchecked(dump.JSON()).Encode(nil, at(any("\xff")))
	require.ErrorIs(t, err, dump.ErrEncode)
	_, err = dump.Unchecked(deaf{}).Encode(nil, at("s"))
	require.ErrorIs(t, err, dump.ErrEncode)
}

type deaf struct{ dump.Codec }

func (deaf) Name() string                              { return "deaf/1" }
func (deaf) Encode(into []byte, _ any) ([]byte, error) { return append(into, 1), nil }
func (deaf) Decode([]byte, any) error                  { return errors.New("what?") }

func TestRaw_shares_the_memory_it_decodes_and_no_more(t *testing.T) {
	memory := []byte("hello, world")
	var s string
	require.NoError(t, dump.Raw().Decode(memory[:5], &s))
	var b []byte
	require.NoError(t, dump.Raw().Decode(memory[:5], &b))
	var named json5
	require.NoError(t, dump.Raw().Decode(memory[:5], &named))
	assert.Equal(t, 5, cap(b))
	assert.Equal(t, 5, cap(named))

	memory[0] = 'H'
	assert.Equal(t, "Hello", s)
	assert.Equal(t, "Hello", string(b))
	assert.Equal(t, "Hello", string(named))
	_ = append(b, '!')
	assert.Equal(t, "Hello, world", string(memory))

	marked := []byte{0xf6, 0xf6, 0xf6}
	require.NoError(t, dump.Raw().Decode(marked, &b))
	assert.Equal(t, []byte{0xf6, 0xf6}, b)
	assert.Equal(t, 2, cap(b))
}

type json5 []byte

func TestRaw_allocates_nothing(t *testing.T) {
	c := dump.Raw()
	into := make([]byte, 0, 64)
	for _, value := range []any{
		at("hello"), at([]byte("hello")), at([]byte{}), at([]byte(nil)), at(1), at(int64(1)), at(uint64(1)), at(int8(1)), at(true),
		at(1.5), at(float32(1)), at(name("n")), at(json5("n")), at(count(1)), at(digest{1}), at([2]int16{1, 2}),
	} {
		b := encoded(t, c, value)
		back := reflect.New(reflect.TypeOf(value).Elem()).Interface()
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = c.Encode(into, value) }), "Encode %T", value)
		assert.Zero(t, testing.AllocsPerRun(100, func() { _ = c.Decode(b, back) }), "Decode %T", value)
	}
}

func TestRaw_refuses_every_wrong_length(t *testing.T) {
	for _, value := range []any{at(1), at(int8(1)), at(uint16(1)), at(float32(1)), at(1.5), at(true), at(int64(1)), at(uint64(1)), at([2]int16{}), at(digest{}), at([0]int{})} {
		right := len(encoded(t, dump.Raw(), value))
		for n := range right + 10 {
			if n != right {
				require.Error(t, dump.Raw().Decode(make([]byte, n), value), "%d bytes for %T", n, value)
			}
		}
	}
	require.Error(t, dump.Raw().Decode([]byte{2}, at(true)))
	require.Error(t, dump.Raw().Decode([]byte{0, 2}, at([2]bool{})))
}

func TestCBOR_encodes_into_the_buffer_it_is_given(t *testing.T) {
	into := make([]byte, 3, 4096)
	value := record()
	longer, err := dump.CBOR().Encode(into, value)
	require.NoError(t, err)
	assert.Same(t, &into[0], &longer[0])
	if poolsKeep() {
		assert.Zero(t, testing.AllocsPerRun(100, func() { _, _ = dump.CBOR().Encode(into, value) }))
	}
}

// poolsKeep is false under the race detector, where pools lose things on purpose.
func poolsKeep() bool {
	var pool sync.Pool
	for range 100 {
		pool.Put(new(int))
		if pool.Get() == nil {
			return false
		}
	}
	return true
}

func TestCodec_plans_a_type_for_many_at_once(t *testing.T) {
	type fresh struct{ L *list }
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for _, c := range []dump.Codec{dump.CBOR(), dump.JSON(), dump.Unchecked(dump.CBOR())} {
				assert.NoError(t, c.CheckType(reflect.TypeFor[fresh]()))
				_, err := c.Encode(nil, &fresh{chain(3)})
				assert.NoError(t, err)
			}
		})
	}
	all.Wait()
}

// allocated is how much memory f takes, freed or not.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestCodec_bounds_its_memory_by_the_bytes(t *testing.T) {
	const small = 1 << 20
	hostile := map[string][]byte{
		"array of 4 billion":    {0x9a, 0xff, 0xff, 0xff, 0xff},
		"array past int":        {0x9b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"array of 2 billion":    {0x9a, 0x7f, 0xff, 0xff, 0xff, 0xf6},
		"map of 4 billion":      {0xba, 0xff, 0xff, 0xff, 0xff, 0x01},
		"string of 4 billion":   {0x7a, 0xff, 0xff, 0xff, 0xff, 0x01},
		"bytes of 4 billion":    {0x5a, 0xff, 0xff, 0xff, 0xff, 0x01},
		"20 MB of arrays":       bytes.Repeat([]byte{0x81}, 20<<20),
		"20 MB of tags":         bytes.Repeat([]byte{0xc1}, 20<<20),
		"20 MB of endless ones": bytes.Repeat([]byte{0x9f}, 20<<20),
		"a great number":        append([]byte{0xc2, 0x5a, 0x00, 0x80, 0x00, 0x00}, bytes.Repeat([]byte{0xaa}, 8<<20)...),
		"20 MB of brackets":     bytes.Repeat([]byte{'['}, 20<<20),
	}
	for what, b := range hostile {
		for _, value := range []any{&[]int{}, &map[string]int{}, &everything{}, &tree{}, at(""), &[]byte{}, at(1), &[][4096]byte{}, &[]knot{}} {
			for _, c := range []dump.Codec{dump.CBOR(), dump.JSON()} {
				started := time.Now()
				taken := allocated(func() { require.Error(t, c.Decode(b, value), "%s %s %T", c.Name(), what, value) })
				assert.Less(t, taken, uint64(small), "%s %s %T", c.Name(), what, value)
				assert.Less(t, time.Since(started), 5*time.Second, "%s %s %T", c.Name(), what, value)
			}
		}
		taken := allocated(func() { _ = dump.Unchecked(dump.CBOR()).Decode(b, at(any(nil))) })
		assert.Less(t, taken, uint64(small+3*len(b)), "any %s", what)
	}
}

// An element takes its size, however few bytes stand for it. That is all the
// amplification there is.
func TestCBOR_takes_the_size_of_the_elements_that_are_there(t *testing.T) {
	const n = 10_000
	nulls := append([]byte{0x99, n >> 8, n & 0xff}, bytes.Repeat([]byte{0xf6}, n)...)
	var pages [][4096]byte
	taken := allocated(func() { require.NoError(t, dump.CBOR().Decode(nulls, &pages)) })
	assert.Len(t, pages, n)
	assert.Less(t, taken, uint64(n*4096+1<<20))

	var m map[uint16]struct{}
	pairs := []byte{0xb9, n >> 8, n & 0xff}
	for i := range uint16(n) {
		pairs = append(binary.BigEndian.AppendUint16(append(pairs, 0x19), i), 0xa0)
	}
	taken = allocated(func() { require.NoError(t, dump.CBOR().Decode(pairs, &m)) })
	assert.Len(t, m, n)
	assert.Less(t, taken, uint64(n*256))
}

type row struct {
	ID      int64
	Name    string
	Tags    []string
	Price   float64
	Stock   map[string]int
	Updated int64
	Active  bool
}

func record() *row {
	return &row{
		ID: 123456, Name: "a widget of some length", Tags: []string{"red", "round"}, Price: 12.5,
		Stock: map[string]int{"north": 3, "south": 5}, Updated: 1700000000, Active: true,
	}
}

// BenchmarkCodec asks what the care around the library costs.
func BenchmarkCodec(b *testing.B) {
	enc, err := cbor.EncOptions{
		Sort: cbor.SortCoreDeterministic, Time: cbor.TimeRFC3339NanoUTC, TimeTag: cbor.EncTagRequired,
	}.EncMode()
	require.NoError(b, err)
	dec, err := cbor.DecOptions{
		MaxArrayElements: math.MaxInt32, MaxMapPairs: math.MaxInt32, MaxNestedLevels: 1024, UTF8: cbor.UTF8DecodeInvalid,
		DupMapKey: cbor.DupMapKeyEnforcedAPF, DefaultMapType: reflect.TypeFor[map[string]any](),
	}.DecMode()
	require.NoError(b, err)

	values := []struct {
		name  string
		value any
	}{
		{"struct", record()},
		{"times", &dated{moment, &moment, []time.Time{moment, moment}}},
		{"list of 40", chain(40)},
		{"signed", &struct{ A, B signed }{signed{1}, signed{2}}},
	}
	for _, v := range values {
		bytes := encoded(b, dump.CBOR(), v.value)
		typ := reflect.TypeOf(v.value).Elem()
		into := make([]byte, 0, 4096)
		b.Run("cbor/encode/"+v.name, func(b *testing.B) {
			measure(b, func() { _, _ = dump.CBOR().Encode(into, v.value) })
		})
		b.Run("cbor/encode/"+v.name+"/bare", func(b *testing.B) {
			measure(b, func() { _, _ = enc.Marshal(v.value) })
		})
		b.Run("cbor/decode/"+v.name, func(b *testing.B) {
			measure(b, func() { _ = dump.CBOR().Decode(bytes, reflect.New(typ).Interface()) })
		})
		b.Run("cbor/decode/"+v.name+"/bare", func(b *testing.B) {
			measure(b, func() { _ = dec.Unmarshal(bytes, reflect.New(typ).Interface()) })
		})
	}
	benchmarkPlainCodecs(b)
}

func benchmarkPlainCodecs(b *testing.B) {
	into := make([]byte, 0, 4096)
	value := record()
	b.Run("json/encode/struct", func(b *testing.B) { measure(b, func() { _, _ = dump.JSON().Encode(into, value) }) })
	b.Run("json/encode/struct/bare", func(b *testing.B) { measure(b, func() { _, _ = json.Marshal(value) }) })
	b.Run("raw/encode/string", func(b *testing.B) { measure(b, func() { _, _ = dump.Raw().Encode(into, &value.Name) }) })
	b.Run("raw/encode/named", func(b *testing.B) { measure(b, func() { _, _ = dump.Raw().Encode(into, at(name("n"))) }) })
	b.Run("binary/encode/time", func(b *testing.B) { measure(b, func() { _, _ = dump.Binary().Encode(into, &moment) }) })
	b.Run("binary/encode/time/bare", func(b *testing.B) { measure(b, func() { _, _ = moment.AppendBinary(into) }) })
}

func measure(b *testing.B, f func()) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		f()
	}
}
