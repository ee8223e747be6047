package supervisor_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

func slowLoader(slow gate) loader.Loader[string, int] {
	return loader.Func(func(_ context.Context, key string) (int, error) {
		slow.wait()
		return len(key), nil
	})
}

func TestRestart_waits_twice_as_long_each_time_up_to_the_cap(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system,
			supervisor.MaxRestarts(100, time.Hour), supervisor.Backoff(100*time.Millisecond, time.Second))
		require.NoError(t, sup.Start(t.Context(), b))

		for i, nominal := range []time.Duration{100, 200, 400, 800, 1000, 1000, 1000} {
			nominal *= time.Millisecond
			restarted := make(chan time.Time, 1)
			sub := system.EventStream.Subscribe(func(event any) {
				if _, ok := event.(supervisor.Restarted); ok {
					restarted <- time.Now()
				}
			})
			crashed := time.Now()
			crash(t, system, b.PID(), "oops")
			assert.Equal(t, supervisor.Waiting, status(t, sup, "b").State)
			pause := (<-restarted).Sub(crashed)
			system.EventStream.Unsubscribe(sub)
			assert.GreaterOrEqual(t, pause, nominal*8/10, "pause %d", i+1)
			assert.LessOrEqual(t, pause, min(nominal*12/10, time.Second), "pause %d", i+1)
			assert.Equal(t, i+1, status(t, sup, "b").Restarts)
		}
		synctest.Wait()
		assert.EqualValues(t, 7, b.Stats().Restarts)
	})
}

func TestRestart_comes_at_once_without_a_backoff(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(50, time.Minute), supervisor.Backoff(0, 0))
		require.NoError(t, sup.Start(t.Context(), b))
		begun := time.Now()
		for range 50 {
			crash(t, system, b.PID(), "oops")
		}
		_, err := b.Fetch(t.Context(), "x")
		require.NoError(t, err)
		assert.Zero(t, time.Since(begun))
		assert.Equal(t, 50, status(t, sup, "b").Restarts)
	})
}

func TestRestart_begins_with_the_first_pause_again_when_the_window_has_passed(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(2, time.Minute), supervisor.Backoff(time.Second, 10*time.Second))
		require.NoError(t, sup.Start(t.Context(), b))
		for range 5 {
			crash(t, system, b.PID(), "oops")
			require.Equal(t, []string{"b waiting"}, states(sup))
			time.Sleep(1200 * time.Millisecond)
			synctest.Wait()
			require.Equal(t, []string{"b running"}, states(sup), "a second is the first pause")
			time.Sleep(time.Minute)
		}
	})
}

func TestMaxRestarts_counts_the_failures_inside_the_window(t *testing.T) {
	const window = 10 * time.Second
	for _, tt := range []struct {
		name    string
		allowed int
		crashes []time.Duration // since the start
		want    string
	}{
		{"none allowed", 0, []time.Duration{0}, "given up"},
		{"as many as allowed", 2, []time.Duration{0, 1 * time.Second}, "running"},
		{"one more", 2, []time.Duration{0, 1 * time.Second, 2 * time.Second}, "given up"},
		{"one more, just inside", 2, []time.Duration{0, 1 * time.Second, window - 1}, "given up"},
		{"the first is forgotten", 2, []time.Duration{0, 1 * time.Second, window}, "running"},
		{"one at a time", 1, []time.Duration{0, window, 2 * window, 3 * window}, "running"},
		{"the window slides", 2, []time.Duration{0, 9 * time.Second, 11 * time.Second, 12 * time.Second}, "given up"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBucket("b")
				system := newSystem()
				sup := newSupervisor(t, system, supervisor.MaxRestarts(tt.allowed, window), supervisor.Backoff(0, 0))
				require.NoError(t, sup.Start(t.Context(), b))
				begun := time.Now()
				for i, at := range tt.crashes {
					time.Sleep(at - time.Since(begun))
					require.Equal(t, []string{"b running"}, states(sup), "before crash %d", i+1)
					crash(t, system, b.PID(), "oops")
				}
				assert.Equal(t, []string{"b " + tt.want}, states(sup))
			})
		})
	}
}

func TestRestart_is_of_one_child_alone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		a, b, c := newBucket("a"), newBucket("b"), stranger{name: "c", diary: &d}
		system := newSystem()
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), a, b, c))
		crash(t, system, b.PID(), "oops")
		time.Sleep(time.Second)
		assert.Zero(t, a.Stats().Restarts)
		assert.EqualValues(t, 1, b.Stats().Restarts)
		assert.Equal(t, []string{"c started"}, d.read())
		requireUnharmed(t, sup, a, a.PID())
	})
}

func TestRestart_keeps_the_table_and_hits_never_notice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.Backoff(time.Minute, time.Minute))
		require.NoError(t, sup.Start(t.Context(), b))
		require.NoError(t, b.DirectSet(t.Context(), "set", 42))
		before, _ := b.Entry("set")
		crash(t, system, b.PID(), "oops")
		require.Equal(t, []string{"b waiting"}, states(sup))

		begun := time.Now()
		for key, want := range map[string]int{"seed": 4, "set": 42} {
			got, ok := b.DirectGet(key)
			assert.True(t, ok)
			assert.Equal(t, want, got)
			got, err := b.Fetch(t.Context(), key)
			require.NoError(t, err)
			assert.Equal(t, want, got)
		}
		assert.Zero(t, time.Since(begun), "hits do not wait for the restart")

		miss := background(func() error { _, err := b.Fetch(t.Context(), "miss"); return err })
		requirePending(t, miss, "a miss")
		require.NoError(t, <-miss, "the next incarnation answers it")
		assert.Greater(t, time.Since(begun), 40*time.Second)
		assert.ElementsMatch(t, []string{"seed", "set", "miss"}, b.Keys())
		after, _ := b.Entry("set")
		assert.Equal(t, before, after)
	})
}

func TestGiveUp_leaves_the_siblings_and_answers_every_caller(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		a, z := newBucket("a"), newBucket("z")
		b := bucketOf("b", slowLoader(slow))
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(1, time.Hour), supervisor.Backoff(time.Minute, time.Minute))
		require.NoError(t, sup.Start(t.Context(), a, b, z))

		// One caller waits for a load, one more asks while the actor waits for its first
		// restart, and the last one asks behind the message that ends it.
		fetch := func(key string) <-chan error {
			return background(func() error { _, err := b.Fetch(context.Background(), key); return err })
		}
		loading := fetch("loading")
		crash(t, system, b.PID(), "first")
		waiting := fetch("waiting")
		crash(t, system, b.PID(), errClosed)
		behind := fetch("behind")
		for _, caller := range []<-chan error{loading, waiting, behind} {
			requirePending(t, caller, "Fetch")
		}

		time.Sleep(2 * time.Minute)
		require.Equal(t, []string{"a running", "b given up", "z running"}, states(sup))
		for i, caller := range []<-chan error{loading, waiting, behind} {
			require.ErrorIs(t, <-caller, bucket.ErrStopped, "caller %d", i+1)
		}
		_, err := b.Fetch(t.Context(), "later")
		require.ErrorIs(t, err, bucket.ErrStopped)
		require.ErrorIs(t, err, errClosed, "and the error says of what it died")

		health := b.Health()
		assert.Equal(t, bucket.Stopped, health.State)
		require.Len(t, health.Reasons, 1)
		assert.Contains(t, health.Reasons[0], errClosed.Error())
		requireUnharmed(t, sup, a, a.PID())
		requireUnharmed(t, sup, z, z.PID())

		gone := status(t, sup, "b")
		assert.Nil(t, gone.PID)
		assert.Equal(t, 1, gone.Restarts)
		require.ErrorIs(t, gone.Failure, errClosed)
		slow.open()
	})
}

func TestGiveUp_stops_a_stranger_that_panics_on_its_way_out(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(0, time.Minute))
		a := stranger{name: "a", first: func(ctx protoactor.Context) {
			on[*protoactor.Stopping](func(protoactor.Context) { panic("and again") })(ctx)
			on[*protoactor.Stopped](func(protoactor.Context) { panic("and again") })(ctx)
		}}
		require.NoError(t, sup.Start(t.Context(), a))
		heard := listen(system)
		system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { panic("oops") }))
		synctest.Wait()
		assert.Nil(t, status(t, sup, "a").PID)
		assert.Equal(t, []string{"a given up"}, states(sup))
		assert.Equal(t, []string{"GaveUp a", "Stopped a"}, heard.titles())
	})
}

func TestStart_survives_a_crash_while_Init_is_at_work(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var inits atomic.Int32
		slow := newGate(t)
		b := bucketWithInit("b", func(context.Context) (map[string]int, error) {
			inits.Add(1)
			slow.wait()
			return map[string]int{"seed": 4}, nil
		})
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system, supervisor.Backoff(time.Second, time.Second))
		start := background(func() error { return sup.Start(t.Context(), b) })
		crash(t, system, b.PID(), "oops")
		assert.Equal(t, []string{"b waiting"}, states(sup))
		time.Sleep(2 * time.Second)
		assert.Equal(t, []string{"b starting"}, states(sup), "it is not ready only because it was restarted")
		requirePending(t, start, "Start")

		slow.open()
		require.NoError(t, <-start)
		assert.Equal(t, []string{"Restarted b", "Started b"}, heard.titles())
		assert.EqualValues(t, 1, inits.Load())
		requireUnharmed(t, sup, b, b.PID())
	})
}

func TestStart_gives_up_a_bucket_that_crashes_too_often_while_Init_is_at_work(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		b := bucketWithInit("b", func(context.Context) (map[string]int, error) {
			slow.wait()
			return nil, nil
		})
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system, supervisor.MaxRestarts(0, time.Minute))
		start := background(func() error { return sup.Start(t.Context(), b) })
		caller := background(func() error { _, err := b.Fetch(t.Context(), "x"); return err })
		crash(t, system, b.PID(), errClosed)
		err := <-start
		requireStartError(t, err, "b")
		require.ErrorIs(t, err, errClosed)
		require.ErrorIs(t, <-caller, bucket.ErrStopped)
		assert.Equal(t, []string{"GaveUp b", "Vetoed b"}, heard.titles())
		assert.Nil(t, b.PID())
		slow.open()
	})
}

func TestStart_gives_up_a_stranger_that_panics_in_Started(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		attempts := 0
		a := stranger{name: "a", diary: &d, first: on[*protoactor.Started](func(protoactor.Context) {
			attempts++
			panic(fmt.Errorf("attempt %d: %w", attempts, errClosed))
		})}
		system := newSystem()
		heard := listen(system)
		before := newBucket("before")
		sup := newSupervisor(t, system, supervisor.MaxRestarts(3, time.Hour), supervisor.Backoff(time.Second, time.Minute))
		begun := time.Now()
		err := sup.Start(t.Context(), before, a)
		requireStartError(t, err, "a")
		require.ErrorIs(t, err, supervisor.ErrGaveUp)
		require.ErrorIs(t, err, errClosed)
		assert.ErrorContains(t, err, "attempt 4")
		assert.Equal(t, 4, attempts)
		assert.InDelta(t, 7, time.Since(begun).Seconds(), 1.5, "1 + 2 + 4 seconds, and the jitter")
		assert.Equal(t, []string{
			"Started before", "Restarted a", "Restarted a", "Restarted a", "GaveUp a", "Vetoed a", "Stopped before",
		}, heard.titles())
		assert.Nil(t, before.PID())
	})
}

func TestStart_waits_for_a_stranger_that_gets_through_Started_in_the_end(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		attempts := 0
		a := stranger{name: "a", first: on[*protoactor.Started](func(protoactor.Context) {
			if attempts++; attempts < 3 {
				panic("not yet")
			}
		})}
		sup := newSupervisor(t, newSystem(), supervisor.Backoff(time.Second, time.Second))
		start := background(func() error { return sup.Start(t.Context(), a) })
		requirePending(t, start, "Start")
		assert.Equal(t, []string{"a waiting"}, states(sup))
		require.NoError(t, <-start)
		assert.Equal(t, 3, attempts)
		assert.Equal(t, []string{"a running"}, states(sup))
		assert.Equal(t, 2, status(t, sup, "a").Restarts)
	})
}

// The supervisor learns that a stranger has started from its answer to a Touch. One that
// does not survive the Touch must not be waited for without end.
func TestStart_gives_up_a_stranger_that_panics_on_what_it_does_not_know(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := stranger{name: "a", first: func(ctx protoactor.Context) {
			switch msg := ctx.Message().(type) {
			case *protoactor.Started, *protoactor.Stopping, *protoactor.Stopped, *protoactor.Restarting:
			default:
				panic(fmt.Sprintf("unknown message %T", msg))
			}
		}}
		sup := newSupervisor(t, newSystem(), supervisor.MaxRestarts(2, time.Hour))
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		err := sup.Start(ctx, a)
		require.ErrorIs(t, err, supervisor.ErrGaveUp)
		assert.ErrorContains(t, err, "unknown message")
	})
}

func TestRestart_counts_a_producer_that_panics_as_one_more_failure(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var produced atomic.Int32
		a := oddChild{func() string { return "a" }, func() *protoactor.Props {
			return protoactor.PropsFromProducer(func() protoactor.Actor {
				if n := produced.Add(1); n == 2 || n == 3 {
					panic("out of actors")
				}
				return protoactor.ReceiveFunc(stranger{name: "a"}.receive)
			})
		}}
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(5, time.Hour))
		require.NoError(t, sup.Start(t.Context(), a))
		system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { panic("oops") }))
		time.Sleep(time.Minute)
		assert.EqualValues(t, 4, produced.Load())
		assert.Equal(t, []string{"a running"}, states(sup))
		assert.Equal(t, 3, status(t, sup, "a").Restarts)
	})
}
