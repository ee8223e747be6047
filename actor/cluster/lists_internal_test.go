package cluster

import (
	"errors"
	"math"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

func TestLists_keep_each_value_its_kind(t *testing.T) {
	ts := carrying(t, prices(), Carry(bucket.New("numbers", noLoad[int, float64]())))
	for name, values := range map[string][]any{
		"none":           {},
		"one kind":       {"a", "b", "c"},
		"several":        {"a", 1, "b", price{2}, 2.5, 3},
		"nil first":      {nil, "a", nil, "b"},
		"nil last":       {"a", nil},
		"only nil":       {nil, nil},
		"empty and zero": {"", 0, price{}},
	} {
		t.Run(name, func(t *testing.T) {
			list, err := ts.encodeList(values)
			require.NoError(t, err)
			got, err := ts.decodeList(list)
			require.NoError(t, err)
			assert.Equal(t, values, got)
		})
	}
	list, err := ts.encodeList([]any{"a", "b"})
	require.NoError(t, err)
	assert.Len(t, list.GetKinds(), 1)
	assert.Empty(t, list.GetKind(), "one kind is said once")
}

func TestLists_lose_only_what_cannot_be_carried(t *testing.T) {
	refusing := Carry(bucket.New("numbers", noLoad[int, float64](), bucket.Codec(dump.JSON())))
	ts := carrying(t, prices(), refusing)
	values := []any{"a", struct{}{}, struct{}{}, "b", math.NaN(), 2.5, math.Inf(1), "c"}
	failed := map[int]error{}
	list := ts.encodeEach(values, func(at int, err error) { failed[at] = err })
	got := ts.decodeEach(list, func(at int, err error) { t.Errorf("%d: %v", at, err) })
	assert.Equal(t, []any{"a", nil, nil, "b", nil, 2.5, nil, "c"}, got)
	require.Len(t, failed, 4)
	for _, at := range []int{1, 2, 4, 6} {
		require.ErrorIs(t, failed[at], ErrNotCarried)
	}
	_, err := ts.encodeList(values)
	require.ErrorIs(t, err, ErrNotCarried)

	// The first of all.
	list = ts.encodeEach([]any{math.NaN(), "a"}, func(int, error) {})
	assert.Equal(t, []any{nil, "a"}, ts.decodeEach(list, func(at int, err error) { t.Errorf("%d: %v", at, err) }))
}

func TestLists_of_another_member_may_be_anything(t *testing.T) {
	ts := carrying(t, prices())
	ours, err := ts.encodeList([]any{"a", price{1}})
	require.NoError(t, err)
	for name, list := range map[string]*wire.Values{
		"too short":     {Kinds: ours.GetKinds(), Sizes: []uint32{1, 1000}, Data: []byte{1, 2, 3}},
		"no kinds":      {Sizes: []uint32{1}, Data: []byte{1}},
		"unknown kind":  {Kinds: ours.GetKinds(), Kind: []uint32{0, 9}, Sizes: ours.GetSizes(), Data: ours.GetData()},
		"another codec": {Kinds: []*wire.Kind{{Type: "string", Codec: "other/1"}}, Sizes: []uint32{1}, Data: []byte{1}},
		"not encoded":   {Kinds: []*wire.Kind{ours.GetKinds()[1]}, Sizes: []uint32{2}, Data: []byte{0xff, 0xff}},
	} {
		_, err := ts.decodeList(list)
		require.ErrorIs(t, err, ErrNotCarried, name)
	}
	short := &wire.Values{Kinds: ours.GetKinds(), Kind: []uint32{0}, Sizes: []uint32{1, 1}, Data: []byte("aa")}
	got, err := ts.decodeList(short)
	require.NoError(t, err)
	assert.Equal(t, []any{"a", "a"}, got)
	none, err := ts.decodeList(nil)
	require.NoError(t, err)
	assert.Empty(t, none)
}

func TestFoundMany_keeps_its_errors(t *testing.T) {
	ts := carrying(t, Carry(bucket.New("numbers", noLoad[int, float64](), bucket.Codec(dump.JSON()))))
	sent := bucket.FoundMany{
		Values: []float64{1.5, 0, math.NaN(), 0, 2.5},
		Errs:   []error{nil, &loader.Error{Bucket: "numbers", Key: 2, Err: loader.ErrNotFound}, nil, bucket.ErrBusy, nil},
	}
	got := across(t, ts, sent).(bucket.FoundMany)
	assert.Equal(t, []float64{1.5, 0, 0, 0, 2.5}, got.Values)
	require.Len(t, got.Errs, 5)
	require.NoError(t, got.Errs[0])
	require.ErrorIs(t, got.Errs[1], loader.ErrNotFound)
	require.ErrorIs(t, got.Errs[2], ErrNotCarried)
	require.ErrorIs(t, got.Errs[3], bucket.ErrBusy)
	require.NoError(t, got.Errs[4])
	require.NoError(t, sent.Errs[2], "what was sent is as it was")
	got = across(t, ts, bucket.FoundMany{Values: []float64{1, math.NaN()}}).(bucket.FoundMany)
	require.ErrorIs(t, got.Errs[1], ErrNotCarried)

	for _, wrong := range []any{nil, 7, []struct{}{{}}, []string{"a"}} {
		_, err := ts.encodeMessage(bucket.FoundMany{Values: wrong})
		require.ErrorIs(t, err, ErrNotCarried)
		_, err = ts.encodeMessage(bucket.FetchMany{Keys: wrong})
		require.ErrorIs(t, err, ErrNotCarried)
	}
}

func TestSlices_of_another_member_may_be_anything(t *testing.T) {
	ts := carrying(t, prices())
	ours, err := ts.encodeSlice([]price{{1}, {2}})
	require.NoError(t, err)
	for name, list := range map[string]*wire.Values{
		"nothing":       nil,
		"no kind":       {Sizes: []uint32{1}, Data: []byte{1}},
		"two kinds":     {Kinds: append(ours.GetKinds(), ours.GetKinds()...), Sizes: ours.GetSizes(), Data: ours.GetData()},
		"nil":           {Kinds: []*wire.Kind{{}}, Sizes: []uint32{0}},
		"another codec": {Kinds: []*wire.Kind{{Type: "string", Codec: "other/1"}}},
		"too short":     {Kinds: ours.GetKinds(), Sizes: []uint32{1000}, Data: ours.GetData()},
		"not encoded":   {Kinds: ours.GetKinds(), Sizes: []uint32{2}, Data: []byte{0xff, 0xff}},
	} {
		_, err := ts.decodeSlice(list)
		require.ErrorIs(t, err, ErrNotCarried, name)
	}
	far, err := ts.decodeFoundMany(&wire.FoundMany{Values: ours, Errors: []*wire.ErrorAt{{At: 7, Error: &wire.Error{Text: "far"}}}})
	require.NoError(t, err)
	assert.Equal(t, bucket.FoundMany{Values: []price{{1}, {2}}}, far)
	_, err = ts.decodeFoundMany(&wire.FoundMany{})
	require.ErrorIs(t, err, ErrNotCarried)
}

func TestPages_of_another_member_may_be_anything(t *testing.T) {
	ts := carrying(t, prices())
	keys, err := ts.encodeList([]any{"a", "b"})
	require.NoError(t, err)
	_, err = ts.decodePage(&wire.Page{Keys: keys})
	require.ErrorIs(t, err, ErrNotCarried, "no values")
	got, err := ts.decodePage(&wire.Page{Keys: keys, Values: keys, Removed: []uint32{1, 99}})
	require.NoError(t, err)
	assert.Equal(t, []entry{{Key: "a", Value: "a"}, {Key: "b", Value: "b", Removed: true}}, got.(page).Entries)
}

func TestAgain_is_for_what_the_bucket_did_not_serve(t *testing.T) {
	for _, err := range []error{bucket.ErrNotRunning, bucket.ErrAlreadyRunning, bucket.ErrNameTaken, dump.ErrLocked} {
		assert.True(t, again(errors.Join(err)), "%v", err)
		assert.False(t, again(&loader.Error{Err: err}), "its loader asks a bucket which does not run")
	}
	for _, err := range []error{nil, bucket.ErrBusy, bucket.ErrCrashed, loader.ErrNotFound, ErrLost, ErrNotCarried} {
		assert.False(t, again(err), "%v", err)
	}
}
