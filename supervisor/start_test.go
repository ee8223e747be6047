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
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

func TestStart_begins_a_child_when_the_one_before_is_ready(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		initGate, startGate := newGate(t), newGate(t)
		init := func(name string, wait func()) func(context.Context) (map[string]int, error) {
			return func(context.Context) (map[string]int, error) {
				d.note(name + " init")
				wait()
				return nil, nil
			}
		}
		first := bucketWithInit("first", init("first", func() {}))
		slow := bucketWithInit("slow", init("slow", initGate.wait))
		foreign := stranger{name: "foreign", diary: &d, first: on[*protoactor.Started](startGate.waitIn)}
		last := bucketWithInit("last", init("last", func() {}))

		sup := newSupervisor(t, newSystem())
		start := background(func() error { return sup.Start(t.Context(), first, slow, foreign, last) })
		requirePending(t, start, "Start")
		assert.Equal(t, []string{"first init", "slow init"}, d.read())
		assert.Equal(t, []string{"first running", "slow starting"}, states(sup))

		initGate.open()
		requirePending(t, start, "Start")
		assert.Equal(t, []string{"foreign started"}, d.read(), "slow is ready, and last is not spawned before foreign has started")
		assert.Equal(t, []string{"first running", "slow running", "foreign starting"}, states(sup))

		startGate.open()
		require.NoError(t, <-start)
		assert.Equal(t, []string{"last init"}, d.read())
		assert.Equal(t, []string{"first running", "slow running", "foreign running", "last running"}, states(sup))
		for _, b := range []numbers{first, slow, last} {
			value, err := b.Fetch(t.Context(), "four")
			require.NoError(t, err)
			assert.Equal(t, 4, value)
		}
	})
}

func TestStart_stops_what_had_started_in_reverse_when_a_child_vetoes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var d diary
		slow := newGate(t)
		a, c := newBucket("a"), newBucket("c")
		b := stranger{name: "b", diary: &d, first: on[*protoactor.Stopping](slow.waitIn)}
		never := stranger{name: "never", diary: &d}

		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		start := background(func() error { return sup.Start(t.Context(), a, b, c, vetoing("shop"), never) })
		requirePending(t, start, "Start")
		assert.Equal(t, []string{"Started a", "Started b", "Started c", "Vetoed shop", "Stopped c"}, heard.titles(),
			"a is not told before b is gone")

		slow.open()
		err := <-start
		requireStartError(t, err, "shop")
		require.ErrorIs(t, err, errClosed)
		assert.True(t, loader.IsVeto(err))
		assert.ErrorContains(t, err, `start of "shop"`)
		assert.Equal(t, []string{"Stopped b", "Stopped a"}, heard.titles())
		assert.Equal(t, []string{"b started", "b stopping", "b stopped"}, d.read(), "never is not even spawned")
		assert.Nil(t, sup.PID(), "the supervisor has stopped, too")
		assert.Empty(t, sup.Children())
		for _, bucketOf := range []numbers{a, c} {
			_, err := bucketOf.Fetch(t.Context(), "x")
			assert.ErrorIs(t, err, bucket.ErrStopped)
		}
	})
}

func TestStart_can_be_repeated_after_a_veto(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		open := false
		shop := bucketWithInit("shop", func(context.Context) (map[string]int, error) {
			if !open {
				return nil, loader.Veto(errClosed)
			}
			return map[string]int{"bread": 3}, nil
		})
		before := newBucket("before")
		sup := newSupervisor(t, newSystem())
		for range 3 {
			require.ErrorIs(t, sup.Start(t.Context(), before, shop), errClosed)
		}

		open = true
		require.NoError(t, sup.Start(t.Context(), before, shop), "every name is free again")
		price, ok := shop.DirectGet("bread")
		assert.True(t, ok)
		assert.Equal(t, 3, price)
	})
}

func TestStart_gives_the_reason_when_a_bucket_has_a_bad_option(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		good := newBucket("good")
		sup := newSupervisor(t, newSystem())
		err := sup.Start(t.Context(), good, newBucket("prices").With(bucket.MaxConcurrentLoads(-3)))
		requireStartError(t, err, "prices")
		require.ErrorIs(t, err, bucket.ErrConfig)
		assert.ErrorContains(t, err, "MaxConcurrentLoads(-3)")
		assert.Nil(t, good.PID())
	})
}

func TestStart_undoes_everything_when_ctx_ends_while_Init_hangs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		hang := newGate(t)
		deaf := bucketWithInit("deaf", func(context.Context) (map[string]int, error) {
			hang.wait() // and never looks at its context
			return nil, nil
		})
		before, after := newBucket("before"), newBucket("after")
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)

		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		begun := time.Now()
		err := sup.Start(ctx, before, deaf, after)
		assert.Equal(t, 5*time.Second, time.Since(begun), "not a moment later")
		requireStartError(t, err, "deaf")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, []string{"Started before", "Vetoed deaf", "Stopped before"}, heard.titles())
		assert.Nil(t, sup.PID())
		assert.Nil(t, before.PID())
		assert.Nil(t, deaf.PID())

		hang.open()
		synctest.Wait()
		assert.Nil(t, deaf.PID(), "an Init that ends late changes nothing")
		require.NoError(t, sup.Start(t.Context(), before, deaf, after))
	})
}

func TestStart_gives_up_the_cleanup_after_ten_seconds_and_says_so(t *testing.T) {
	for _, tt := range []struct {
		name    string
		running bool
		want    time.Duration
	}{
		{"of a supervisor that runs", true, 10 * time.Second},
		{"of one that this call has started", false, 20 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				var d diary
				hang := newGate(t)
				stubborn := stranger{name: "stubborn", diary: &d, first: on[*protoactor.Stopping](hang.waitIn)}
				sup := newSupervisor(t, newSystem())
				if tt.running {
					require.NoError(t, sup.Start(t.Context()))
				}

				begun := time.Now()
				err := sup.Start(t.Context(), stubborn, vetoing("shop"))
				require.ErrorIs(t, err, errClosed)
				assert.ErrorContains(t, err, `"stubborn" has not stopped`)
				assert.Equal(t, tt.want, time.Since(begun))

				hang.open()
				synctest.Wait()
				assert.Equal(t, []string{"stubborn started", "stubborn stopping", "stubborn stopped"}, d.read())
			})
		})
	}
}

func TestStart_tells_of_a_refusal_when_the_child_is_gone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		slow := newGate(t)
		refusing := oddAnnouncer{oddChild: oddChild{name: func() string { return "refusing" }}}
		refusing.announce = func(report actor.Report) *protoactor.Props {
			return protoactor.PropsFromFunc(func(ctx protoactor.Context) {
				switch ctx.Message().(type) {
				case *protoactor.Started:
					report(errClosed)
					ctx.Stop(ctx.Self())
				case *protoactor.Stopping:
					slow.wait()
				}
			})
		}
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context()))
		start := background(func() error { return sup.Start(t.Context(), refusing) })
		requirePending(t, start, "Start")
		slow.open()
		err := <-start
		requireStartError(t, err, "refusing")
		require.ErrorIs(t, err, errClosed)
		assert.Equal(t, []string{"Vetoed refusing"}, heard.titles())
	})
}

func TestStart_says_of_a_child_that_stops_without_a_word_that_it_stopped_early(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		silent := oddAnnouncer{oddChild: oddChild{name: func() string { return "silent" }}}
		silent.announce = func(actor.Report) *protoactor.Props {
			return protoactor.PropsFromFunc(on[*protoactor.Started](func(ctx protoactor.Context) { ctx.Stop(ctx.Self()) }))
		}
		err := newSupervisor(t, newSystem()).Start(t.Context(), silent)
		requireStartError(t, err, "silent")
		require.ErrorIs(t, err, supervisor.ErrStoppedEarly)
	})
}

func TestStart_with_a_ctx_that_has_ended_starts_nothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		b := newBucket("b")
		sup := newSupervisor(t, system)
		for range 30 { // a select between two that are ready tosses a coin
			require.ErrorIs(t, sup.Start(ended()), context.Canceled)
			require.ErrorIs(t, sup.Start(ended(), b), context.Canceled)
			require.ErrorIs(t, sup.Add(ended(), b), context.Canceled)
			require.ErrorIs(t, sup.Remove(ended(), "b"), context.Canceled)
		}
		assert.Nil(t, sup.PID())
		assert.Empty(t, heard.heard())
	})
}

func TestStart_refuses_two_children_of_one_name(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		first, other := newBucket("twin"), stranger{name: "twin"}
		sup := newSupervisor(t, newSystem())
		err := sup.Start(t.Context(), first, other)
		requireStartError(t, err, "twin")
		require.ErrorIs(t, err, supervisor.ErrDuplicate)
		assert.Nil(t, first.PID())
	})
}

func TestStart_refuses_one_bucket_twice(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		system := newSystem()
		sup := newSupervisor(t, system)
		require.ErrorIs(t, sup.Start(t.Context(), b, b.With(bucket.RefreshEvery(0))), supervisor.ErrDuplicate)
		assert.Nil(t, b.PID())

		require.NoError(t, sup.Start(t.Context(), b))
		pid := b.PID()
		err := newSupervisor(t, system).Start(t.Context(), b)
		requireStartError(t, err, "b")
		require.ErrorIs(t, err, bucket.ErrAlreadyRunning, "under another supervisor")
		requireUnharmed(t, sup, b, pid)
	})
}

func TestStart_refuses_a_bucket_whose_name_another_bucket_has_anywhere_in_the_system(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		first, second := newBucket("prices"), newBucket("prices")
		system := newSystem()
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), first))
		pid := first.PID()

		other := newSupervisor(t, system)
		err := other.Start(t.Context(), second)
		requireStartError(t, err, "prices")
		require.ErrorIs(t, err, bucket.ErrNameTaken)
		requireUnharmed(t, sup, first, pid)
		assert.Nil(t, second.PID())

		require.NoError(t, sup.Remove(t.Context(), "prices"))
		require.NoError(t, other.Start(t.Context(), second), "the name is free as soon as the first is gone")
		require.NoError(t, newSupervisor(t, newSystem()).Start(t.Context(), first), "and in another system it always was")
	})
}

func requireUnharmed(t *testing.T, sup *supervisor.Supervisor, b numbers, pid *protoactor.PID) {
	t.Helper()
	assert.Same(t, pid, b.PID())
	assert.Equal(t, bucket.Ready, b.Health().State)
	assert.Equal(t, supervisor.Running, status(t, sup, b.Name()).State)
	seed, err := b.Fetch(t.Context(), "seed")
	require.NoError(t, err)
	assert.Equal(t, 4, seed)
}

func TestStart_of_a_supervisor_that_runs_adds_and_undoes_only_its_own(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		a, b := newBucket("a"), newBucket("b")
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		require.NoError(t, sup.Start(t.Context(), a))
		pid := sup.PID()
		require.NoError(t, sup.Start(t.Context()), "nothing more is nothing to do")

		require.ErrorIs(t, sup.Start(t.Context(), b, vetoing("shop")), errClosed)
		assert.Same(t, pid, sup.PID(), "this call has not started the supervisor, so it does not stop it")
		assert.Equal(t, []string{"a running"}, states(sup))
		require.ErrorIs(t, sup.Start(t.Context(), b, a), supervisor.ErrDuplicate)
		assert.Equal(t, []string{"a running"}, states(sup))
		assert.Equal(t, []string{"Started a", "Started b", "Vetoed shop", "Stopped b", "Started b", "Stopped b"}, heard.titles())

		require.NoError(t, sup.Start(t.Context(), b))
		assert.Equal(t, []string{"a running", "b running"}, states(sup))
	})
}

func TestStart_can_be_called_by_many_at_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sup := newSupervisor(t, newSystem())
		outcomes := make(chan error)
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		for _, name := range names {
			go func() { outcomes <- sup.Start(t.Context(), newBucket(name)) }()
		}
		for range names {
			require.NoError(t, <-outcomes)
		}
		var found []string
		for _, child := range sup.Status() {
			assert.Equal(t, supervisor.Running, child.State)
			assert.Equal(t, sup.PID().Id+"/"+child.Name, child.PID.Id, "all under one supervisor")
			found = append(found, child.Name)
		}
		assert.ElementsMatch(t, names, found)
	})
}

func TestStart_begins_with_the_children_of_With(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		a, b, c := newBucket("a"), newBucket("b"), newBucket("c")
		sup := newSupervisor(t, system, supervisor.With(a), supervisor.With(b))
		require.NoError(t, sup.Start(t.Context(), c))
		assert.Equal(t, []string{"Started a", "Started b", "Started c"}, heard.titles())

		require.NoError(t, sup.Stop(t.Context()))
		require.NoError(t, sup.Start(t.Context()))
		assert.Equal(t, []string{"a running", "b running"}, states(sup), "those of With start each time, c was added")
		require.NoError(t, sup.Stop(t.Context()))
		heard.heard()

		require.ErrorIs(t, sup.Start(t.Context(), c, vetoing("shop")), errClosed)
		assert.Equal(t, []string{
			"Started a", "Started b", "Started c", "Vetoed shop", "Stopped c", "Stopped b", "Stopped a",
		}, heard.titles())
	})
}

func TestStart_stops_the_children_of_With_in_reverse_when_one_of_them_vetoes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system, supervisor.With(newBucket("a"), newBucket("b"), vetoing("shop")))
		err := sup.Start(t.Context(), newBucket("never"))
		requireStartError(t, err, "shop")
		require.ErrorIs(t, err, errClosed)
		assert.Equal(t, []string{"Started a", "Started b", "Vetoed shop", "Stopped b", "Stopped a"}, heard.titles())
		assert.Nil(t, sup.PID())
	})
}

func TestStart_without_New_is_both_lines(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		b := newBucket("b")
		sup, err := supervisor.Start(t.Context(), system, b)
		require.NoError(t, err)
		assert.Equal(t, []string{"b running"}, states(sup))
		require.NoError(t, sup.Stop(t.Context()))

		sup, err = supervisor.Start(t.Context(), system, b, vetoing("shop"))
		requireStartError(t, err, "shop")
		assert.Nil(t, sup)
		assert.Nil(t, b.PID())
	})
}
