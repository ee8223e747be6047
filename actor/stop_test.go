package actor_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

func nap(d time.Duration) func(protoactor.Context) {
	return func(protoactor.Context) { time.Sleep(d) }
}

func TestStop_returns_when_the_actor_has_stopped(t *testing.T) {
	slow := func(at string) *protoactor.Props {
		return protoactor.PropsFromProducer(script{at: nap(10 * time.Second)}.actor(&diary{}))
	}
	tests := []struct {
		name   string
		script script
		want   string
		after  time.Duration
	}{
		{"at once", script{}, "Started Stopping Stopped", 0},
		{"when its Stopping is through", script{"Stopping": nap(10 * time.Second)}, "Started Stopping Stopped", 10 * time.Second},
		{"when its Stopped is through", script{"Stopped": nap(10 * time.Second)}, "Started Stopping Stopped", 10 * time.Second},
		{"when its children have stopped", script{"Started": spawnChild(slow("Stopping"))}, "Started Stopping Terminated Stopped", 10 * time.Second},
		{"when its children are through with Stopped", script{"Started": spawnChild(slow("Stopped"))}, "Started Stopping Terminated Stopped", 10 * time.Second},
	}
	for _, tt := range tests {
		run := func(t *testing.T, guarded bool) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				before := registered(system)
				var d diary
				props, guard := both(tt.script.actor(&d))
				if guarded {
					props = guard
				}
				it := spawn(t, system, props)
				synctest.Wait()
				begin := time.Now()
				require.NoError(t, actor.Stop(patiently(t), system, it))
				assert.Equal(t, tt.after, time.Since(begin))
				assert.Equal(t, tt.want, d.pages())
				assert.Equal(t, before, registered(system), "nothing is left")
			})
		}
		t.Run(tt.name+", plain", func(t *testing.T) { run(t, false) })
		t.Run(tt.name+", guarded", func(t *testing.T) { run(t, true) })
	}
}

// protoactor tells a watcher at once of an actor that is still stopping.
func TestStop_waits_for_a_stop_that_somebody_else_has_begun(t *testing.T) {
	tests := map[string]script{
		"and that waits for a child": {"Started": spawnChild(
			protoactor.PropsFromProducer(script{"Stopping": nap(10 * time.Second)}.actor(&diary{})))},
		"and that is in Stopping": {"Stopping": nap(10 * time.Second)},
	}
	for name, script := range tests {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				var d diary
				before := registered(system)
				it := spawn(t, system, actor.Guard(script.actor(&d), nil))
				synctest.Wait()
				begin := time.Now()
				system.Root.Stop(it)
				synctest.Wait()

				require.NoError(t, actor.Stop(patiently(t), system, it))
				synctest.Wait()
				assert.Contains(t, d.pages(), "Stopped")
				assert.GreaterOrEqual(t, time.Since(begin), 10*time.Second)
				assert.Less(t, time.Since(begin), 12*time.Second)
				assert.Equal(t, before, registered(system))
			})
		})
	}
}

// The watcher comes while the actor waits for a child, and the actor is slow with its
// last message: it has left the registry then, and has not stopped.
func TestStop_waits_for_Stopped_of_a_stop_that_somebody_else_has_begun(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		slow := protoactor.PropsFromProducer(script{"Stopping": nap(time.Second)}.actor(&diary{}))
		it := spawn(t, system, actor.Guard(script{
			"Started": spawnChild(slow),
			"Stopped": nap(10 * time.Second),
		}.actor(&diary{}), nil))
		synctest.Wait()
		begin := time.Now()
		system.Root.Stop(it)
		synctest.Wait()
		require.NoError(t, actor.Stop(patiently(t), system, it))
		assert.Equal(t, 11*time.Second, time.Since(begin))
	})
}

func TestStop_of_a_PID_at_which_nobody_lives_is_done(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var dead diary
		deadLetters(system, &dead)
		before := registered(system)
		begin := time.Now()
		require.NoError(t, actor.Stop(patiently(t), system, system.NewLocalPID("nobody")))
		require.NoError(t, actor.Stop(patiently(t), system, nil))

		it := spawn(t, system, idle())
		require.NoError(t, actor.Stop(patiently(t), system, it))
		require.NoError(t, actor.Stop(patiently(t), system, it), "once more")

		ctx, cancel := context.WithCancel(patiently(t))
		cancel()
		require.NoError(t, actor.Stop(ctx, system, it), "that is so whatever the context says")
		assert.Zero(t, time.Since(begin))
		assert.Equal(t, before, registered(system))
		assert.Empty(t, dead.pages())
	})
}

func TestStop_returns_when_the_context_ends_and_the_actor_stops_later(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		var d diary
		it := spawn(t, system, idleWith(&d, g))
		system.Root.Send(it, "hold")
		<-g.arrived
		before := registered(system)
		var dead diary
		deadLetters(system, &dead)

		begin := time.Now()
		ctx, cancel := context.WithTimeout(patiently(t), 3*time.Second)
		defer cancel()
		err := actor.Stop(ctx, system, it)
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "actor it has not stopped: context deadline exceeded")
		assert.Equal(t, 3*time.Second, time.Since(begin))
		assert.Equal(t, before, registered(system), "no watcher is left")

		g.open()
		synctest.Wait()
		assert.Equal(t, "Started hold Stopping Stopped", d.pages(), "it has been told")
		assert.Empty(t, dead.pages(), "and nobody makes a fuss about a watcher who has left")
	})
}

// idleWith is an actor that notes in d and can be held at g.
func idleWith(d *diary, g *gate) *protoactor.Props {
	return protoactor.PropsFromProducer(script{"hold": g.hold}.actor(d))
}

func TestStop_asks_again_until_an_unguarded_actor_is_gone(t *testing.T) {
	tests := []struct {
		name   string
		script func(g *gate) script
		want   string
	}{
		{
			name: "that panics while the Stop is in its queue",
			script: func(g *gate) script {
				return script{"Started": spawnChild(idle()), "crash": g.holdThen(explode)}
			},
			want: "Started crash Stopping Restarting Terminated Started Stopping Terminated Stopped",
		},
		{
			name: "that panics in Stopping, twice",
			script: func(g *gate) script {
				return script{"crash": g.hold, "Stopping": times(2, explode)}
			},
			want: "Started crash Stopping Restarting Started Stopping Restarting Started Stopping Stopped",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g := newGate()
				var d diary
				it := spawn(t, system, protoactor.PropsFromProducer(tt.script(g).actor(&d)))
				system.Root.Send(it, "crash")
				<-g.arrived

				stopped := make(chan error)
				go func() { stopped <- actor.Stop(patiently(t), system, it) }()
				synctest.Wait()
				g.open()
				require.NoError(t, <-stopped)
				assert.Equal(t, tt.want, d.pages())
				assert.False(t, alive(system, it))
			})
		})
	}
}

// protoactor never tells the watchers of such an actor.
func TestStop_returns_for_an_unguarded_actor_that_panics_in_Stopped(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		before := registered(system)
		it := spawn(t, system, protoactor.PropsFromProducer(script{"Stopped": explode}.actor(&diary{})))
		begin := time.Now()
		require.NoError(t, actor.Stop(patiently(t), system, it))
		assert.Less(t, time.Since(begin), time.Second)
		assert.Equal(t, before, registered(system))
	})
}

// The name may have a new bearer before the stop is known to be over.
func TestStop_spares_the_next_actor_of_that_name(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		old := spawn(t, system, protoactor.PropsFromProducer(script{"Stopped": g.hold}.actor(&diary{})))
		stopped := make(chan error)
		go func() { stopped <- actor.Stop(patiently(t), system, old) }()
		<-g.arrived // the name is free

		var d diary
		next := spawn(t, system, protoactor.PropsFromProducer(script{}.actor(&d)))
		time.Sleep(10 * time.Second)
		g.open()
		require.NoError(t, <-stopped)
		assert.Equal(t, "Started", d.pages())
		assert.True(t, alive(system, next))
	})
}

func TestStop_is_for_many_goroutines(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		before := registered(system)
		var d diary
		slow := protoactor.PropsFromProducer(script{"Stopping": nap(10 * time.Second)}.actor(&diary{}))
		it := spawn(t, system, actor.Guard(script{"Started": spawnChild(slow)}.actor(&d), nil))
		stopped := make(chan error)
		for range 20 {
			go func() { stopped <- actor.Stop(patiently(t), system, it) }()
		}
		for range 20 {
			require.NoError(t, <-stopped)
			assert.Equal(t, "Started Stopping Terminated Stopped", d.pages())
		}
		assert.Equal(t, before, registered(system))
	})
}
