package supervisor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/supervisor"
)

// What the supervisor's parent does to it must reach those who wait for an answer.
func TestSupervisor_answers_those_who_wait_when_its_parent_ends_it(t *testing.T) {
	ways := []struct {
		name string
		end  func(system *protoactor.ActorSystem, house, sup *protoactor.PID)
	}{
		{"the parent is stopped", func(system *protoactor.ActorSystem, house, _ *protoactor.PID) { system.Root.Stop(house) }},
		{"the parent is poisoned", func(system *protoactor.ActorSystem, house, _ *protoactor.PID) { system.Root.Poison(house) }},
		{"it is poisoned itself", func(system *protoactor.ActorSystem, _, sup *protoactor.PID) { system.Root.Poison(sup) }},
	}
	hanging := func(g gate) numbers {
		return bucketWithInit("hanging", func(context.Context) (map[string]int, error) {
			g.wait()
			return nil, nil
		})
	}
	calls := []struct {
		name string
		call func(sup *supervisor.Supervisor, g gate) error
		want error
	}{
		{"Add", func(sup *supervisor.Supervisor, g gate) error {
			return sup.Add(context.Background(), hanging(g))
		}, supervisor.ErrNotRunning},
		{"Start", func(sup *supervisor.Supervisor, g gate) error {
			return sup.Start(context.Background(), newBucket("b"), hanging(g))
		}, supervisor.ErrNotRunning},
		{"Remove", func(sup *supervisor.Supervisor, _ gate) error {
			return sup.Remove(context.Background(), "stubborn")
		}, supervisor.ErrNotRunning},
	}
	for _, way := range ways {
		for _, tt := range calls {
			t.Run(tt.name+" when "+way.name, func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					hang := newGate(t)
					stubborn := stranger{name: "stubborn", first: on[*protoactor.Stopping](hang.waitIn)}
					system := newSystem()
					heard := listen(system)
					sup := newSupervisor(t, system, supervisor.With(stubborn))
					house := spawnHouse(t, system, stranger{}, sup)
					pid := sup.PID()
					call := background(func() error { return tt.call(sup, hang) })
					requirePending(t, call, tt.name)

					begun := time.Now()
					way.end(system, house, pid)
					require.ErrorIs(t, <-call, tt.want)
					assert.Less(t, time.Since(begun), time.Second)

					hang.open()
					synctest.Wait()
					assert.False(t, alive(system, pid))
					started, over := 0, 0
					for _, event := range heard.heard() {
						switch event.(type) {
						case supervisor.Started:
							started++
						case supervisor.Stopped:
							over++
						}
					}
					assert.Equal(t, started, over, "of all that were ready it is said that they have stopped")
				})
			})
		}
	}
}

func TestStop_returns_when_the_tree_is_gone_whoever_ends_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := newGate(t)
		a, stubborn := newBucket("a"), stranger{name: "stubborn", first: on[*protoactor.Stopping](hang.waitIn)}
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a, stubborn))
		house := spawnHouse(t, system, stranger{}, sup)
		pid := sup.PID()
		stop := background(func() error { return sup.Stop(t.Context()) })
		requirePending(t, stop, "Stop")
		system.Root.Stop(house)
		requirePending(t, stop, "Stop")
		assert.True(t, alive(system, pid), "stubborn is still there")

		hang.open()
		require.NoError(t, <-stop)
		assert.False(t, alive(system, pid))
		assert.Nil(t, a.PID())
	})
}

func TestStop_ends_a_supervisor_whose_children_of_With_are_starting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := newGate(t)
		a, never := newBucket("a"), newBucket("never")
		b := bucketWithInit("b", func(context.Context) (map[string]int, error) {
			hang.wait()
			return nil, nil
		})
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.With(a, b, never))
		spawnHouse(t, system, stranger{}, sup)
		require.Equal(t, []string{"a running", "b starting"}, states(sup))
		require.NoError(t, sup.Stop(t.Context()))
		assert.Nil(t, sup.PID())
		for _, gone := range []numbers{a, b, never} {
			assert.Nil(t, gone.PID())
		}
	})
}
