package cluster

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

type price struct{ Cents int }

func noLoad[K comparable, V any]() loader.Loader[K, V] {
	return loader.Func(func(context.Context, K) (v V, _ error) { return v, loader.ErrNotFound })
}

func carrying(t *testing.T, buckets ...Carried) *types {
	t.Helper()
	ts, err := newTypes(buckets)
	require.NoError(t, err)
	return ts
}

func prices(opts ...bucket.Option) Carried {
	return Carry(bucket.New("prices", noLoad[string, price](), opts...))
}

// across takes a message over the border.
func across(t *testing.T, ts *types, msg any) any {
	t.Helper()
	require.True(t, plain(msg), "%T", msg)
	encoded, err := ts.encodeMessage(msg)
	require.NoError(t, err)
	data, err := proto.Marshal(encoded)
	require.NoError(t, err)
	arrived := &wire.Message{}
	require.NoError(t, proto.Unmarshal(data, arrived))
	got, err := ts.decodeMessage(arrived)
	require.NoError(t, err)
	return got
}

func TestMessages_arrive_as_they_were(t *testing.T) {
	ts := carrying(t, prices())
	report := bucket.Report{
		Generation: 3, Loaded: 4, Unchanged: 5, Added: 6, Changed: 7, Removed: 8, Failed: 9,
		Slowest: []bucket.SlowLoad{{Key: "a", Keys: 2, Took: time.Second}, {Keys: 9, Took: time.Millisecond}},
		Took:    time.Minute,
	}
	pid := protoactor.NewPID("10.0.0.1:80", "somebody")
	for _, msg := range []any{
		bucket.Fetch{Key: "a"},
		bucket.Fetch{Key: "a", NoSave: true},
		bucket.Fetch{},
		bucket.FetchMany{Keys: []string{"a", "b"}},
		bucket.FetchMany{Keys: []string{}},
		bucket.Get{Key: "a"},
		bucket.Set{Key: "a", Value: price{7}},
		bucket.Delete{Key: ""},
		bucket.Refresh{},
		bucket.Keys{},
		bucket.Inspect{},
		bucket.Subscribe{},
		bucket.Subscribe{To: pid},
		bucket.Unsubscribe{},
		bucket.Unsubscribe{To: pid},
		bucket.Found{Value: price{7}, Loaded: true},
		bucket.Found{Value: price{}},
		bucket.Missing{},
		bucket.Done{},
		bucket.Refreshed{Bucket: "prices", Report: report},
		bucket.KeyList{Keys: []any{"a", "b"}},
		bucket.KeyList{Keys: []any{}},
		bucket.FoundMany{Values: []price{{1}, {3}}},
		bucket.FoundMany{Values: []price{}},
		follow{Session: 1 << 63, Whole: true},
		page{Session: 7, Number: 1, Run: 9, From: 3, To: 6, Complete: true, Entries: []entry{
			{Key: "a", Value: price{1}}, {Key: "b", Removed: true}, {Key: "c", Value: price{3}},
		}},
		page{Session: 7, Entries: []entry{{Key: "only a key"}}},
		page{Session: 7},
		heard{Session: 7},
		where{},
		position{Run: 1 << 60, Seq: 2, Live: true},
		bucket.Status{Name: "prices", Config: bucket.Config{Sync: dump.DefaultSync}},
		bucket.Changes{Bucket: "prices", Changes: []bucket.Change[any, any]{
			{Kind: bucket.Added, Key: "a", New: price{1}, Seq: 1, Generation: 2},
			{Kind: bucket.Changed, Key: "a", Old: price{1}, New: price{2}, Seq: 2, Generation: 2},
			{Kind: bucket.Removed, Key: "a", Old: price{2}, Seq: 3, Generation: 3},
			{Kind: bucket.Missed, Seq: 9, Generation: 4},
		}},
	} {
		t.Run(fmt.Sprintf("%T", msg), func(t *testing.T) { assert.EqualExportedValues(t, msg, across(t, ts, msg)) })
	}
}

func TestStatus_arrives_with_its_errors(t *testing.T) {
	ts := carrying(t, prices())
	at := time.Date(2026, 11, 1, 2, 3, 4, 5, time.UTC)
	status := bucket.Status{
		Name:   "prices",
		Config: bucket.Config{File: "prices.dump", Sync: dump.SyncAlways, OnCorrupt: bucket.Quarantine, Jitter: 0.1, LoadTimeout: time.Second},
		Stats:  bucket.Stats{Entries: 7, Hits: 8, ReadyAt: at},
		Health: bucket.Health{
			State: bucket.Degraded, Reasons: []string{"the disk is full"}, CompletedAt: at,
			Failing: []bucket.Failing{{Key: "a", Err: bucket.ErrBusy, Failures: 2, LoadedAt: at}},
		},
	}
	status.Stats.Persist.Trouble = dump.ErrBroken
	status.Stats.Persist.LastError = errors.New("disk full")
	status.Stats.Persist.Recovery = dump.Recovery{Outcome: dump.Salvaged, Damage: dump.ErrCorrupt}
	status.Stats.LastRefresh.Refused = fmt.Errorf("%w: too few", bucket.ErrRefused)
	status.Stats.LastRefresh.Failures = []*loader.Error{{Bucket: "prices", Key: "b", Err: context.DeadlineExceeded}}

	got := across(t, ts, status).(bucket.Status)
	assert.Equal(t, status.Config, got.Config)
	assert.Equal(t, "disk full", got.Stats.Persist.LastError.Error())
	assert.Equal(t, dump.ErrBroken.Error(), got.Stats.Persist.Trouble.Error())
	assert.Equal(t, dump.ErrCorrupt.Error(), got.Stats.Persist.Recovery.Damage.Error())
	assert.Equal(t, dump.Salvaged, got.Stats.Persist.Recovery.Outcome)
	require.ErrorIs(t, got.Stats.LastRefresh.Refused, bucket.ErrRefused)
	require.Len(t, got.Stats.LastRefresh.Failures, 1)
	failure := got.Stats.LastRefresh.Failures[0]
	require.ErrorIs(t, failure, context.DeadlineExceeded)
	assert.Equal(t, "b", failure.Key)
	require.Len(t, got.Health.Failing, 1)
	require.ErrorIs(t, got.Health.Failing[0].Err, bucket.ErrBusy)
	assert.True(t, at.Equal(got.Health.Failing[0].LoadedAt))
	assert.Equal(t, status.Health.Reasons, got.Health.Reasons)
	assert.Equal(t, bucket.Degraded, got.Health.State)
	assert.Equal(t, at, got.Stats.ReadyAt)
	assert.Equal(t, 7, got.Stats.Entries)
}

func TestErrors_are_found_on_the_other_side(t *testing.T) {
	ts := carrying(t, prices())
	names := map[string]bool{}
	for _, known := range sentinels {
		assert.False(t, names[known.name], "%s twice", known.name)
		names[known.name] = true
		sent := fmt.Errorf("bucket %q: %w: because", "prices", known.err)
		got := across(t, ts, bucket.Failed{Err: sent}).(bucket.Failed).Err
		require.ErrorIs(t, got, known.err)
		assert.Equal(t, sent.Error(), got.Error())
		for _, other := range sentinels {
			assert.Equal(t, errors.Is(sent, other.err), errors.Is(got, other.err), "%s is %s", known.name, other.name)
		}
	}
	vetoed := across(t, ts, bucket.Failed{Err: loader.Veto(errors.New("closed on Sundays"))}).(bucket.Failed).Err
	assert.True(t, loader.IsVeto(vetoed))
	assert.Equal(t, "vetoed: closed on Sundays", vetoed.Error())

	plainly := across(t, ts, bucket.Failed{Err: errors.New("something")}).(bucket.Failed).Err
	assert.False(t, loader.IsVeto(plainly))
	var load *loader.Error
	assert.NotErrorAs(t, plainly, &load)
	assert.NoError(t, across(t, ts, bucket.Failed{}).(bucket.Failed).Err)
}

func TestErrors_of_loads_keep_their_key_and_their_panic(t *testing.T) {
	ts := carrying(t, prices())
	sent := fmt.Errorf("shop: %w", &loader.Error{Bucket: "prices", Key: "a", Err: &loader.PanicError{Value: price{7}, Stack: []byte("here")}})
	got := across(t, ts, bucket.Failed{Err: sent}).(bucket.Failed).Err
	assert.Equal(t, sent.Error(), got.Error())
	var load *loader.Error
	require.ErrorAs(t, got, &load)
	assert.Equal(t, "a", load.Key)
	assert.Equal(t, "prices", load.Bucket)
	var panicked *loader.PanicError
	require.ErrorAs(t, got, &panicked)
	assert.Equal(t, "{7}", panicked.Value)
	assert.Equal(t, "here", string(panicked.Stack))

	odd := &loader.Error{Bucket: "odd", Key: 7.5, Err: loader.ErrNotFound} // nobody carries it
	got = across(t, ts, bucket.Failed{Err: odd}).(bucket.Failed).Err
	require.ErrorAs(t, got, &load)
	assert.Equal(t, "7.5", load.Key)
	require.ErrorIs(t, got, loader.ErrNotFound)
}

type rude struct{}

func (rude) Error() string { panic("none of your business") }

func TestErrors_that_panic_are_carried(t *testing.T) {
	got := across(t, carrying(t, prices()), bucket.Failed{Err: rude{}}).(bucket.Failed).Err
	assert.Equal(t, "(unprintable cluster.rude)", got.Error())
}

// A newer member may name an error that this one does not know.
func TestErrors_of_a_newer_member_are_text(t *testing.T) {
	got := carrying(t, prices()).decodeError(&wire.Error{Text: "too new", Is: []string{"invented-later", "busy"}})
	assert.Equal(t, "too new", got.Error())
	require.ErrorIs(t, got, bucket.ErrBusy)
}

func TestValues_that_cannot_cross_are_errors(t *testing.T) {
	ts := carrying(t, prices())
	_, err := ts.encodeMessage(bucket.Set{Key: "a", Value: 7})
	require.ErrorIs(t, err, ErrNotCarried)
	_, err = ts.encodeMessage(bucket.Set{Key: 7, Value: price{}})
	require.ErrorIs(t, err, ErrNotCarried)
	_, err = ts.encodeMessage(bucket.KeyList{Keys: []any{"a", 7}})
	require.ErrorIs(t, err, ErrNotCarried)
	_, err = ts.encodeMessage(bucket.Changes{Changes: []bucket.Change[any, any]{{Key: 7}}})
	require.ErrorIs(t, err, ErrNotCarried)
	_, err = ts.decode(&wire.Value{Type: nameOf(reflect.TypeFor[price]()), Codec: "cbor/1", Data: []byte{0xff}})
	require.ErrorIs(t, err, ErrNotCarried)
	_, err = ts.decodeMessage(&wire.Message{})
	require.ErrorIs(t, err, ErrUnknownMessage)
}

// Two buckets of one type may have different codecs.
func TestValues_say_by_which_codec_they_are_to_be_read(t *testing.T) {
	one, other := prices(), Carry(bucket.New("other", noLoad[string, price](), bucket.Codec(dump.JSON())))
	sender, receiver := carrying(t, other), carrying(t, one, other)
	encoded, err := sender.encode(price{7})
	require.NoError(t, err)
	assert.Equal(t, `{"Cents":7}`, string(encoded.GetData()))
	got, err := receiver.decode(encoded)
	require.NoError(t, err)
	assert.Equal(t, price{7}, got)
	_, err = carrying(t, one).decode(encoded)
	require.ErrorContains(t, err, "give the bucket the same options in all members")
}

func TestValues_of_an_interface_type_are_carried_as_that(t *testing.T) {
	ts := carrying(t, Carry(bucket.New("any", noLoad[string, any](), bucket.Codec(dump.Unchecked(dump.JSON())))))
	assert.Equal(t, bucket.Found{Value: 7.0}, across(t, ts, bucket.Found{Value: 7.0}))
	assert.Equal(t, bucket.Found{Value: "text"}, across(t, ts, bucket.Found{Value: "text"}))
}

func TestOpen_says_what_is_wrong(t *testing.T) {
	system := actor.NewSystem(nil)
	type closed struct{ secret int }
	bad := Carry(bucket.New("bad", noLoad[string, closed]()))
	odd := Carry(bucket.New("odd", noLoad[string, int](), bucket.BatchSize(-1)))
	for name, tt := range map[string]struct {
		option Option
		says   string
	}{
		"a type whose values would not arrive": {bad, `Carry("bad")`},
		"a bucket with bad options":            {odd, "BatchSize(-1)"},
		"too small":                            {MaxMessage(10), "MaxMessage(10)"},
		"no logger":                            {Logger(nil), "Logger(nil)"},
		"no option":                            {nil, "option 1 is nil"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Open(system, tt.option)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, tt.says)
		})
	}
	_, err := Open(nil)
	require.ErrorIs(t, err, ErrConfig)
	_ = closed{}.secret
}

// A type's name says from where it is: there may be others of that name.
func TestValues_are_told_apart_by_the_path_of_their_type(t *testing.T) {
	assert.Equal(t, "github.com/dataworker-go/dataworker/actor/cluster.price", nameOf(reflect.TypeFor[price]()))
	assert.Equal(t, "string", nameOf(reflect.TypeFor[string]()))
	assert.Equal(t, "[]uint8", nameOf(reflect.TypeFor[[]byte]()))
}
