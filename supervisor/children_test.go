package supervisor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/supervisor"
)

func TestAdd_returns_when_the_child_is_ready(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		b := bucketWithInit("b", func(context.Context) (map[string]int, error) {
			slow.wait()
			return nil, nil
		})
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), newBucket("a")))

		add := background(func() error { return sup.Add(t.Context(), b) })
		requirePending(t, add, "Add")
		assert.Equal(t, []string{"a running", "b starting"}, states(sup))
		slow.open()
		require.NoError(t, <-add)
		assert.Equal(t, []string{"a running", "b running"}, states(sup))
	})
}

func TestAdd_of_a_child_that_vetoes_leaves_the_others_alone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newBucket("a")
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a))
		err := sup.Add(t.Context(), vetoing("shop"))
		requireStartError(t, err, "shop")
		require.ErrorIs(t, err, errClosed)
		requireUnharmed(t, sup, a, a.PID())
		assert.Equal(t, []string{"a running"}, states(sup))
	})
}

func TestAdd_takes_no_longer_than_ctx_allows(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		hang := newGate(t)
		a := newBucket("a")
		foreign := stranger{name: "foreign", diary: &d, first: on[*protoactor.Started](func(protoactor.Context) { hang.wait() })}
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a))

		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		add := background(func() error { return sup.Add(ctx, foreign) })
		time.Sleep(4 * time.Second)
		hang.open() // an actor cannot be stopped in the middle of a message
		err := <-add
		requireStartError(t, err, "foreign")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"foreign started", "foreign stopping", "foreign stopped"}, d.read())
		requireUnharmed(t, sup, a, a.PID())
	})
}

func TestAdd_and_Remove_need_a_supervisor_that_runs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		sup := newSupervisor(t, newSystem())
		needed := func(when string) {
			err := sup.Add(t.Context(), b)
			require.ErrorIs(t, err, supervisor.ErrNotRunning, when)
			assert.ErrorContains(t, err, "call Start", when)
			require.ErrorIs(t, sup.Remove(t.Context(), "b"), supervisor.ErrNotRunning, when)
			assert.Nil(t, sup.PID(), when)
			assert.Empty(t, sup.Children(), when)
			assert.Empty(t, sup.Status(), when)
		}
		needed("before the start")
		require.NoError(t, sup.Start(t.Context(), b))
		require.NoError(t, sup.Stop(t.Context()))
		needed("after the stop")
	})
}

func TestAdd_waits_for_its_turn_as_long_as_ctx_allows(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		a := bucketWithInit("a", func(context.Context) (map[string]int, error) {
			slow.wait()
			return nil, nil
		})
		b := newBucket("b")
		sup := newSupervisor(t, newSystem())
		start := background(func() error { return sup.Start(t.Context(), a) })

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := sup.Add(ctx, b)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, "busy")
		assert.Nil(t, b.PID())

		patient := background(func() error { return sup.Add(t.Context(), b) })
		requirePending(t, patient, "Add")
		slow.open()
		require.NoError(t, <-start)
		require.NoError(t, <-patient)
		assert.Equal(t, []string{"a running", "b running"}, states(sup))
	})
}

func TestAdd_refuses_the_name_of_a_running_child_and_leaves_that_alone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newBucket("a")
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a))
		pid := a.PID()
		require.ErrorIs(t, sup.Add(t.Context(), a), supervisor.ErrDuplicate)
		require.ErrorIs(t, sup.Add(t.Context(), newBucket("a")), supervisor.ErrDuplicate)
		requireUnharmed(t, sup, a, pid)
		assert.Len(t, sup.Children(), 1)
	})
}

func TestAdd_takes_the_name_of_a_child_that_was_given_up_or_has_ended(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b, c := newBucket("a"), newBucket("b"), newBucket("c")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(0, time.Minute))
		require.NoError(t, sup.Start(t.Context(), a, b, c))
		crash(t, system, a.PID(), "oops")
		system.Root.Stop(b.PID())
		synctest.Wait()
		require.Equal(t, []string{"a given up", "b stopped", "c running"}, states(sup))

		again := newBucket("b")
		require.NoError(t, sup.Add(t.Context(), a), "the same bucket")
		require.NoError(t, sup.Add(t.Context(), again), "another one of that name")
		assert.Equal(t, []string{"c running", "a running", "b running"}, states(sup))
		assert.Equal(t, []supervisor.Child{c, a, again}, sup.Children())
		fresh := status(t, sup, "a")
		assert.Zero(t, fresh.Restarts)
		assert.NoError(t, fresh.Failure, "its past is forgotten")
		_, err := a.Fetch(t.Context(), "x")
		assert.NoError(t, err)
	})
}

func TestRemove_returns_when_the_child_is_gone_and_forgotten(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		slow := newGate(t)
		a, c := newBucket("a"), newBucket("c")
		b := stranger{name: "b", diary: &d, first: on[*protoactor.Stopping](slow.waitIn)}
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a, b, c))
		assert.Len(t, sup.Children(), 3)

		remove := background(func() error { return sup.Remove(t.Context(), "b") })
		requirePending(t, remove, "Remove")
		assert.Equal(t, []string{"a running", "b stopping", "c running"}, states(sup))
		slow.open()
		require.NoError(t, <-remove)
		assert.Equal(t, []string{"b started", "b stopping", "b stopped"}, d.read())
		assert.Equal(t, []supervisor.Child{a, c}, sup.Children())
		requireUnharmed(t, sup, a, a.PID())
		requireUnharmed(t, sup, c, c.PID())

		require.NoError(t, sup.Add(t.Context(), b), "the name is free")
		assert.Equal(t, []string{"a running", "c running", "b running"}, states(sup))
	})
}

func TestRemove_of_an_unknown_name_says_so(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a := newBucket("a")
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a))
		err := sup.Remove(t.Context(), "ghost")
		require.ErrorIs(t, err, supervisor.ErrUnknownChild)
		assert.ErrorContains(t, err, `"ghost"`)

		require.NoError(t, sup.Remove(t.Context(), "a"))
		require.ErrorIs(t, sup.Remove(t.Context(), "a"), supervisor.ErrUnknownChild)
	})
}

func TestRemove_whose_ctx_ends_has_told_the_child(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		hang := newGate(t)
		a := stranger{name: "a", diary: &d, first: on[*protoactor.Stopping](hang.waitIn)}
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a))

		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		err := sup.Remove(ctx, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.ErrorContains(t, err, `"a" has not stopped`)
		assert.Equal(t, []string{"a stopping"}, states(sup))
		require.ErrorIs(t, sup.Add(t.Context(), a), supervisor.ErrDuplicate, "it is not gone yet")

		again := background(func() error { return sup.Remove(t.Context(), "a") })
		requirePending(t, again, "a second Remove")
		hang.open()
		require.NoError(t, <-again)
		assert.Empty(t, sup.Children())
		assert.Equal(t, []string{"a started", "a stopping", "a stopped"}, d.read())
	})
}

func TestRemove_forgets_a_child_that_was_given_up_or_has_ended(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := newBucket("a"), newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(0, time.Minute))
		require.NoError(t, sup.Start(t.Context(), a, b))
		crash(t, system, a.PID(), "oops")
		system.Root.Stop(b.PID())
		synctest.Wait()
		require.Equal(t, []string{"a given up", "b stopped"}, states(sup))
		assert.Nil(t, status(t, sup, "a").PID)
		assert.Nil(t, status(t, sup, "b").PID)
		assert.Equal(t, []supervisor.Child{a, b}, sup.Children())

		require.NoError(t, sup.Remove(t.Context(), "a"))
		require.NoError(t, sup.Remove(t.Context(), "b"))
		assert.Empty(t, sup.Children())
		require.ErrorIs(t, sup.Remove(t.Context(), "a"), supervisor.ErrUnknownChild)
	})
}

func TestStatus_tells_how_each_child_is(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := newBucket("a"), newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.Backoff(time.Second, time.Second))
		require.NoError(t, sup.Start(t.Context(), a, b))
		assert.Equal(t, []supervisor.ChildStatus{
			{Name: "a", PID: a.PID(), State: supervisor.Running},
			{Name: "b", PID: b.PID(), State: supervisor.Running},
		}, sup.Status())

		crash(t, system, b.PID(), errClosed)
		crashed := status(t, sup, "b")
		assert.Equal(t, supervisor.Waiting, crashed.State)
		assert.Zero(t, crashed.Restarts)
		require.ErrorIs(t, crashed.Failure, errClosed)
		var report *actor.CrashError
		require.ErrorAs(t, crashed.Failure, &report, "the failure of a bucket carries its stack")
		assert.NotEmpty(t, report.Stack)

		time.Sleep(2 * time.Second)
		restarted := status(t, sup, "b")
		assert.Equal(t, supervisor.Running, restarted.State)
		assert.Equal(t, 1, restarted.Restarts)
		assert.Same(t, b.PID(), restarted.PID, "it stays the same")
		require.ErrorIs(t, restarted.Failure, errClosed, "the last failure")
		assert.Equal(t, supervisor.Running, status(t, sup, "a").State)
	})
}

func TestChildren_and_Status_belong_to_the_caller(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := newBucket("a"), newBucket("b")
		sup := newSupervisor(t, newSystem())
		require.NoError(t, sup.Start(t.Context(), a, b))
		clear(sup.Children())
		clear(sup.Status())
		assert.Equal(t, []supervisor.Child{a, b}, sup.Children())
		assert.Equal(t, []string{"a running", "b running"}, states(sup))
	})
}
