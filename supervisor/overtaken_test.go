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

// These tests force the schedules in which a message meets the supervisor in another
// state than the one for which it was sent. While the supervisor is busy, messages pile
// up in its mailbox; when it is free again, those of the system come first.

// distraction is a child with whose end the supervisor can be kept busy.
var distraction = stranger{name: "distraction"}

// keepBusy makes the supervisor hang in its turn until the gate opens. The distraction
// must be among the children.
func keepBusy(t *testing.T, system *protoactor.ActorSystem, sup *supervisor.Supervisor) gate {
	t.Helper()
	busy := newGate(t)
	system.EventStream.Subscribe(func(event any) {
		if stopped, ok := event.(supervisor.Stopped); ok && stopped.Child == "distraction" {
			busy.wait()
		}
	})
	system.Root.Stop(status(t, sup, "distraction").PID)
	synctest.Wait()
	return busy
}

// allForOne is a house in which a child that panics takes the others with it: its
// supervisor is restarted for no fault of its own.
func allForOne() stranger {
	strategy := protoactor.NewAllForOneStrategy(10, time.Minute, protoactor.DefaultDecider)
	return stranger{opts: []protoactor.PropsOption{protoactor.WithSupervisor(strategy)}}
}

// crashBrother restarts the children of an allForOne, as far as they come.
func crashBrother(system *protoactor.ActorSystem, sup *supervisor.Supervisor) {
	brother := protoactor.NewPID(sup.PID().Address, "house/brother")
	system.Root.Send(brother, do(func(protoactor.Context) { panic("all for one") }))
	synctest.Wait()
}

func TestProps_brings_the_children_of_With_back_when_the_supervisor_is_restarted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := newBucket("a"), newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a, b))
		spawnHouse(t, system, allForOne(), sup, stranger{name: "brother"})
		require.NoError(t, sup.Start(t.Context(), newBucket("added")))
		before := sup.PID()
		heard := listen(system)

		crashBrother(system, sup)
		require.NoError(t, sup.Start(t.Context()))
		assert.Equal(t, []string{"a running", "b running"}, states(sup), "the one that was added is lost")
		titles := heard.titles()
		assert.ElementsMatch(t, []string{"Stopped a", "Stopped b", "Stopped added"}, titles[:3])
		assert.Equal(t, []string{"Started a", "Started b"}, titles[3:])
		assert.Equal(t, before.Id, sup.PID().Id)
		_, err := a.Fetch(t.Context(), "x")
		require.NoError(t, err)
		require.NoError(t, sup.Add(t.Context(), newBucket("added")))
	})
}

// The caller has gone when the Add is refused, and does not hear of it. What is then
// taken back on its behalf must not be somebody else's child.
func TestAdd_that_gives_up_leaves_the_running_child_of_that_name_alone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		a := newBucket("a")
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), a, distraction))
		pid := a.PID()

		busy := keepBusy(t, system, sup)
		ctx, cancel := context.WithCancel(t.Context())
		add := background(func() error { return sup.Add(ctx, newBucket("a")) })
		requirePending(t, add, "Add")
		cancel()
		synctest.Wait()
		busy.open()
		require.ErrorIs(t, <-add, context.Canceled)
		synctest.Wait()
		requireUnharmed(t, sup, a, pid)
	})
}

func TestAdd_that_gives_up_before_the_child_is_spawned_leaves_none(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		system := newSystem()
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), distraction))

		busy := keepBusy(t, system, sup)
		ctx, cancel := context.WithCancel(t.Context())
		add := background(func() error { return sup.Add(ctx, stranger{name: "late", diary: &d}) })
		cancel()
		synctest.Wait()
		busy.open()
		require.ErrorIs(t, <-add, context.Canceled)
		assert.Equal(t, []string{"distraction stopped"}, states(sup))
		lines := d.read()
		require.NotEmpty(t, lines)
		assert.Equal(t, "late stopped", lines[len(lines)-1])
	})
}

// Were the child spawned now, nobody would stop it, and the restart would wait for that
// without end.
func TestAdd_and_Remove_that_meet_a_restart_under_way_are_refused(t *testing.T) {
	for _, tt := range []struct {
		name string
		call func(ctx context.Context, sup *supervisor.Supervisor, late supervisor.Child) error
	}{
		{"Add", func(ctx context.Context, sup *supervisor.Supervisor, late supervisor.Child) error {
			return sup.Add(ctx, late)
		}},
		{"Remove", func(ctx context.Context, sup *supervisor.Supervisor, _ supervisor.Child) error {
			return sup.Remove(ctx, "a")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				slow := newGate(t)
				a, late := stranger{name: "a", first: on[*protoactor.Stopping](slow.waitIn)}, newBucket("late")
				system := newSystem()
				sup := newSupervisor(t, system, supervisor.With(a))
				spawnHouse(t, system, allForOne(), sup, stranger{name: "brother"})
				require.NoError(t, sup.Start(t.Context(), distraction))

				busy := keepBusy(t, system, sup)
				call := background(func() error { return tt.call(t.Context(), sup, late) })
				requirePending(t, call, tt.name)
				crashBrother(system, sup)
				busy.open()
				require.ErrorIs(t, <-call, supervisor.ErrNotRunning)

				slow.open()
				synctest.Wait()
				require.NoError(t, sup.Start(t.Context()))
				assert.Equal(t, []string{"a running"}, states(sup))
				assert.Nil(t, late.PID())
			})
		})
	}
}

// What becomes of a starting child is on its way to the supervisor when the restart comes.
func TestStart_that_meets_a_restart_under_way_is_answered_and_announced_once(t *testing.T) {
	for _, tt := range []struct {
		name string
		fate func(system *protoactor.ActorSystem, early numbers, init gate)
	}{
		{"it has gone", func(system *protoactor.ActorSystem, early numbers, _ gate) { system.Root.Stop(early.PID()) }},
		{"it is ready", func(_ *protoactor.ActorSystem, _ numbers, init gate) { init.open() }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				init := newGate(t)
				early := bucketWithInit("early", func(context.Context) (map[string]int, error) {
					init.wait()
					return nil, nil
				})
				system := newSystem()
				sup := newSupervisor(t, system)
				spawnHouse(t, system, allForOne(), sup, stranger{name: "brother"})
				require.NoError(t, sup.Start(t.Context(), distraction))
				add := background(func() error { return sup.Add(t.Context(), early) })
				requirePending(t, add, "Add")
				heard := listen(system)
				busy := keepBusy(t, system, sup)

				tt.fate(system, early, init)
				synctest.Wait()
				crashBrother(system, sup)
				busy.open()
				require.ErrorIs(t, <-add, supervisor.ErrNotRunning)
				synctest.Wait()
				assert.Equal(t, []string{"Stopped distraction", "Vetoed early"}, heard.titles())
				assert.Nil(t, early.PID())
				init.open()
			})
		})
	}
}

// The Stop that belongs to the restart waits behind a message that then panics, and then
// for the child's own child. A restart of the child now would undo the Stop, and leave the
// supervisor waiting for it.
func TestProps_restarts_the_supervisor_of_a_child_that_panics_in_that_very_moment(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		work, slow := newGate(t), newGate(t)
		own := stranger{name: "own", first: on[*protoactor.Stopping](slow.waitIn)}
		a := stranger{name: "a", diary: &d, first: parentOf(own)}
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a), supervisor.Backoff(0, 0))
		spawnHouse(t, system, allForOne(), sup, stranger{name: "brother"})
		system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { work.wait(); panic("oops") }))
		synctest.Wait()
		crashBrother(system, sup)
		work.open()
		synctest.Wait()
		slow.open()
		synctest.Wait()
		require.NoError(t, sup.Start(t.Context()))
		assert.Equal(t, []string{"a running"}, states(sup))
		assert.Equal(t, []string{"a started", "a stopping", "a stopped", "a started"}, d.read())
	})
}

// The child is gone already when it is told to stop, so it cannot obey. To tell it again
// would hit the next child of that name.
func TestAdd_of_a_name_is_not_hit_by_the_stop_of_the_child_before(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := newGate(t)
		first := bucketWithInit("heir", func(context.Context) (map[string]int, error) {
			hang.wait()
			return nil, nil
		})
		system := newSystem()
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), distraction))
		ctx, cancel := context.WithCancel(t.Context())
		add := background(func() error { return sup.Add(ctx, first) })
		requirePending(t, add, "Add")
		busy := keepBusy(t, system, sup)
		cancel()
		synctest.Wait()
		system.Root.Stop(first.PID())
		synctest.Wait()
		busy.open()
		require.ErrorIs(t, <-add, context.Canceled)

		second := newBucket("heir")
		require.NoError(t, sup.Add(t.Context(), second))
		pid := second.PID()
		time.Sleep(time.Minute)
		requireUnharmed(t, sup, second, pid)
		hang.open()
	})
}

// Two failures of one child are on their way when the first of them is judged.
func TestGiveUp_comes_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		own := stranger{name: "own"}
		a := stranger{name: "a", first: func(ctx protoactor.Context) {
			parentOf(own)(ctx)
			on[*protoactor.Terminated](func(protoactor.Context) { panic("second") })(ctx)
		}}
		sup := newSupervisor(t, system, supervisor.MaxRestarts(0, time.Hour))
		require.NoError(t, sup.Start(t.Context(), a, distraction))
		pid := status(t, sup, "a").PID
		heard := listen(system)
		busy := keepBusy(t, system, sup)
		system.Root.Send(pid, do(func(protoactor.Context) { panic("first") }))
		synctest.Wait()
		system.Root.Stop(protoactor.NewPID(pid.Address, pid.Id+"/own"))
		synctest.Wait()
		busy.open()
		synctest.Wait()
		assert.Equal(t, []string{"Stopped distraction", "GaveUp a", "Stopped a"}, heard.titles())
		assert.ErrorContains(t, status(t, sup, "a").Failure, "first")
	})
}

// The back-off is over, but the word of it comes after the Remove.
func TestRemove_that_overtakes_a_restart_prevents_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		system := newSystem()
		a := stranger{name: "a", diary: &d, first: parentOf(stranger{name: "own"})}
		sup := newSupervisor(t, system, supervisor.Backoff(10*time.Second, 10*time.Second))
		require.NoError(t, sup.Start(t.Context(), a, distraction))
		system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { panic("oops") }))
		synctest.Wait()
		require.Equal(t, supervisor.Waiting, status(t, sup, "a").State)
		busy := keepBusy(t, system, sup)

		remove := background(func() error { return sup.Remove(t.Context(), "a") })
		time.Sleep(time.Minute) // the timer has fired
		requirePending(t, remove, "Remove")
		busy.open()
		require.NoError(t, <-remove)
		assert.Equal(t, []string{"a started", "a stopping", "a stopped"}, d.read())
	})
}

// Name is asked in the goroutine of the caller, after the look whether the supervisor runs.
func TestAdd_whose_supervisor_stops_in_that_very_moment_says_so(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		good := newBucket("good")
		sup := newSupervisor(t, system)
		fatal := oddChild{
			func() string {
				assert.NoError(t, actor.Stop(context.Background(), system, sup.PID()))
				return "fatal"
			},
			stranger{}.Props,
		}
		require.NoError(t, sup.Start(t.Context(), newBucket("a")))
		err := sup.Add(t.Context(), fatal)
		requireStartError(t, err, "fatal")
		require.ErrorIs(t, err, supervisor.ErrNotRunning)

		require.NoError(t, sup.Start(t.Context()))
		err = sup.Start(t.Context(), good, fatal)
		requireStartError(t, err, "fatal")
		require.ErrorIs(t, err, supervisor.ErrNotRunning)
		assert.NotContains(t, err.Error(), "has not stopped", "what was to be undone is gone")
		assert.Nil(t, good.PID())
	})
}

func TestStart_that_waits_for_the_children_of_With_hears_that_the_parent_has_stopped(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := newGate(t)
		a := bucketWithInit("a", func(context.Context) (map[string]int, error) {
			hang.wait()
			return nil, nil
		})
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a))
		house := spawnHouse(t, system, stranger{}, sup)
		start := background(func() error { return sup.Start(t.Context(), newBucket("never")) })
		requirePending(t, start, "Start")
		require.NoError(t, actor.Stop(t.Context(), system, house))
		require.ErrorIs(t, <-start, supervisor.ErrNotRunning)
		hang.open()
	})
}
