package bucket_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// What is left of a turn that was cut short must be taken up; nothing may be counted twice.

func TestBucket_answers_the_others_when_a_subscriber_calls_Goexit(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1), bucket.MaxWaiting(4))
		system, _ := start(t, b)
		gone := system.Root.Spawn(protoactor.PropsFromFunc(func(protoactor.Context) {}))
		for range 3 {
			system.Root.RequestWithCustomSender(b.PID(), bucket.Fetch{Key: "a"}, gone)
		}
		synctest.Wait()
		waiting := fetch(t.Context(), b, "a")
		synctest.Wait()
		require.NoError(t, system.Root.StopFuture(gone).Wait())
		exit := system.EventStream.Subscribe(func(event any) {
			switch event.(type) {
			case *protoactor.DeadLetterEvent, bucket.Refreshed:
				runtime.Goexit()
			}
		})

		begun := time.Now()
		open()
		<-waiting
		_, err := b.Refresh(t.Context())
		if err != nil {
			assert.ErrorIs(t, err, bucket.ErrCrashed)
		}
		assert.Zero(t, time.Since(begun))
		system.EventStream.Unsubscribe(exit)

		open = src.gate("b") // now four may wait again, beside the one who is served
		answers := []<-chan got{fetch(t.Context(), b, "b")}
		for range 4 {
			synctest.Wait()
			answers = append(answers, fetch(t.Context(), b, "c"))
		}
		synctest.Wait()
		open()
		for _, answer := range answers {
			assert.NoError(t, (<-answer).err)
		}
	})
}

func TestBucket_does_not_crash_for_ever_on_its_own_recovery(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}))
		var crashes atomic.Int64
		system := resuming(t, saboteur{b, func(msg any) bool {
			switch fmt.Sprintf("%T", msg) {
			case "bucket.Crash", "bucket.crashed":
				crashes.Add(1)
				return crashes.Load() < 100
			}
			return false
		}})
		require.Error(t, failure(t, request(t, system, b.PID(), bucket.Crash{Reason: "drill"})))
		synctest.Wait()
		assert.LessOrEqual(t, crashes.Load(), int64(2))
	})
}

func TestInit_runs_once_although_the_actor_crashes_behind_the_step_before_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var inits atomic.Int64
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			inits.Add(1)
			time.Sleep(time.Second)
			return nil, nil
		}), quiet(), bucket.OptionsFunc(func() ([]bucket.Option, error) { return nil, nil }))
		var crashed atomic.Bool
		system := newSystem()
		system.Root.Spawn(b.Props().Configure(protoactor.WithReceiverMiddleware(func(next protoactor.ReceiverFunc) protoactor.ReceiverFunc {
			return func(ctx protoactor.ReceiverContext, envelope *protoactor.MessageEnvelope) {
				next(ctx, envelope)
				if fmt.Sprintf("%T", envelope.Message) == "*bucket.resolved" && !crashed.Swap(true) {
					panic("behind")
				}
			}
		})))
		value, err := b.Fetch(t.Context(), "b")
		require.NoError(t, err)
		assert.Equal(t, 2, value)
		assert.True(t, crashed.Load())
		assert.EqualValues(t, 1, inits.Load())
		require.NoError(t, stopByHand(system, b))
	})
}

func TestStats_count_an_abandoned_load_through_the_stop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		end := make(chan struct{})
		b := bucket.New("widgets", loader.Func(func(ctx context.Context, key string) (int, error) {
			if key == "hung" {
				<-end
			}
			<-ctx.Done()
			return 0, ctx.Err()
		}), quiet(), bucket.LoadTimeout(time.Minute))
		system := newSystem()
		system.Root.Spawn(b.Props())
		_, err := b.Fetch(t.Context(), "hung")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		fetch(t.Context(), b, "polite")
		synctest.Wait()
		require.NoError(t, stopByHand(system, b))
		synctest.Wait()
		assert.Equal(t, 1, b.Stats().Abandoned, "the polite one has returned")
		close(end)
		synctest.Wait()
		assert.Zero(t, b.Stats().Abandoned)
	})
}

func TestHealth_forgets_failures_of_long_ago(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(nil)
		src.fail("down", errDown)
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		for range 3 {
			_, err := b.Fetch(t.Context(), "down")
			require.ErrorIs(t, err, errDown)
		}
		assert.Equal(t, bucket.Degraded, b.Health().State)
		time.Sleep(15 * time.Minute)
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestRefresh_does_not_bring_back_a_key_that_was_deleted_while_it_waited(t *testing.T) {
	tests := []struct {
		name string
		hold string // the key whose load is under way
	}{
		{"for a slot", "other"},
		{"for a load of it that had gone stale", "a"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "other": 2})
				open := src.gate(tt.hold)
				b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1))
				start(t, b)
				fetch(t.Context(), b, tt.hold)
				synctest.Wait()
				require.NoError(t, b.DirectSet(t.Context(), "a", 5))
				done := make(chan bucket.Report, 1)
				go func() {
					report, _ := b.Refresh(context.Background())
					done <- report
				}()
				synctest.Wait()
				require.NoError(t, b.Delete(t.Context(), "a"))
				open()
				assert.Zero(t, (<-done).Added)
				synctest.Wait()
				_, ok := b.DirectGet("a")
				assert.False(t, ok)
			})
		})
	}
}

func TestLoadRelated_does_not_overwrite_what_a_younger_load_confirmed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		older := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				switch key {
				case "older":
					<-older
					return 1, map[string]int{"same": 1, "gone": 1}, nil
				case "gone":
					return 0, nil, loader.ErrNotFound
				}
				return 2, map[string]int{key: 2}, nil
			},
		}, quiet())
		start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "same", 2))
		answer := fetch(t.Context(), b, "older")
		synctest.Wait()
		_, err := b.RefreshKey(t.Context(), "same")
		require.NoError(t, err)
		_, err = b.Fetch(t.Context(), "gone")
		require.ErrorIs(t, err, loader.ErrNotFound)
		close(older)
		require.NoError(t, (<-answer).err)
		value, _ := b.DirectGet("same")
		assert.Equal(t, 2, value)
		_, ok := b.DirectGet("gone")
		assert.False(t, ok)
	})
}
