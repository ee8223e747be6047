package bucket_test

import (
	"context"
	"math"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func TestMessages_are_answered_as_the_methods_are(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		src.fail("down", errDown)
		b := bucket.New("widgets", src, quiet())
		system, _ := start(t, b)
		ask := func(msg any) any { return request(t, system, b.PID(), msg) }

		assert.Equal(t, bucket.Found{Value: 1, Loaded: true}, ask(bucket.Fetch{Key: "a", NoSave: true}))
		assert.Equal(t, bucket.Found{Value: 1, Loaded: true}, ask(bucket.Fetch{Key: "a"}))
		assert.Equal(t, bucket.Found{Value: 1}, ask(bucket.Fetch{Key: "a"}))
		assert.Equal(t, bucket.Found{Value: 2, Loaded: true}, ask(bucket.Get{Key: "b"}))
		assert.Equal(t, bucket.Missing{}, ask(bucket.Get{Key: "none"}))
		assert.Equal(t, bucket.Missing{}, ask(bucket.Get{Key: "down"}))
		require.ErrorIs(t, failure(t, ask(bucket.Fetch{Key: "none"})), loader.ErrNotFound)
		require.ErrorIs(t, failure(t, ask(bucket.Fetch{Key: "down"})), errDown)

		assert.Equal(t, bucket.Done{}, ask(bucket.Set{Key: "c", Value: 3}))
		assert.Equal(t, bucket.Found{Value: 3}, ask(bucket.Fetch{Key: "c"}))
		assert.ElementsMatch(t, []any{"a", "b", "c"}, ask(bucket.Keys{}).(bucket.KeyList).Keys)
		assert.Equal(t, bucket.Done{}, ask(bucket.Delete{Key: "c"}))
		assert.Equal(t, bucket.Done{}, ask(bucket.Delete{Key: "c"}))
		assert.Equal(t, bucket.Missing{}, ask(bucket.Get{Key: "c"}))
		assert.Equal(t, 2, ask(bucket.Refresh{}).(bucket.Refreshed).Report.Loaded)

		status := ask(bucket.Inspect{}).(bucket.Status)
		assert.Equal(t, "widgets", status.Name)
		assert.Equal(t, bucket.Ready, status.Health.State)
		assert.Equal(t, b.Stats(), status.Stats)
		assert.Equal(t, 500, status.Config.BatchSize)
	})
}

func TestMessages_with_the_wrong_types_are_told_both(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		system, _ := start(t, b)
		tests := []struct {
			msg  any
			want error
			text []string
		}{
			{bucket.Fetch{Key: 1}, bucket.ErrKeyType, []string{"int", "string", "widgets"}},
			{bucket.Fetch{}, bucket.ErrKeyType, []string{"<nil>", "string"}},
			{bucket.Get{Key: []byte("a")}, bucket.ErrKeyType, []string{"[]uint8", "string"}},
			{bucket.Set{Key: 1, Value: 1}, bucket.ErrKeyType, []string{"int", "string"}},
			{bucket.Set{Key: "a", Value: "x"}, bucket.ErrValueType, []string{"string", "int"}},
			{bucket.Set{Key: "a"}, bucket.ErrValueType, []string{"<nil>", "int"}},
			{bucket.Delete{Key: 1.5}, bucket.ErrKeyType, []string{"float64", "string"}},
			{&bucket.Fetch{Key: "a"}, nil, []string{"*bucket.Fetch", "by value"}},
			{"hello", nil, []string{"string", "not understood"}},
		}
		for _, tt := range tests {
			err := failure(t, request(t, system, b.PID(), tt.msg))
			if tt.want != nil {
				require.ErrorIs(t, err, tt.want)
			}
			for _, text := range tt.text {
				assert.ErrorContains(t, err, text)
			}
		}
		assert.Zero(t, b.Stats().Restarts)
		assert.IsType(t, &protoactor.Touched{}, request(t, system, b.PID(), &protoactor.Touch{}))
	})
}

func TestMessages_without_a_sender_do_no_harm(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(map[string]int{"a": 1, "c": 4}), quiet())
		system, _ := start(t, b)
		for _, msg := range []any{
			bucket.Fetch{Key: "a"},
			bucket.Fetch{Key: 1},
			bucket.Get{Key: "b"},
			bucket.Set{Key: "c", Value: 3},
			bucket.Delete{Key: "d"},
			bucket.Refresh{},
			bucket.Keys{},
			bucket.Inspect{},
			"hello",
		} {
			system.Root.Send(b.PID(), msg)
		}
		system.Root.Send(b.PID(), nil)
		synctest.Wait() // the actor comes to rest
		assert.ElementsMatch(t, []string{"a", "c"}, b.Keys())
		assert.Zero(t, b.Stats().Restarts)
	})
}

func TestMessages_are_answered_while_the_bucket_starts_stops_and_after(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		init := make(chan struct{})
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			<-init
			return nil, nil
		}), quiet())
		system := newSystem()
		pid := system.Root.Spawn(b.Props())
		held := system.Root.RequestFuture(pid, bucket.Fetch{Key: "b"}, time.Hour)
		status := request(t, system, pid, bucket.Inspect{}).(bucket.Status)
		assert.Equal(t, bucket.Starting, status.Health.State, "Inspect does not wait")
		close(init)
		reply, err := held.Result()
		require.NoError(t, err)
		assert.Equal(t, bucket.Found{Value: 2, Loaded: true}, reply)

		process, _ := system.ProcessRegistry.Get(pid) // as a sender has it who looked just before the stop
		require.NoError(t, stopByHand(system, b))
		late := protoactor.NewFuture(system, time.Hour)
		process.SendUserMessage(pid, &protoactor.MessageEnvelope{Message: bucket.Fetch{Key: "b"}, Sender: late.PID()})
		reply, err = late.Result()
		require.NoError(t, err)
		require.ErrorIs(t, failure(t, reply), bucket.ErrStopped)
	})
}

func TestMessages_that_wait_past_MaxWaiting_for_the_start_are_told_busy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		init := make(chan struct{})
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			<-init
			return nil, nil
		}), quiet(), bucket.MaxWaiting(3))
		system := newSystem()
		pid := system.Root.Spawn(b.Props())
		synctest.Wait()
		for range 3 {
			system.Root.Send(pid, bucket.Fetch{Key: "b"})
		}
		require.ErrorIs(t, failure(t, request(t, system, pid, bucket.Fetch{Key: "b"})), bucket.ErrBusy)
		_, err := b.Fetch(t.Context(), "b")
		require.ErrorIs(t, err, bucket.ErrBusy)
		close(init)
		synctest.Wait()
		_, err = b.Fetch(t.Context(), "b")
		require.NoError(t, err)
		require.NoError(t, stopByHand(system, b))
	})
}

func TestKeys_that_cannot_be_map_keys_are_refused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		load := loader.Func(func(_ context.Context, key any) (any, error) { return key, nil })
		b := bucket.New("anything", load, quiet())
		system, _ := start(t, b)
		type nested struct{ inner any }
		for _, bad := range []any{[]int{1}, map[string]int{}, func() {}, nested{[]int{1}}, [1]any{[]int{}}, math.NaN(), nested{math.NaN()}} {
			_, err := b.Fetch(t.Context(), bad)
			require.ErrorIs(t, err, bucket.ErrKeyType)
			assert.ErrorContains(t, err, "anything")
			_, _, err = b.FetchNoSave(t.Context(), bad)
			require.ErrorIs(t, err, bucket.ErrKeyType)
			_, err = b.FetchMany(t.Context(), []any{bad, "good"})
			require.ErrorIs(t, err, bucket.ErrKeyType)
			_, err = b.RefreshKey(t.Context(), bad)
			require.ErrorIs(t, err, bucket.ErrKeyType)
			require.ErrorIs(t, b.DirectSet(t.Context(), bad, 1), bucket.ErrKeyType)
			require.ErrorIs(t, b.Delete(t.Context(), bad), bucket.ErrKeyType)
			_, ok := b.DirectGet(bad)
			assert.False(t, ok)
			_, ok = b.Entry(bad)
			assert.False(t, ok)
			_, ok = b.Get(t.Context(), bad)
			assert.False(t, ok)
			require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.Fetch{Key: bad})), bucket.ErrKeyType)
			require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.Set{Key: bad, Value: 1})), bucket.ErrKeyType)
		}
		for _, good := range []any{nil, 1, "a", nested{"x"}, 2.5, [2]any{1, "b"}, (*int)(nil)} {
			value, err := b.Fetch(t.Context(), good)
			require.NoError(t, err)
			assert.Equal(t, good, value)
			assert.Equal(t, bucket.Found{Value: good}, request(t, system, b.PID(), bucket.Fetch{Key: good}))
		}
		require.NoError(t, b.DirectSet(t.Context(), "nil", nil))
		assert.Equal(t, bucket.Done{}, request(t, system, b.PID(), bucket.Set{Key: "nil", Value: nil}), "nil is a good any")
		assert.Zero(t, b.Stats().Restarts)
	})
}

func TestKeys_that_are_not_equal_to_themselves_are_never_saved(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, log := captured()
		b := bucket.New("floats", loader.Funcs[float64, int]{
			LoadRelatedFunc: func(_ context.Context, key float64) (int, map[float64]int, error) {
				return 1, map[float64]int{key: 1, math.NaN(): 2}, nil
			},
			InitFunc: func(context.Context) (map[float64]int, error) {
				return map[float64]int{math.NaN(): 1, 1: 1}, nil
			},
		}, logger)
		start(t, b)
		assert.Equal(t, []float64{1}, b.Keys())
		_, err := b.Fetch(t.Context(), 2)
		require.NoError(t, err)
		assert.ElementsMatch(t, []float64{1, 2}, b.Keys())
		_, err = b.Fetch(t.Context(), math.NaN())
		require.ErrorIs(t, err, bucket.ErrKeyType)
		warned := 0
		for _, entry := range log.AllEntries() {
			if entry.Message == "entry not saved" {
				warned++
			}
		}
		assert.Equal(t, 2, warned)
	})
}

func TestEntry_tells_where_a_value_came_from_and_when(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"seed": 1})
		b := seeded(src)
		start(t, b)
		src.set("load", 2)
		ready := time.Now()
		time.Sleep(time.Minute)
		_, err := b.Fetch(t.Context(), "load")
		require.NoError(t, err)
		require.NoError(t, b.DirectSet(t.Context(), "set", 3))

		entry, ok := b.Entry("seed")
		require.True(t, ok)
		assert.Equal(t, bucket.Entry[int]{Value: 1, LoadedAt: ready, Source: bucket.SourceInit, Version: 1}, entry)
		entry, _ = b.Entry("load")
		assert.Equal(t, bucket.Entry[int]{Value: 2, LoadedAt: time.Now(), Source: bucket.SourceLoad, Version: 2}, entry)
		entry, _ = b.Entry("set")
		assert.Equal(t, bucket.Entry[int]{Value: 3, LoadedAt: time.Now(), Source: bucket.SourceSet, Version: 3}, entry)
		_, ok = b.Entry("none")
		assert.False(t, ok)
		assert.Equal(t, "init load refresh set dump Source(99)", bucket.SourceInit.String()+" "+bucket.SourceLoad.String()+" "+
			bucket.SourceRefresh.String()+" "+bucket.SourceSet.String()+" "+bucket.SourceDump.String()+" "+bucket.Source(99).String())
	})
}

func TestAll_may_be_left_early(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(seedOf(10)))
		start(t, b)
		seen := 0
		for range b.All() {
			if seen++; seen == 3 {
				break
			}
		}
		assert.Equal(t, 3, seen)
		assert.Equal(t, 10, b.Len())
	})
}

func TestFetch_of_a_held_key_allocates_nothing(t *testing.T) {
	type place struct {
		Country string
		Zip     int
	}
	hitsAllocateNothing(t, "key7")
	hitsAllocateNothing(t, 7)
	hitsAllocateNothing(t, [2]uint64{7, 8})
	hitsAllocateNothing(t, 1.5)
	hitsAllocateNothing(t, place{"nl", 7})
	hitsAllocateNothing(t, &place{"nl", 7})
}

func hitsAllocateNothing[K comparable](t *testing.T, key K) {
	t.Helper()
	b := bucket.New("widgets", loader.Funcs[K, int]{
		LoadFunc: func(context.Context, K) (int, error) { return 0, errDown },
		InitFunc: func(context.Context) (map[K]int, error) { return map[K]int{key: 1}, nil },
	}, quiet(), bucket.RefreshEvery(0))
	start(t, b)
	ctx := t.Context()
	allocs := testing.AllocsPerRun(1000, func() {
		if _, err := b.Fetch(ctx, key); err != nil {
			t.Fatal(err)
		}
		if _, ok := b.Get(ctx, key); !ok {
			t.Fatal("not there")
		}
		if _, ok := b.DirectGet(key); !ok {
			t.Fatal("not there")
		}
	})
	assert.Zerof(t, allocs, "%T", key)
}
