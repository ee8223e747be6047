package actor_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// These are the holes in protoactor's stop and restart machine. Each test shows one
// twice: with a guard, where it must be closed, and without, where it must still be
// there, or else the guard may go.

// times makes what an actor does happen only so many times.
func times(n int, do func(protoactor.Context)) func(protoactor.Context) {
	return func(ctx protoactor.Context) {
		if n--; n >= 0 {
			do(ctx)
		}
	}
}

func goexit(protoactor.Context) { runtime.Goexit() }

// idle is an actor that does nothing.
func idle() *protoactor.Props {
	return protoactor.PropsFromProducer(script{}.actor(&diary{}))
}

// Hole 1. The queue is Stop, Suspend, Restart.
func TestHole_a_Stop_that_arrives_while_the_actor_works_on_what_it_will_panic_on(t *testing.T) {
	tests := []struct {
		name    string
		guarded bool
		child   bool
		want    string
		alive   bool
	}{
		{name: "without a child, a zombie starts", want: "Started explode Stopping Stopped Restarting Started"},
		{name: "with a child, the Stop is lost", child: true, want: "Started explode Stopping Restarting Terminated Started", alive: true},
		{name: "without a child, guarded", guarded: true, want: "Started explode Stopping Stopped"},
		{name: "with a child, guarded", guarded: true, child: true, want: "Started explode Stopping Terminated Stopped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g := newGate()
				var d diary
				s := script{"explode": g.holdThen(explode)}
				if tt.child {
					s["Started"] = spawnChild(idle())
				}
				props, guard := both(s.actor(&d))
				if tt.guarded {
					props = guard
				}
				it := spawn(t, system, props)
				ask(system, it, "explode")
				<-g.arrived
				system.Root.Stop(it)
				g.open()
				synctest.Wait()
				assert.Equal(t, tt.want, d.pages())
				assert.Equal(t, tt.alive, alive(system, it))
				require.NoError(t, actor.Stop(patiently(t), system, it))
			})
		})
	}
}

// Hole 2.
func TestHole_a_back_off_timer_that_fires_while_the_stop_waits_for_a_slow_child(t *testing.T) {
	tests := []struct {
		name    string
		guarded bool
		want    string
		alive   bool
	}{
		{name: "the Stop is lost", want: "Started explode Stopping Restarting Terminated Started", alive: true},
		{name: "guarded", guarded: true, want: "Started explode Stopping Terminated Stopped"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g := newGate()
				var d diary
				slow := protoactor.PropsFromProducer(script{"Stopping": g.hold}.actor(&diary{}))
				backoff := protoactor.NewExponentialBackoffStrategy(time.Minute, time.Second)
				props, guard := both(script{
					"Started": times(1, spawnChild(slow)),
					"explode": explode,
				}.actor(&d), protoactor.WithGuardian(backoff))
				if tt.guarded {
					props = guard
				}
				it := spawn(t, system, props)
				ask(system, it, "explode")
				system.Root.Stop(it)
				synctest.Wait()
				require.Equal(t, "Started explode Stopping", d.pages(), "it waits for its child")
				time.Sleep(2 * time.Second) // for the timer
				g.open()
				synctest.Wait()
				assert.Equal(t, tt.want, d.pages())
				assert.Equal(t, tt.alive, alive(system, it))
				require.NoError(t, actor.Stop(patiently(t), system, it))
			})
		})
	}
}

// Holes 3 and 4, and what runtime.Goexit makes of them.
func TestHole_a_crash_in_one_of_the_last_messages(t *testing.T) {
	tests := []struct {
		name    string
		at      string
		crash   func(protoactor.Context)
		guarded bool
		want    string
		alive   bool
		told    bool // its watchers are told that it has stopped
	}{
		{name: "a panic in Stopping: it restarts", at: "Stopping", crash: explode, want: "Started Stopping Restarting Terminated Started", alive: true},
		{name: "a panic in Stopping, guarded", at: "Stopping", crash: explode, guarded: true, want: "Started Stopping Terminated Stopped", told: true},
		{name: "a Goexit in Stopping: it hangs", at: "Stopping", crash: goexit, want: "Started Stopping", alive: true},
		{name: "a Goexit in Stopping, guarded", at: "Stopping", crash: goexit, guarded: true, want: "Started Stopping Terminated Stopped", told: true},
		{
			name: "a panic in Terminated on the way out: it restarts", at: "Terminated", crash: explode,
			want: "Started Stopping Terminated Restarting Started", alive: true,
		},
		{name: "a panic in Terminated on the way out, guarded", at: "Terminated", crash: explode, guarded: true, want: "Started Stopping Terminated Stopped", told: true},
		{name: "a Goexit in Terminated on the way out: it hangs", at: "Terminated", crash: goexit, want: "Started Stopping Terminated", alive: true},
		{name: "a Goexit in Terminated on the way out, guarded", at: "Terminated", crash: goexit, guarded: true, want: "Started Stopping Terminated Stopped", told: true},
		{name: "a panic in Stopped: nobody is told", at: "Stopped", crash: explode, want: "Started Stopping Terminated Stopped"},
		{name: "a panic in Stopped, guarded", at: "Stopped", crash: explode, guarded: true, want: "Started Stopping Terminated Stopped", told: true},
		{name: "a Goexit in Stopped: nobody is told", at: "Stopped", crash: goexit, want: "Started Stopping Terminated Stopped"},
		{name: "a Goexit in Stopped, guarded", at: "Stopped", crash: goexit, guarded: true, want: "Started Stopping Terminated Stopped", told: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				var d diary
				s := script{"Started": times(1, spawnChild(idle()))}
				s[tt.at] = times(1, tt.crash)
				props, guard := both(s.actor(&d))
				if tt.guarded {
					props = guard
				}
				it := spawn(t, system, props)
				synctest.Wait()
				err := system.Root.StopFuture(it).Wait()
				assert.Equal(t, tt.want, d.pages())
				assert.Equal(t, tt.alive, alive(system, it))
				if tt.told {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, protoactor.ErrTimeout)
				}
			})
		})
	}
}

// Hole 4, as the parent sees it.
func TestHole_a_parent_waits_for_ever_for_a_child_that_panics_in_Stopped(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain child", true: "guarded child"}[guarded], func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				var d diary
				child, guard := both(script{"Stopped": explode}.actor(&diary{}))
				if guarded {
					child = guard
				}
				it := spawn(t, system, actor.Guard(script{"Started": spawnChild(child)}.actor(&d), nil))
				synctest.Wait()
				system.Root.Stop(it)
				time.Sleep(patience)
				if guarded {
					assert.Equal(t, "Started Stopping Terminated Stopped", d.pages())
				} else {
					assert.Equal(t, "Started Stopping", d.pages())
				}
			})
		})
	}
}

// A restart cleans up as a stop does, and a panic in that counted as one more failure.
func TestGuard_restarts_in_spite_of_a_crash_while_restarting(t *testing.T) {
	for _, at := range []string{"Restarting", "Terminated"} {
		for name, crash := range map[string]func(protoactor.Context){"panic": explode, "Goexit": goexit} {
			t.Run(name+" in "+at, func(t *testing.T) {
				inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
					j := &judge{verdict: restart}
					var d diary
					s := script{"Started": spawnChild(idle()), "explode": explode, "price": respond(7)}
					s[at] = crash
					it := spawn(t, system, actor.Guard(s.actor(&d), excuse, protoactor.WithGuardian(j)))
					ask(system, it, "explode")
					assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"))
					assert.Equal(t, "Started explode Restarting Terminated Started price", d.pages())
					assert.Len(t, j.heard(), 1, "the restart is one failure, not more")
					require.NoError(t, actor.Stop(patiently(t), system, it))
				})
			})
		}
	}
}

// Hole 5.
func TestHole_a_Goexit_wedges_the_mailbox(t *testing.T) {
	for _, guarded := range []bool{false, true} {
		t.Run(map[bool]string{false: "plain", true: "guarded"}[guarded], func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				props, guard := both(script{"goexit": goexit, "price": respond(7)}.actor(&diary{}))
				if guarded {
					props = guard
				}
				it := spawn(t, system, props)
				crashed, next := ask(system, it, "goexit"), ask(system, it, "price")
				ctx, cancel := context.WithTimeout(patiently(t), time.Minute)
				defer cancel()
				if guarded {
					assert.ErrorIs(t, (<-crashed).err, actor.ErrGoexit)
					assert.Equal(t, reply{value: 7}, <-next)
					require.NoError(t, actor.Stop(ctx, system, it))
				} else {
					assert.ErrorIs(t, (<-crashed).err, context.DeadlineExceeded)
					assert.ErrorIs(t, (<-next).err, context.DeadlineExceeded)
					require.ErrorIs(t, actor.Stop(ctx, system, it), context.DeadlineExceeded, "nothing helps it any more")
				}
			})
		})
	}
}

// The guard drops the failures of children while it stops: they have all been told to
// stop, and any verdict but that would be another way into hole 1.
func TestGuard_stops_although_a_child_crashes_on_its_way_out(t *testing.T) {
	verdicts := map[string]func(protoactor.Supervisor, *protoactor.PID){
		"to be restarted": restart,
		"to be resumed":   func(supervisor protoactor.Supervisor, child *protoactor.PID) { supervisor.ResumeChildren(child) },
		"to be escalated": func(supervisor protoactor.Supervisor, _ *protoactor.PID) { supervisor.EscalateFailure("enough", nil) },
		"forgotten":       hesitate,
	}
	for name, verdict := range verdicts {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g, slow := newGate(), newGate()
				var d diary
				grandchild := protoactor.PropsFromProducer(script{"Stopping": slow.hold}.actor(&diary{}))
				child := protoactor.PropsFromProducer(script{
					"Started": times(1, spawnChild(grandchild)),
					"explode": g.holdThen(explode),
				}.actor(&diary{}))
				var childPID *protoactor.PID
				it := spawn(t, system, actor.Guard(script{
					"Started": func(ctx protoactor.Context) { childPID = ctx.Spawn(child) },
				}.actor(&d), excuse, protoactor.WithSupervisor(&judge{verdict: verdict})))
				synctest.Wait()

				system.Root.Send(childPID, "explode")
				<-g.arrived
				system.Root.Stop(it)
				synctest.Wait()
				g.open()
				synctest.Wait()
				late := ask(system, it, "late")
				slow.open()
				synctest.Wait()
				assert.Equal(t, "Started Stopping Terminated Stopped", d.pages())
				assert.False(t, alive(system, it))
				assert.Equal(t, actor.ErrStopped, (<-late).err)
			})
		})
	}
}

// What the actor itself asked for may come back while it stops. No supervisor can do
// anything about a crash then, so it is logged.
func TestGuard_stops_although_a_continuation_panics_meanwhile(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *protoactor.ActorSystem) {
		logger, hook := logtest.NewNullLogger()
		system := actor.NewSystem(logger)
		g := newGate()
		j := &judge{verdict: restart}
		var d diary
		slow := protoactor.PropsFromProducer(script{"Stopping": g.hold}.actor(&diary{}))
		future := protoactor.NewFuture(system, time.Second)
		it := spawn(t, system, actor.Guard(script{
			"Started": spawnChild(slow),
			"later": func(ctx protoactor.Context) {
				ctx.ReenterAfter(future, func(any, error) { explodeHere("boom") })
			},
		}.actor(&d), excuse, protoactor.WithGuardian(j)))
		system.Root.Send(it, "later")
		synctest.Wait()
		system.Root.Stop(it)
		time.Sleep(2 * time.Second)
		entry := hook.LastEntry()
		assert.Equal(t, logrus.ErrorLevel, entry.Level)
		assert.Equal(t, "boom", entry.Data["panic"])
		assert.Contains(t, entry.Data["stack"], "actor_test.explodeHere")
		assert.Empty(t, j.heard())

		g.open()
		synctest.Wait()
		assert.Equal(t, "Started later Stopping Terminated Stopped", d.pages())
		assert.False(t, alive(system, it))
	})
}
