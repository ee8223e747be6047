package supervisor_test

import (
	"bytes"
	"fmt"
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
	"github.com/dataworker-go/dataworker/supervisor"
)

func TestEvents_tell_the_life_of_each_child_in_order(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		a, b := newBucket("a"), newBucket("b")
		sup := newSupervisor(t, system, supervisor.MaxRestarts(1, time.Hour))
		require.NoError(t, sup.Start(t.Context(), a, b))
		aPID, bPID := a.PID(), b.PID()
		assert.Equal(t, []any{
			supervisor.Started{Child: "a", PID: aPID},
			supervisor.Started{Child: "b", PID: bPID},
		}, heard.heard())

		require.Error(t, sup.Add(t.Context(), vetoing("shop")))
		told := heard.heard()
		require.Len(t, told, 1)
		require.IsType(t, supervisor.Vetoed{}, told[0])
		veto := told[0].(supervisor.Vetoed)
		assert.Equal(t, "shop", veto.Child)
		assert.ErrorIs(t, veto.Err, errClosed)

		crash(t, system, aPID, fmt.Errorf("first: %w", errClosed))
		assert.Empty(t, heard.heard(), "a restart is told when it comes, not when it is decided")
		time.Sleep(time.Second)
		told = heard.heard()
		require.Len(t, told, 1)
		require.IsType(t, supervisor.Restarted{}, told[0])
		restarted := told[0].(supervisor.Restarted)
		assert.Equal(t, "a", restarted.Child)
		assert.Equal(t, 1, restarted.Restarts)
		assert.ErrorContains(t, restarted.Reason, "first: ")
		var report *actor.CrashError
		require.ErrorAs(t, restarted.Reason, &report)
		assert.Equal(t, aPID, report.Who)

		crash(t, system, aPID, "second")
		told = heard.heard()
		require.Len(t, told, 2)
		require.IsType(t, supervisor.GaveUp{}, told[0])
		gaveUp := told[0].(supervisor.GaveUp)
		assert.Equal(t, "a", gaveUp.Child)
		assert.Equal(t, 1, gaveUp.Restarts)
		assert.ErrorContains(t, gaveUp.Reason, "second")
		assert.Equal(t, supervisor.Stopped{Child: "a"}, told[1])

		require.NoError(t, sup.Remove(t.Context(), "b"))
		require.NoError(t, sup.Stop(t.Context()))
		assert.Equal(t, []any{supervisor.Stopped{Child: "b"}}, heard.heard(), "a has stopped before")
	})
}

func TestEvents_are_told_before_the_caller_is_answered(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), newBucket("a")))
		assert.Equal(t, []string{"Started a"}, heard.titles())
		require.Error(t, sup.Add(t.Context(), vetoing("shop")))
		assert.Equal(t, []string{"Vetoed shop"}, heard.titles())
		require.NoError(t, sup.Remove(t.Context(), "a"))
		assert.Equal(t, []string{"Stopped a"}, heard.titles())
	})
}

func TestEvents_number_the_restarts_since_the_child_was_added(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		b := newBucket("b")
		sup := newSupervisor(t, system, supervisor.Backoff(0, 0))
		require.NoError(t, sup.Start(t.Context(), b))
		heard.heard()
		for i := range 4 {
			crash(t, system, b.PID(), i)
			time.Sleep(time.Hour)
		}
		for i, event := range heard.heard() {
			require.IsType(t, supervisor.Restarted{}, event)
			assert.Equal(t, i+1, event.(supervisor.Restarted).Restarts, "the window does not matter")
		}
	})
}

func TestEvents_tell_that_a_child_stopped_by_itself(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), stranger{name: "a"}))
		pid := status(t, sup, "a").PID
		system.Root.Send(pid, do(func(ctx protoactor.Context) { ctx.Stop(ctx.Self()) }))
		synctest.Wait()
		assert.Equal(t, []any{
			supervisor.Started{Child: "a", PID: pid},
			supervisor.Stopped{Child: "a"},
		}, heard.heard())
		assert.Equal(t, []string{"a stopped"}, states(sup))
	})
}

// A child that is ready and stops at once is announced as both: the word that it has
// terminated overtakes its report on the way to the supervisor.
func TestEvents_keep_their_order_when_a_child_is_ready_and_gone_at_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var pid *protoactor.PID
		hasty := oddAnnouncer{oddChild: oddChild{name: func() string { return "hasty" }}}
		hasty.announce = func(report actor.Report) *protoactor.Props {
			return protoactor.PropsFromFunc(func(ctx protoactor.Context) {
				if _, ok := ctx.Message().(*protoactor.Started); ok {
					report(nil)
					ctx.Stop(ctx.Self())
				}
			}, protoactor.WithSpawnFunc(func(
				system *protoactor.ActorSystem, id string, props *protoactor.Props, parent protoactor.SpawnerContext,
			) (*protoactor.PID, error) {
				var err error
				pid, err = protoactor.DefaultSpawner(system, id, props, parent)
				synctest.Wait() // in the supervisor's turn: it hears of nothing until the child is gone
				return pid, err
			}))
		}

		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), hasty))
		synctest.Wait()
		assert.Equal(t, []any{
			supervisor.Started{Child: "hasty", PID: pid},
			supervisor.Stopped{Child: "hasty"},
		}, heard.heard())
		assert.Equal(t, []string{"hasty stopped"}, states(sup))
		assert.Nil(t, status(t, sup, "hasty").PID)
	})
}

func TestEvents_survive_a_subscriber_that_panics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, lines := logtest.NewNullLogger()
		system := newSystem()
		system.EventStream.Subscribe(func(event any) {
			switch event.(type) {
			case supervisor.Started, supervisor.Vetoed, supervisor.Restarted, supervisor.GaveUp, supervisor.Stopped:
				panic("rubbish subscriber")
			}
		})
		a, b := newBucket("a"), newBucket("b")
		sup := newSupervisor(t, system, supervisor.Logger(logger), supervisor.MaxRestarts(1, time.Hour))
		require.NoError(t, sup.Start(t.Context(), a, b))
		require.ErrorIs(t, sup.Add(t.Context(), vetoing("shop")), errClosed)
		crash(t, system, a.PID(), "oops")
		time.Sleep(time.Second)
		assert.Equal(t, []string{"a running", "b running"}, states(sup))
		crash(t, system, a.PID(), "oops")
		assert.Equal(t, []string{"a given up", "b running"}, states(sup))
		require.NoError(t, sup.Remove(t.Context(), "b"))
		require.NoError(t, sup.Stop(t.Context()))

		complaints := 0
		for _, line := range lines.AllEntries() {
			if line.Level == logrus.ErrorLevel && line.Message == "a subscriber of the event stream panicked" {
				complaints++
			}
		}
		assert.Equal(t, 7, complaints, "once for each event")
	})
}

func TestEvents_let_a_subscriber_look_at_the_supervisor(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		sup := newSupervisor(t, system)
		var seen [][]string
		system.EventStream.Subscribe(func(event any) {
			switch event.(type) {
			case supervisor.Started, supervisor.Stopped:
				seen = append(seen, states(sup))
			}
		})
		require.NoError(t, sup.Start(t.Context(), newBucket("a"), newBucket("b")))
		require.NoError(t, sup.Remove(t.Context(), "a"))
		assert.Equal(t, [][]string{{"a running"}, {"a running", "b running"}, {"b running"}}, seen,
			"Status never blocks, and is up to date when the event comes")
	})
}

func TestLog_has_one_line_a_crash_with_the_stack(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, lines := logtest.NewNullLogger()
		system := newSystem()
		a := newBucket("a")
		sup := newSupervisor(t, system, supervisor.Logger(logger),
			supervisor.MaxRestarts(1, time.Hour), supervisor.Backoff(time.Second, time.Second))
		require.NoError(t, sup.Start(t.Context(), a))
		assert.Empty(t, lines.AllEntries())

		crash(t, system, a.PID(), errClosed)
		time.Sleep(time.Minute)
		require.Len(t, lines.AllEntries(), 1)
		line := lines.LastEntry()
		assert.Equal(t, "child crashed; restarting it", line.Message)
		assert.Equal(t, "a", line.Data["child"])
		assert.Equal(t, 1, line.Data["failures"])
		assert.InDelta(t, time.Second, line.Data["pause"], float64(time.Second/5))
		assert.ErrorIs(t, line.Data[logrus.ErrorKey].(error), errClosed)
		assert.Contains(t, line.Data["stack"], "bucket", "where it happened")

		crash(t, system, a.PID(), "again")
		require.Len(t, lines.AllEntries(), 2)
		assert.Equal(t, "child crashed too often; it stays stopped", lines.LastEntry().Message)
	})
}

// spiteful is an error that cannot be printed.
type spiteful struct{ text *string }

func (s spiteful) Error() string { return *s.text }

// brokenHook is a hook of somebody's log service.
type brokenHook struct{}

func (brokenHook) Levels() []logrus.Level   { return logrus.AllLevels }
func (brokenHook) Fire(*logrus.Entry) error { panic("broken hook") }

// A panic while the supervisor judges a failure would take the supervisor down, and all
// children with it.
func TestSupervisor_survives_what_the_log_does_with_a_failure(t *testing.T) {
	var out bytes.Buffer
	strict := logrus.New()
	strict.SetOutput(&out)
	strict.SetFormatter(&logrus.JSONFormatter{}) // calls Error without a recover
	broken, _ := logtest.NewNullLogger()
	broken.AddHook(brokenHook{})

	for _, tt := range []struct {
		name   string
		logger *logrus.Logger
		reason any
	}{
		{"an error that panics", strict, spiteful{}},
		{"a hook that panics", broken, "oops"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				system := newSystem()
				sibling, a := newBucket("sibling"), stranger{name: "a"}
				sup := newSupervisor(t, system, supervisor.Logger(tt.logger), supervisor.MaxRestarts(1, time.Hour))
				require.NoError(t, sup.Start(t.Context(), sibling, a))
				pid := sibling.PID()
				for _, want := range []string{"a running", "a given up"} {
					system.Root.Send(status(t, sup, "a").PID, do(func(protoactor.Context) { panic(tt.reason) }))
					time.Sleep(time.Second)
					require.Equal(t, []string{"sibling running", want}, states(sup))
				}
				requireUnharmed(t, sup, sibling, pid)
				assert.Zero(t, sibling.Stats().Restarts)
			})
		})
	}
	assert.Contains(t, out.String(), "child crashed", "what can be said is said")
}

func TestSupervisor_ignores_what_it_does_not_understand(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		a := newBucket("a", bucket.RefreshEvery(0))
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), a))
		for _, rubbish := range []any{
			"hello",
			do(nil),
			actor.Tick{},
			&protoactor.Touched{},
			&protoactor.Touched{Who: a.PID()},
			&protoactor.Terminated{Who: sup.PID()},
		} {
			system.Root.Send(sup.PID(), rubbish)
		}
		synctest.Wait()
		requireUnharmed(t, sup, a, a.PID())
	})
}
