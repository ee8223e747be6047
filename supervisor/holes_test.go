package supervisor_test

import (
	"context"
	"runtime"
	"strings"
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

// Children fall through the holes of protoactor's stop and restart machine when a stop
// meets a panic. The supervisor must get each of them to its end.

// protoactor restarts such a child instead of stopping it, or after.
func TestStop_ends_a_child_that_panics_on_the_message_it_is_at_work_on(t *testing.T) {
	for _, tt := range []struct {
		name   string
		family bool
	}{{"alone", false}, {"with a child of its own", true}} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var d diary
				work := newGate(t)
				a := stranger{name: "a", diary: &d}
				if tt.family {
					a.first = parentOf(stranger{name: "own"})
				}
				system := newSystem()
				sup := newSupervisor(t, system, supervisor.Backoff(0, 0))
				require.NoError(t, sup.Start(t.Context(), newBucket("sibling"), a))
				pid := status(t, sup, "a").PID
				system.Root.Send(pid, do(func(protoactor.Context) { work.wait(); panic("oops") }))
				synctest.Wait() // it is at work
				remove := background(func() error { return sup.Remove(t.Context(), "a") })
				requirePending(t, remove, "Remove")

				work.open()
				require.NoError(t, <-remove)
				time.Sleep(time.Minute)
				assert.Equal(t, []string{"a started", "a stopping", "a stopped"}, d.read(), "no zombie")
				assert.False(t, alive(system, pid))
				assert.Equal(t, []string{"sibling running"}, states(sup))
			})
		})
	}
}

func TestStop_ends_a_bucket_that_crashes_on_the_message_it_is_at_work_on(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		work := newGate(t)
		logger, _ := logtest.NewNullLogger()
		logger.AddHook(slowHook{work})
		a := bucketOf("a", loader.Func(func(context.Context, string) (int, error) { return 0, errClosed }),
			bucket.Logger(logger))
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.Backoff(0, 0))
		require.NoError(t, sup.Start(t.Context(), a))
		pid := a.PID()
		heard := listen(system)
		fetch := background(func() error { _, err := a.Fetch(t.Context(), "x"); return err })
		requirePending(t, fetch, "Fetch") // its failure is being logged, in the bucket's turn
		behind := background(func() error { _, err := a.Fetch(t.Context(), "y"); return err })
		remove := background(func() error { return sup.Remove(t.Context(), "a") })
		requirePending(t, remove, "Remove")

		work.open()
		require.NoError(t, <-remove)
		require.ErrorIs(t, <-fetch, actor.ErrGoexit)
		require.ErrorIs(t, <-behind, bucket.ErrStopped)
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"Stopped a"}, heard.titles(), "no restart")
		assert.False(t, alive(system, pid))
		assert.Nil(t, a.PID())
	})
}

// slowHook is a logger's hook that takes its time over a warning and then ends its
// goroutine, which a recover cannot hold up.
type slowHook struct{ gate gate }

func (slowHook) Levels() []logrus.Level { return []logrus.Level{logrus.WarnLevel} }

func (h slowHook) Fire(*logrus.Entry) error {
	h.gate.wait()
	runtime.Goexit()
	return nil
}

func TestStop_is_repeated_until_a_child_that_was_restarted_instead_is_gone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		leave := make(chan struct{})
		own := stranger{name: "own", first: on[*protoactor.Stopping](func(protoactor.Context) { <-leave })}
		a := stranger{name: "a", diary: &d, first: parentOf(own)}
		system := newSystem()
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), a))
		pid := status(t, sup, "a").PID
		process, _ := system.ProcessRegistry.Get(pid)
		d.read()

		begun := time.Now()
		stop := background(func() error { return sup.Stop(t.Context()) })
		for range 3 {
			// Somebody else's Restart, while the Stop waits for the child's child: the Stop is
			// lost.
			process.SendSystemMessage(pid, &protoactor.Restart{})
			synctest.Wait()
			leave <- struct{}{}
			synctest.Wait()
			require.Equal(t, []string{"a stopping", "a restarting", "a started"}, d.read())
			requirePending(t, stop, "Stop")
			time.Sleep(1100 * time.Millisecond)
			synctest.Wait() // it has been told again
		}
		leave <- struct{}{}
		require.NoError(t, <-stop)
		assert.Less(t, time.Since(begun), 5*time.Second)
		assert.Equal(t, []string{"a stopping", "a stopped"}, d.read())
		assert.False(t, alive(system, pid))
	})
}

func TestStop_survives_a_child_that_panics_on_its_way_out(t *testing.T) {
	panics := func(protoactor.Context) { panic("on the way out") }
	for _, tt := range []struct {
		name  string
		child stranger
	}{
		{"in Stopping", stranger{first: on[*protoactor.Stopping](panics)}},
		{"in Stopping, with a child of its own", stranger{first: func(ctx protoactor.Context) {
			parentOf(stranger{name: "own"})(ctx)
			on[*protoactor.Stopping](panics)(ctx)
		}}},
		{"in Stopped", stranger{first: on[*protoactor.Stopped](panics)}},
		{"in Terminated of a child of its own", stranger{first: func(ctx protoactor.Context) {
			parentOf(stranger{name: "own"})(ctx)
			on[*protoactor.Terminated](panics)(ctx)
		}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var d diary
				tt.child.name, tt.child.diary = "a", &d
				props := tt.child.Props()
				child := oddChild{tt.child.Name, func() *protoactor.Props { return props }} // always the same
				logger, lines := logtest.NewNullLogger()
				system := newSystem()
				sup := newSupervisor(t, system, supervisor.Logger(logger))
				for i := range 3 {
					require.NoError(t, sup.Start(t.Context(), child, newBucket("b")))
					pid := status(t, sup, "a").PID
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					require.NoError(t, sup.Stop(ctx))
					cancel()
					assert.False(t, alive(system, pid))
					assert.Equal(t, []string{"a started", "a stopping", "a stopped"}, d.read())
					require.Len(t, lines.AllEntries(), i+1, "the panic is logged once")
					assert.Contains(t, lines.LastEntry().Message, "on the way out")
					stack := lines.LastEntry().Data["stack"].(string)
					assert.True(t, strings.Contains(stack, "stranger.receive"), "the stack says where")
					assert.Equal(t, 1, strings.Count(stack, ").calm.func"), "the user's props stay as they are")
				}
			})
		})
	}
}

func TestRestart_survives_a_child_that_panics_in_Restarting(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		a := stranger{name: "a", diary: &d, first: on[*protoactor.Restarting](func(protoactor.Context) { panic("and again") })}
		system := newSystem()
		sup := newSupervisor(t, system, supervisor.MaxRestarts(1, time.Hour))
		require.NoError(t, sup.Start(t.Context(), a))
		system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { panic("oops") }))
		time.Sleep(time.Minute)
		assert.Equal(t, []string{"a running"}, states(sup))
		assert.Equal(t, []string{"a started", "a restarting", "a started"}, d.read())
		assert.Equal(t, 1, status(t, sup, "a").Restarts)
	})
}

// Only its last messages are special.
func TestRestart_follows_a_panic_in_Terminated_of_a_child_that_runs(t *testing.T) {
	for _, tt := range []struct {
		name     string
		lostStop bool
	}{{"as ever", false}, {"after a stop that was lost", true}} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var d diary
				slow := newGate(t)
				own := stranger{name: "own", first: on[*protoactor.Stopping](slow.waitIn)}
				a := stranger{name: "a", diary: &d, first: func(ctx protoactor.Context) {
					parentOf(own)(ctx)
					if gone, ok := ctx.Message().(*protoactor.Terminated); ok {
						panic("lost " + gone.Who.Id)
					}
				}}
				system := newSystem()
				sup := newSupervisor(t, system)
				require.NoError(t, sup.Start(t.Context(), a))
				pid := status(t, sup, "a").PID
				if tt.lostStop {
					system.Root.Stop(pid) // somebody else's
					synctest.Wait()
					process, _ := system.ProcessRegistry.Get(pid)
					process.SendSystemMessage(pid, &protoactor.Restart{})
					synctest.Wait()
				}
				slow.open()
				synctest.Wait()
				require.Equal(t, []string{"a running"}, states(sup))
				d.read()

				system.Root.Stop(protoactor.NewPID(pid.Address, pid.Id+"/own"))
				time.Sleep(time.Minute)
				assert.Equal(t, []string{"a restarting", "a started"}, d.read())
				assert.Equal(t, 1, status(t, sup, "a").Restarts)
				assert.ErrorContains(t, status(t, sup, "a").Failure, "lost ")
			})
		})
	}
}
