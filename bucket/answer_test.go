package bucket_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// badSubscriber panics on every event that is not a Refreshed: on dead letters, too, which
// are published in the turn of whoever answers somebody who has gone.
func badSubscriber(event any) {
	if _, ok := event.(*protoactor.DeadLetterEvent); ok {
		panic("subscriber")
	}
}

func TestBucket_answers_the_others_when_the_answer_to_one_goes_astray(t *testing.T) {
	tests := []struct {
		name string
		ask  any
		wait func(t *testing.T, b *bucket.Bucket[string, int]) error
	}{
		{"of a load", bucket.Fetch{Key: "a"}, func(t *testing.T, b *bucket.Bucket[string, int]) error {
			_, err := b.Fetch(t.Context(), "a")
			return err
		}},
		{"of a refresh", bucket.Refresh{}, func(t *testing.T, b *bucket.Bucket[string, int]) error {
			_, err := b.Refresh(t.Context())
			return err
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1})
				b := bucket.New("widgets", src, quiet(), bucket.MaxWaiting(10))
				system, _ := start(t, b)
				system.EventStream.Subscribe(badSubscriber)
				require.NoError(t, b.DirectSet(t.Context(), "held", 1))
				for round := range 20 { // a place that is not given back would make the bucket busy
					require.NoError(t, b.Delete(t.Context(), "a"))
					open := src.gate("a")
					src.set("held", round)
					defer src.gate("held")()
					gone := system.Root.RequestFuture(b.PID(), tt.ask, time.Second)
					waiting := make(chan error, 3)
					for range 3 {
						synctest.Wait()
						go func() { waiting <- tt.wait(t, b) }()
					}
					time.Sleep(2 * time.Second)
					_, err := gone.Result()
					require.ErrorIs(t, err, protoactor.ErrTimeout)
					open()
					begun := time.Now()
					for range 3 {
						require.NoError(t, <-waiting)
					}
					// That of the refresh under way, and that of the one which they get.
					assert.LessOrEqual(t, time.Since(begun), 2*bucket.DefaultLoadTimeout)
				}
				assert.Zero(t, b.Stats().Restarts)
				assert.Zero(t, b.Stats().Busy)
			})
		})
	}
}

// resuming is a parent whose strategy is to resume a child that has crashed, as if nothing
// had happened.
func resuming(t *testing.T, child supervisor.Child) *protoactor.ActorSystem {
	t.Helper()
	system := newSystem()
	parent := system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
		if _, ok := ctx.Message().(*protoactor.Started); ok {
			ctx.Spawn(child.Props())
		}
	}, protoactor.WithSupervisor(protoactor.NewOneForOneStrategy(0, 0, func(any) protoactor.Directive {
		return protoactor.ResumeDirective
	}))))
	synctest.Wait()
	t.Cleanup(func() {
		_ = system.Root.StopFuture(parent).Wait()
	})
	return system
}

func TestBucket_goes_on_under_a_parent_that_resumes_it(t *testing.T) {
	for nth := range 14 {
		t.Run(fmt.Sprint("crash on message ", nth), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "b": 2})
				b := seeded(src, bucket.MaxConcurrentLoads(1), bucket.RefreshEvery(time.Minute), bucket.Jitter(0))
				seen := -1
				resuming(t, saboteur{b, func(any) bool {
					seen++
					return seen == nth
				}})
				begun := time.Now()
				first, second := fetch(t.Context(), b, "x"), fetch(t.Context(), b, "y")
				<-first
				<-second
				_, _ = b.Refresh(t.Context())
				assert.Zero(t, time.Since(begun), "nobody waits for a time-out")
				_, err := b.Refresh(t.Context())
				if errors.Is(err, bucket.ErrCrashed) { // this was the one
					_, err = b.Refresh(t.Context())
				}
				require.NoError(t, err)
				loads := src.loads.Load()
				time.Sleep(10*time.Minute + time.Second)
				assert.EqualValues(t, loads+20, src.loads.Load(), "the clock goes on")
				assert.Equal(t, 0, b.Stats().Running)
			})
		})
	}
}

func TestBucket_that_never_got_to_its_Started_again_is_over_when_it_stops(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}))
		crashed := false
		system := newSystem()
		sup := supervisor.New(system, noLog(), supervisor.MaxRestarts(2, time.Minute), supervisor.Backoff(0, 0))
		require.NoError(t, sup.Start(t.Context(), saboteur{b, func(msg any) bool {
			switch msg.(type) {
			case bucket.Crash:
				crashed = true
			case *protoactor.Restarting, *protoactor.Stopping, *protoactor.Stopped:
				return false
			}
			return crashed
		}}))
		system.Root.Send(b.PID(), bucket.Crash{Reason: "drill"})
		_, err := b.Fetch(t.Context(), "missing")
		require.ErrorIs(t, err, bucket.ErrStopped)
		assert.Nil(t, b.PID())
		assert.Equal(t, bucket.Stopped, b.Health().State)
		require.NoError(t, sup.Stop(t.Context()))
		crashed = false
		startIn(t, system, b)
	})
}

func TestGet_is_Missing_whatever_the_reason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		init := make(chan struct{})
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			<-init
			return nil, nil
		}), quiet(), bucket.MaxWaiting(0))
		system := newSystem()
		pid := system.Root.Spawn(b.Props())
		synctest.Wait()
		assert.Equal(t, bucket.Missing{}, request(t, system, pid, bucket.Get{Key: "a"}), "busy while it starts")
		close(init)
		synctest.Wait()
		process, _ := system.ProcessRegistry.Get(pid)
		require.NoError(t, stopByHand(system, b))
		late := protoactor.NewFuture(system, time.Hour)
		process.SendUserMessage(pid, &protoactor.MessageEnvelope{Message: bucket.Get{Key: "b"}, Sender: late.PID()})
		reply, err := late.Result()
		require.NoError(t, err)
		assert.Equal(t, bucket.Missing{}, reply, "stopped")
	})
}

func TestBucket_gives_the_place_of_a_caller_who_left_during_the_start_to_another(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		init := make(chan struct{})
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			<-init
			return nil, nil
		}), quiet(), bucket.MaxWaiting(3))
		system := newSystem()
		system.Root.Spawn(b.Props())
		synctest.Wait()
		for range 20 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, err := b.Fetch(ctx, "b")
			require.ErrorIs(t, err, context.DeadlineExceeded)
			cancel()
			synctest.Wait()
		}
		patient := fetch(t.Context(), b, "b")
		synctest.Wait()
		close(init)
		assert.Equal(t, got{2, nil}, <-patient)
		require.NoError(t, stopByHand(system, b))
	})
}

func TestBucket_lets_go_of_its_data_when_it_stops(t *testing.T) {
	type value [1 << 10]byte
	b := bucket.New("widgets", loader.Func(func(context.Context, int) (*value, error) { return new(value), nil }),
		quiet(), bucket.RefreshEvery(0))
	sup := supervisor.New(newSystem(), noLog())
	require.NoError(t, sup.Start(t.Context(), b))
	memory := func() weak.Pointer[value] {
		held, err := b.Fetch(t.Context(), 1)
		require.NoError(t, err)
		return weak.Make(held)
	}()
	runtime.GC()
	require.NotNil(t, memory.Value(), "the bucket holds it")
	require.NoError(t, sup.Stop(t.Context()))
	runtime.GC()
	assert.Nil(t, memory.Value())
	assert.EqualValues(t, 1, b.Stats().Loads, "its statistics stay")
	runtime.KeepAlive(b)
}

func TestStats_count_loads_that_were_abandoned_until_they_return(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet(), bucket.LoadTimeout(time.Second))
		start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 1, b.Stats().Abandoned)
		assert.Zero(t, b.Stats().Running)
		assert.Equal(t, bucket.Degraded, b.Health().State)
		open()
		synctest.Wait()
		assert.Zero(t, b.Stats().Abandoned)
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestHealth_suspects_a_source_that_fails_load_after_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"up": 1})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return nil, errDown },
		}, quiet(), bucket.RefreshEvery(time.Minute))
		start(t, b)
		time.Sleep(time.Hour)
		assert.Equal(t, bucket.Degraded, b.Health().State, "an empty refresh does not make up for an Init that failed")
		_, err := b.Fetch(t.Context(), "up")
		require.NoError(t, err)
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, bucket.Ready, b.Health().State)

		src.fail("down", errDown)
		for range 3 {
			_, err = b.Fetch(t.Context(), "down")
			require.ErrorIs(t, err, errDown)
		}
		health := b.Health()
		assert.Equal(t, bucket.Degraded, health.State)
		assert.Contains(t, health.Reasons[0], errDown.Error())
		_, err = b.RefreshKey(t.Context(), "up")
		require.NoError(t, err)
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestStatus_can_be_shown_as_JSON(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}))
		system, _ := start(t, b)
		text, err := json.Marshal(request(t, system, b.PID(), bucket.Inspect{}))
		require.NoError(t, err)
		assert.Contains(t, string(text), `"State":"ready"`)
	})
}

func TestRefreshEvery_for_ever_is_never(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, forever := range []time.Duration{math.MaxInt64, math.MaxInt64 / 2} {
			src := newSource(map[string]int{"a": 1})
			b := seeded(src, bucket.RefreshEvery(forever), bucket.Jitter(1))
			_, sup := start(t, b)
			time.Sleep(time.Hour)
			assert.Zero(t, src.loads.Load())
			assert.Equal(t, bucket.Ready, b.Health().State)
			require.NoError(t, sup.Stop(t.Context()))
		}
	})
}

func TestAnswers_to_askers_who_have_gone_are_not_logged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		for _, answer := range []any{
			bucket.Found{}, bucket.Missing{}, bucket.Failed{}, bucket.Done{}, bucket.Refreshed{}, bucket.KeyList{}, bucket.Status{},
		} {
			assert.Implements(t, (*protoactor.IgnoreDeadLetterLogging)(nil), answer)
		}
	})
}
