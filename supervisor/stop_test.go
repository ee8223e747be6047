package supervisor_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

func TestStop_stops_in_reverse_each_gone_before_the_next_is_told(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		slow := newGate(t)
		a := stranger{name: "a", diary: &d}
		b := newBucket("b")
		c := stranger{name: "c", diary: &d, first: on[*protoactor.Stopping](slow.waitIn)}
		e := newBucket("e")
		system := newSystem()
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), a, b, c, e))
		pid := sup.PID()
		heard := listen(system)

		stop := background(func() error { return sup.Stop(t.Context()) })
		requirePending(t, stop, "Stop")
		assert.Equal(t, []string{"a started", "c started", "c stopping"}, d.read())
		assert.Equal(t, []string{"a running", "b running", "c stopping"}, states(sup))
		assert.Equal(t, bucket.Ready, b.Health().State, "b is not told before c is gone")

		slow.open()
		require.NoError(t, <-stop)
		assert.Equal(t, []string{"c stopped", "a stopping", "a stopped"}, d.read())
		assert.Equal(t, []string{"Stopped e", "Stopped c", "Stopped b", "Stopped a"}, heard.titles())
		assert.False(t, alive(system, pid))
		assert.Nil(t, sup.PID())
		assert.Equal(t, bucket.Stopped, b.Health().State)
	})
}

func TestStop_may_be_repeated(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Stop(t.Context()), "before any start")
		require.NoError(t, sup.Start(t.Context(), newBucket("a")))
		require.NoError(t, sup.Stop(t.Context()))
		require.NoError(t, sup.Stop(t.Context()))
	})
}

func TestStop_by_many_at_once_returns_to_all_when_it_is_done(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		slow := newGate(t)
		a := stranger{name: "a", diary: &d, first: on[*protoactor.Stopping](slow.waitIn)}
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a))
		one := background(func() error { return sup.Stop(t.Context()) })
		two := background(func() error { return sup.Stop(t.Context()) })
		requirePending(t, one, "a Stop")
		requirePending(t, two, "the other Stop")
		slow.open()
		require.NoError(t, <-one)
		require.NoError(t, <-two)
		assert.Equal(t, []string{"a started", "a stopping", "a stopped"}, d.read())
	})
}

func TestStop_allows_another_Start(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b", bucket.RefreshEvery(0))
		sup := newSupervisor(t, newSystem())
		for range 3 {
			require.NoError(t, sup.Start(t.Context(), b))
			assert.Equal(t, []string{"seed"}, b.Keys(), "a bucket begins anew")
			_, err := b.Fetch(t.Context(), "more")
			require.NoError(t, err)
			require.NoError(t, sup.Stop(t.Context()))
			assert.Empty(t, b.Keys())
		}
	})
}

func TestStop_goes_on_without_a_caller_whose_ctx_ends(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		hang := newGate(t)
		a := newBucket("a")
		b := stranger{name: "b", diary: &d, first: on[*protoactor.Stopping](hang.waitIn)}
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a, b))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		err := sup.Stop(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begun))
		assert.ErrorContains(t, err, "still stopping")
		assert.ErrorContains(t, err, `"b"`)

		time.Sleep(time.Hour)
		assert.Equal(t, []string{"a running", "b stopping"}, states(sup))
		hang.open()
		synctest.Wait()
		assert.Equal(t, []string{"b started", "b stopping", "b stopped"}, d.read())
		assert.Nil(t, sup.PID())
		assert.Nil(t, a.PID())
		require.NoError(t, sup.Stop(t.Context()))
		require.NoError(t, sup.Start(t.Context(), a, b))
	})
}

// A program that is told to end has a ctx that has ended, and defers a Stop with it.
func TestStop_with_a_ctx_that_has_ended_stops_all_the_same(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		system := newSystem()
		for range 30 { // a select between two that are ready tosses a coin
			sup := newSupervisor(t, system)
			require.NoError(t, sup.Start(t.Context(), b))
			if err := sup.Stop(ended()); err != nil {
				require.ErrorIs(t, err, context.Canceled)
			}
			synctest.Wait()
			require.Nil(t, sup.PID())
			require.Nil(t, b.PID())
		}
	})
}

func TestStop_that_waits_for_a_Start_stops_what_it_started_even_after_its_ctx_has_ended(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		b := bucketWithInit("b", func(context.Context) (map[string]int, error) {
			slow.wait()
			return nil, nil
		})
		sup := newSupervisor(t, newSystem())
		start := background(func() error { return sup.Start(t.Context(), b) })
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, sup.Stop(ctx), context.DeadlineExceeded)
		assert.NotNil(t, b.PID(), "they take turns")

		slow.open()
		require.NoError(t, <-start)
		synctest.Wait()
		assert.Nil(t, b.PID())
		assert.Nil(t, sup.PID())
	})
}

func TestStop_answers_callers_who_wait_for_a_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		b := bucketOf("b", slowLoader(slow))
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), b))
		fetch := background(func() error { _, err := b.Fetch(context.Background(), "x"); return err })
		requirePending(t, fetch, "Fetch")

		require.NoError(t, sup.Stop(t.Context()))
		require.ErrorIs(t, <-fetch, bucket.ErrStopped)
	})
}

func TestStop_ends_a_child_that_waits_for_its_restart(t *testing.T) {
	for _, tt := range []struct {
		name string
		stop func(ctx context.Context, sup *supervisor.Supervisor) error
	}{
		{"Stop", func(ctx context.Context, sup *supervisor.Supervisor) error { return sup.Stop(ctx) }},
		{"Remove", func(ctx context.Context, sup *supervisor.Supervisor) error { return sup.Remove(ctx, "a") }},
	} {
		for _, kind := range []string{"bucket", "stranger"} {
			t.Run(tt.name+" "+kind, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					var d diary
					system := newSystem()
					sup := newSupervisor(t, system, supervisor.Backoff(time.Minute, time.Minute))
					a, refresher := newBucket("a"), stranger{name: "own", diary: &d}
					child := supervisor.Child(a)
					if kind == "stranger" {
						child = stranger{name: "a", first: parentOf(refresher)}
					}
					require.NoError(t, sup.Start(t.Context(), child))
					pid := status(t, sup, "a").PID
					system.Root.Send(pid, do(func(protoactor.Context) { panic("oops") }))
					system.Root.Send(pid, bucket.Crash{Reason: "oops"})
					synctest.Wait()
					require.Equal(t, []string{"a waiting"}, states(sup))
					heard := listen(system)

					begun := time.Now()
					require.NoError(t, tt.stop(t.Context(), sup))
					assert.Less(t, time.Since(begun), time.Second, "it does not wait for the restart")
					assert.False(t, alive(system, pid))
					time.Sleep(2 * time.Minute)
					assert.Equal(t, []string{"Stopped a"}, heard.titles(), "and the restart does not come")
					assert.False(t, alive(system, pid))
					assert.Nil(t, a.PID())
				})
			})
		}
	}
}

func TestStop_leaves_no_timer(t *testing.T) {
	ways := map[string]func(t *testing.T, system *protoactor.ActorSystem, sup *supervisor.Supervisor){
		"Stop": func(t *testing.T, _ *protoactor.ActorSystem, sup *supervisor.Supervisor) {
			require.NoError(t, sup.Stop(t.Context()))
		},
		"by the parent": func(t *testing.T, system *protoactor.ActorSystem, sup *supervisor.Supervisor) {
			require.NoError(t, actor.Stop(t.Context(), system, sup.PID()))
		},
		"by the child": func(t *testing.T, system *protoactor.ActorSystem, sup *supervisor.Supervisor) {
			require.NoError(t, actor.Stop(t.Context(), system, status(t, sup, "a").PID))
			synctest.Wait()
			require.NoError(t, sup.Stop(t.Context()))
		},
	}
	for name, stop := range ways {
		for _, ready := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, ready=%v", name, ready), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					system := newSystem()
					a := stranger{name: "a", first: on[*protoactor.Started](func(protoactor.Context) {
						if !ready {
							panic("oops")
						}
					})}
					sup := newSupervisor(t, system, supervisor.With(a), supervisor.Backoff(time.Hour, time.Hour))
					_, err := system.Root.SpawnNamed(sup.Props(), "sup")
					require.NoError(t, err)
					synctest.Wait()
					if ready {
						system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { panic("oops") }))
						synctest.Wait()
					}
					require.Equal(t, []string{"a waiting"}, states(sup))
					stop(t, system, sup)
					synctest.Wait()

					var late []any
					system.EventStream.Subscribe(func(event any) {
						if lost, ok := event.(*protoactor.DeadLetterEvent); ok {
							late = append(late, lost.Message)
						}
					})
					time.Sleep(24 * time.Hour)
					assert.Empty(t, late, "sent to an actor that is gone")
				})
			})
		}
	}
}
