package supervisor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// spawnHouse spawns an actor of the user's that has the supervisor as its child "sup",
// and then more. It returns when all of them have started, as far as they can.
func spawnHouse(t *testing.T, system *protoactor.ActorSystem, house stranger, sup *supervisor.Supervisor, more ...stranger) *protoactor.PID {
	t.Helper()
	first := house.first
	house.name = "house"
	house.first = func(ctx protoactor.Context) {
		if first != nil {
			first(ctx)
		}
		if _, ok := ctx.Message().(*protoactor.Started); ok {
			_, err := ctx.SpawnNamed(sup.Props(), "sup")
			assert.NoError(t, err)
			for _, child := range more {
				_, err := ctx.SpawnNamed(child.Props(), child.name)
				assert.NoError(t, err)
			}
		}
	}
	pid, err := system.Root.SpawnNamed(house.Props(), "house")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, actor.Stop(context.Background(), system, pid)) })
	synctest.Wait()
	return pid
}

func TestProps_makes_the_supervisor_a_child_of_ones_own_actor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b, c := newBucket("a"), newBucket("b"), newBucket("c")
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system, supervisor.With(a, b))
		house := spawnHouse(t, system, stranger{}, sup)
		require.NoError(t, sup.Start(t.Context(), c), "it runs, so this adds")
		assert.Equal(t, []string{"Started a", "Started b", "Started c"}, heard.titles())
		assert.Equal(t, "house/sup", sup.PID().Id)
		assert.Equal(t, "house/sup/a", a.PID().Id)
		assert.Equal(t, "house/sup/c", c.PID().Id)

		require.NoError(t, actor.Stop(t.Context(), system, house))
		for _, gone := range []numbers{a, b, c} {
			_, err := gone.Fetch(t.Context(), "seed")
			assert.ErrorIs(t, err, bucket.ErrStopped)
		}
		assert.Nil(t, sup.PID())
		assert.ElementsMatch(t, []string{"Stopped a", "Stopped b", "Stopped c"}, heard.titles(),
			"whoever stopped them")
	})
}

func TestProps_lets_Start_wait_for_the_children_of_With(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		a := newBucket("a")
		b := bucketWithInit("b", func(context.Context) (map[string]int, error) {
			slow.wait()
			return nil, nil
		})
		c := newBucket("c")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a, b))
		spawnHouse(t, system, stranger{}, sup)

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		require.ErrorIs(t, sup.Start(ctx), context.DeadlineExceeded)
		assert.Equal(t, []string{"a running", "b starting"}, states(sup), "which harms nobody")

		start := background(func() error { return sup.Start(t.Context(), c) })
		requirePending(t, start, "Start")
		assert.Nil(t, c.PID())
		slow.open()
		require.NoError(t, <-start)
		assert.Equal(t, []string{"a running", "b running", "c running"}, states(sup))
	})
}

func TestProps_brings_the_children_of_With_back_when_ones_own_actor_restarts(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		a, b, added := newBucket("a"), newBucket("b"), newBucket("added")
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system, supervisor.With(a, b))
		house := spawnHouse(t, system, stranger{diary: &d}, sup)
		require.NoError(t, sup.Add(t.Context(), added))

		for range 3 {
			heard.heard()
			d.read()
			system.Root.Send(house, do(func(protoactor.Context) { panic("the roof is leaking") }))
			synctest.Wait()
			assert.Equal(t, []string{"house restarting", "house started"}, d.read())
			require.NoError(t, sup.Start(t.Context()))
			assert.Equal(t, []string{"a running", "b running"}, states(sup), "the one that was added is lost")
			assert.Contains(t, heard.titles(), "Stopped a")
			assert.Nil(t, added.PID())
			for _, back := range []numbers{a, b} {
				_, err := back.Fetch(t.Context(), "x")
				require.NoError(t, err)
			}
		}
	})
}

func TestProps_of_a_supervisor_whose_child_vetoes_stops_and_says_why(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		logger, lines := logtest.NewNullLogger()
		a := newBucket("a")
		shop := bucketWithInit("shop", func(context.Context) (map[string]int, error) {
			slow.wait()
			return nil, loader.Veto(errClosed)
		})
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system, supervisor.With(a, shop), supervisor.Logger(logger))
		gone := make(chan *protoactor.PID, 1)
		spawnHouse(t, system, stranger{first: on[*protoactor.Terminated](func(ctx protoactor.Context) {
			gone <- ctx.Message().(*protoactor.Terminated).Who
		})}, sup)
		start := background(func() error { return sup.Start(t.Context(), newBucket("never")) })
		requirePending(t, start, "Start")

		slow.open()
		err := <-start
		requireStartError(t, err, "shop")
		require.ErrorIs(t, err, errClosed)
		assert.Equal(t, "house/sup", (<-gone).Id, "ones own actor hears of it")
		assert.Equal(t, []string{"Started a", "Vetoed shop", "Stopped a"}, heard.titles())
		assert.Nil(t, sup.PID())
		require.Len(t, lines.AllEntries(), 1)
		assert.Equal(t, logrus.ErrorLevel, lines.LastEntry().Level)
		assert.ErrorIs(t, lines.LastEntry().Data[logrus.ErrorKey].(error), errClosed)
	})
}

func TestAnnounce_reports_when_the_children_of_With_are_ready_or_why_not(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		a := newBucket("a")
		sup := newSupervisor(t, system, supervisor.With(a))
		pid, err := actor.Start(t.Context(), system, "mine", sup.Announce)
		require.NoError(t, err)
		assert.Equal(t, []string{"a running"}, states(sup))
		assert.Equal(t, pid, sup.PID())

		_, err = actor.Start(t.Context(), system, "shops", newSupervisor(t, system, supervisor.With(vetoing("shop"))).Announce)
		requireStartError(t, err, "shop")
		_, err = actor.Start(t.Context(), system, "bad", newSupervisor(t, system, supervisor.MaxRestarts(-1, 0)).Announce)
		require.ErrorIs(t, err, supervisor.ErrConfig)
		_, err = actor.Start(t.Context(), system, "second", sup.Announce)
		require.ErrorContains(t, err, "it runs already")
		assert.ErrorContains(t, err, "mine")
		requireUnharmed(t, sup, a, a.PID())
	})
}

func TestProps_with_a_bad_option_stops_and_both_the_log_and_Start_say_why(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, lines := logtest.NewNullLogger()
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(newBucket("a")), supervisor.Backoff(2, 1), supervisor.Logger(logger))
		gone := false
		spawnHouse(t, system, stranger{first: on[*protoactor.Terminated](func(protoactor.Context) { gone = true })}, sup)
		assert.True(t, gone)
		assert.Nil(t, sup.PID())
		require.Len(t, lines.AllEntries(), 1)
		assert.ErrorIs(t, lines.LastEntry().Data[logrus.ErrorKey].(error), supervisor.ErrConfig)
		require.ErrorIs(t, sup.Start(t.Context()), supervisor.ErrConfig)
	})
}

func TestProps_spawned_a_second_time_stops_at_once_says_so_and_harms_nobody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, lines := logtest.NewNullLogger()
		a := newBucket("a")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a), supervisor.Logger(logger))
		require.NoError(t, sup.Start(t.Context()))
		first, pid := sup.PID(), a.PID()

		second, err := system.Root.SpawnNamed(sup.Props(), "second")
		require.NoError(t, err)
		synctest.Wait()
		assert.False(t, alive(system, second))
		require.Len(t, lines.AllEntries(), 1)
		assert.ErrorContains(t, lines.LastEntry().Data[logrus.ErrorKey].(error), "it runs already")
		assert.Same(t, first, sup.PID())
		requireUnharmed(t, sup, a, pid)
	})
}

func TestProps_may_be_spawned_again_after_the_supervisor_has_stopped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newBucket("a")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a))
		for _, name := range []string{"one", "two"} {
			_, err := system.Root.SpawnNamed(sup.Props(), name)
			require.NoError(t, err)
			require.NoError(t, sup.Start(t.Context()))
			assert.Equal(t, name+"/a", a.PID().Id)
			require.NoError(t, sup.Stop(t.Context()))
			assert.Nil(t, a.PID())
		}
	})
}

// wing is a supervisor as the child of another.
type wing struct {
	*supervisor.Supervisor
	name string
}

func (w wing) Name() string { return w.name }

func TestSupervisor_can_be_the_child_of_another(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := newBucket("a"), newBucket("b")
		system := newSystem()
		inner := newSupervisor(t, system, supervisor.With(a, b))
		outer := newSupervisor(t, system)
		require.NoError(t, outer.Start(t.Context(), wing{inner, "east"}))
		assert.Equal(t, []string{"a running", "b running"}, states(inner), "outer has waited for them")
		assert.Equal(t, outer.PID().Id+"/east/a", a.PID().Id)

		closed := newSupervisor(t, system, supervisor.With(newBucket("c"), vetoing("shop")))
		err := outer.Add(t.Context(), wing{closed, "west"})
		requireStartError(t, err, "west")
		require.ErrorIs(t, err, errClosed)
		assert.ErrorContains(t, err, `"shop"`)
		assert.Equal(t, []string{"east running"}, states(outer))

		require.NoError(t, inner.Stop(t.Context()))
		synctest.Wait()
		assert.Equal(t, []string{"east stopped"}, states(outer))
		require.NoError(t, outer.Add(t.Context(), wing{inner, "east"}))
		require.NoError(t, outer.Stop(t.Context()))
		assert.Nil(t, inner.PID())
		assert.Nil(t, a.PID())
	})
}
