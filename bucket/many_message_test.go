package bucket_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func TestFetchMany_message_is_answered_key_by_key(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		src.fail("down", errDown)
		b := bucket.New("widgets", src, quiet())
		system, _ := start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "held", 3))

		got := request(t, system, b.PID(), bucket.FetchMany{Keys: []string{"a", "held", "down", "b", "none", "a"}}).(bucket.FoundMany)
		assert.Equal(t, []int{1, 3, 0, 2, 0, 1}, got.Values)
		require.Len(t, got.Errs, 6)
		for i, want := range []error{nil, nil, errDown, nil, loader.ErrNotFound, nil} {
			require.ErrorIs(t, got.Errs[i], want, "%d", i)
		}
		assert.EqualValues(t, 4, src.loads.Load(), "a was asked for twice and loaded once")

		again := request(t, system, b.PID(), bucket.FetchMany{Keys: []string{"b", "a"}}).(bucket.FoundMany)
		assert.Equal(t, bucket.FoundMany{Values: []int{2, 1}}, again)
		assert.Equal(t, bucket.FoundMany{Values: []int{}}, request(t, system, b.PID(), bucket.FetchMany{Keys: []string{}}))
		for _, wrong := range []any{nil, []any{"a"}, []int{1}, "a"} {
			require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.FetchMany{Keys: wrong})), bucket.ErrKeyType)
		}
	})
}

func TestFetchMany_message_loads_in_one_go(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var asked [][]string
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 0, errDown },
			LoadBatchFunc: func(_ context.Context, keys []string) (map[string]int, error) {
				asked = append(asked, keys)
				return map[string]int{"a": 1, "b": 2}, nil
			},
		}, quiet())
		system, _ := start(t, b)
		got := request(t, system, b.PID(), bucket.FetchMany{Keys: []string{"a", "b", "c"}}).(bucket.FoundMany)
		assert.Equal(t, []int{1, 2, 0}, got.Values)
		require.ErrorIs(t, got.Errs[2], loader.ErrNotFound)
		require.Len(t, asked, 1)
		assert.ElementsMatch(t, []string{"a", "b", "c"}, asked[0])
	})
}

func TestFetchMany_message_waits_for_the_start_and_outlives_a_crash(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		open := src.gate("b")
		opened := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) {
				<-opened
				return map[string]int{"seed": 7}, nil
			},
		}, quiet())
		system := newSystem()
		go startIn(t, system, b)
		synctest.Wait()
		answers := make(chan any, 1)
		go func() {
			got, err := actor.Ask[any](context.Background(), system, b.PID(), bucket.FetchMany{Keys: []string{"seed", "a", "b"}})
			assert.NoError(t, err)
			answers <- got
		}()
		time.Sleep(time.Second)
		close(opened)
		synctest.Wait()
		require.Empty(t, answers, "b is not there yet")
		require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.Crash{Reason: "drill"})), bucket.ErrCrashed)
		synctest.Wait()
		require.Empty(t, answers)
		open()
		assert.Equal(t, bucket.FoundMany{Values: []int{7, 1, 2}}, <-answers)
	})
}

func TestFetchMany_message_is_answered_by_a_bucket_that_stops(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		defer open()
		b := bucket.New("widgets", src, quiet())
		system, _ := start(t, b)
		pid := b.PID()
		answers := make(chan any, 1)
		go func() {
			got, _ := actor.Ask[any](context.Background(), system, pid, bucket.FetchMany{Keys: []string{"a"}})
			answers <- got
		}()
		synctest.Wait()
		require.NoError(t, stopByHand(system, b))
		got := (<-answers).(bucket.FoundMany)
		require.ErrorIs(t, got.Errs[0], bucket.ErrStopped)
	})
}

// What was written by another message before is seen, also if it waits for the file.
func TestFetchMany_message_sees_what_was_sent_before_it(t *testing.T) {
	b := bucket.New("widgets", newSource(nil), quiet(), bucket.File(t.TempDir()+"/widgets.dump"))
	system, _ := start(t, b)
	for i := range 100 {
		system.Root.Send(b.PID(), bucket.Set{Key: "a", Value: i})
		got := request(t, system, b.PID(), bucket.FetchMany{Keys: []string{"a"}}).(bucket.FoundMany)
		require.Equal(t, []int{i}, got.Values)
	}
}

func TestLike_is_the_same_bucket_under_another_name(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet(), bucket.MaxWaiting(7))
		twice := b.Like("widgets twice", func(l loader.Loader[string, int]) loader.Loader[string, int] {
			f := loader.FuncsOf(l)
			load := f.LoadFunc
			f.LoadFunc = func(ctx context.Context, key string) (int, error) {
				value, err := load(ctx, key)
				return 2 * value, err
			}
			return f
		}, bucket.BatchSize(8))
		start(t, b, twice)
		for want, each := range map[int]*bucket.Bucket[string, int]{1: b, 2: twice} {
			got, err := each.Fetch(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		config, err := twice.Config()
		require.NoError(t, err)
		assert.Equal(t, 7, config.MaxWaiting)
		assert.Equal(t, 8, config.BatchSize)
		assert.Equal(t, "widgets twice", twice.Name())
		config, err = b.Config()
		require.NoError(t, err)
		assert.Equal(t, bucket.DefaultBatchSize, config.BatchSize)

		_, err = bucket.New[string, int]("widgets", nil).Like("other", nil).Config()
		require.ErrorIs(t, err, bucket.ErrConfig)
		_, err = bucket.New[string, int]("widgets", nil).Like("other", func(loader.Loader[string, int]) loader.Loader[string, int] {
			panic("there is nothing to wrap")
		}).Config()
		require.ErrorIs(t, err, bucket.ErrConfig)
	})
}

func TestSeq_is_that_of_the_last_change(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
		assert.Zero(t, b.Seq())
		start(t, b)
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		from, changes := b.WatchFrom(ctx)
		assert.Zero(t, from)
		require.NoError(t, b.DirectSet(ctx, "a", 1))
		require.NoError(t, b.DirectSet(ctx, "b", 2))
		last := b.Seq()
		assert.EqualValues(t, 2, last)
		for change := range changes {
			if change.Seq == last {
				assert.Equal(t, "b", change.Key)
				break
			}
		}
		from, _ = b.WatchFrom(ctx)
		assert.Equal(t, last, from)
	})
}
