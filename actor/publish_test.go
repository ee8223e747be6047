package actor_test

import (
	"errors"
	"testing"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// refreshed is an event.
type refreshed struct{ keys int }

func TestPublish_hands_the_event_to_the_subscribers_in_turn(t *testing.T) {
	system := quietSystem()
	require.NoError(t, actor.Publish(system, refreshed{3}), "nobody listens")

	var d diary
	system.EventStream.Subscribe(func(event any) { d.note("first:%v", event) })
	system.EventStream.Subscribe(func(event any) { d.note("second:%v", event) })
	require.NoError(t, actor.Publish(system, refreshed{3}))
	assert.Equal(t, "first:{3} second:{3}", d.pages(), "both have been called by now")
}

func TestPublish_returns_the_panic_of_a_subscriber_as_an_error(t *testing.T) {
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"a text", "boom", "actor: subscriber panicked on actor_test.refreshed: boom"},
		{"an error", errors.New("broken"), "actor: subscriber panicked on actor_test.refreshed: broken"},
		{"what cannot be shown", accursed{}, "actor: subscriber panicked on actor_test.refreshed: (unprintable actor_test.accursed)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			system := quietSystem()
			var d diary
			system.EventStream.Subscribe(func(any) { d.note("first") })
			angry := system.EventStream.Subscribe(func(any) { panic(tt.value) })
			system.EventStream.Subscribe(func(any) { d.note("last") })

			require.EqualError(t, actor.Publish(system, refreshed{3}), tt.want)
			assert.Equal(t, "first", d.pages(), "those behind it hear nothing")

			system.EventStream.Unsubscribe(angry)
			require.NoError(t, actor.Publish(system, refreshed{3}), "no lock has been left behind")
			assert.Equal(t, "first first last", d.pages())
		})
	}
}

func TestPublish_spares_the_actor_that_calls_it(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		system.EventStream.Subscribe(func(event any) {
			if _, ok := event.(refreshed); ok {
				panic("boom")
			}
		})
		var d diary
		it := spawn(t, system, actor.Guard(script{"refresh": func(ctx protoactor.Context) {
			ctx.Respond(actor.Publish(ctx.ActorSystem(), refreshed{3}).Error())
		}}.actor(&d), excuse))
		assert.Equal(t, reply{value: "actor: subscriber panicked on actor_test.refreshed: boom"}, <-ask(system, it, "refresh"))
		assert.Equal(t, "Started refresh", d.pages())
	})
}
