package actor_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// soldOutError is an error of a type of its own.
type soldOutError struct{ item string }

func (e *soldOutError) Error() string { return e.item + " is sold out" }

func TestAsk_returns_the_reply(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		it := spawn(t, system, protoactor.PropsFromProducer(script{"price": respond(7)}.actor(&diary{})))
		price, err := actor.Ask[int](patiently(t), system, it, "price")
		require.NoError(t, err)
		assert.Equal(t, 7, price)
	})
}

func TestAsk_returns_what_kind_of_reply_it_got_instead(t *testing.T) {
	gone := &soldOutError{"tea"}
	tests := []struct {
		name    string
		reply   any
		ask     func(ctx context.Context, system *protoactor.ActorSystem, pid *protoactor.PID) (any, error)
		want    any
		wantErr error
		text    string
	}{
		{
			name: "another type", reply: "seven", ask: asking[int],
			want: 0, wantErr: actor.ErrReplyType,
			text: "actor: reply of an unexpected type: it answered with a string, not a int",
		},
		{
			name: "a value instead of a pointer", reply: soldOutError{}, ask: asking[*soldOutError],
			want: (*soldOutError)(nil), wantErr: actor.ErrReplyType,
			text: "actor: reply of an unexpected type: it answered with a actor_test.soldOutError, not a *actor_test.soldOutError",
		},
		{
			name: "a type that is not the interface", reply: 7, ask: asking[fmt.Stringer],
			want: nil, wantErr: actor.ErrReplyType,
			text: "actor: reply of an unexpected type: it answered with a int, not a fmt.Stringer",
		},
		{
			name: "nothing", reply: nil, ask: asking[int],
			want: 0, wantErr: actor.ErrReplyType,
			text: "actor: reply of an unexpected type: it answered with a <nil>, not a int",
		},
		{
			name: "a type that is the interface", reply: time.Second, ask: asking[fmt.Stringer],
			want: time.Second,
		},
		{
			name: "an error", reply: gone, ask: asking[int],
			want: 0, wantErr: gone, text: "tea is sold out",
		},
		{
			name: "an error that was asked for", reply: gone, ask: asking[*soldOutError],
			want: gone,
		},
		{
			name: "an error where any was asked for", reply: gone, ask: asking[any],
			want: gone,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				it := spawn(t, system, protoactor.PropsFromProducer(script{"price": respond(tt.reply)}.actor(&diary{})))
				got, err := tt.ask(patiently(t), system, it)
				assert.Equal(t, tt.want, got)
				if tt.wantErr == nil {
					require.NoError(t, err)
					return
				}
				require.ErrorIs(t, err, tt.wantErr)
				assert.EqualError(t, err, tt.text)
			})
		})
	}
}

// asking is Ask as a plain function, to stand in a table.
func asking[T any](ctx context.Context, system *protoactor.ActorSystem, pid *protoactor.PID) (any, error) {
	return actor.Ask[T](ctx, system, pid, "price")
}

func TestAsk_returns_ErrNoActor(t *testing.T) {
	asks := map[string]func(context.Context, *protoactor.ActorSystem, *protoactor.PID) (any, error){
		"asking for an int":  asking[int],
		"asking for any":     asking[any],
		"asking for nothing": asking[struct{}],
	}
	for name, ask := range asks {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				begin := time.Now()

				_, err := ask(patiently(t), system, system.NewLocalPID("nobody"))
				require.ErrorIs(t, err, actor.ErrNoActor, "of a PID that nobody ever had")
				assert.EqualError(t, err, "actor: nobody lives at this PID: nobody")

				it := spawn(t, system, protoactor.PropsFromProducer(script{}.actor(&diary{})))
				require.NoError(t, actor.Stop(patiently(t), system, it))
				_, err = ask(patiently(t), system, it)
				require.ErrorIs(t, err, actor.ErrNoActor, "of a PID whose actor has stopped")

				_, err = ask(patiently(t), system, nil)
				require.ErrorIs(t, err, actor.ErrNoActor, "of no PID at all")

				assert.Zero(t, time.Since(begin), "none of them after a time-out")
			})
		})
	}
}

func TestAsk_sends_nothing_when_the_context_is_over_already(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		it := spawn(t, system, protoactor.PropsFromProducer(script{"price": respond(7)}.actor(&d)))
		ctx, cancel := context.WithCancel(patiently(t))
		cancel()
		_, err := actor.Ask[int](ctx, system, it, "price")
		synctest.Wait()
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, "Started", d.pages())

		_, err = actor.Ask[int](ctx, system, nil, "price")
		require.ErrorIs(t, err, context.Canceled, "before anything else")
	})
}

func TestAsk_returns_as_soon_as_the_context_ends(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		it := spawn(t, system, protoactor.PropsFromProducer(script{"price": g.holdThen(respond(7))}.actor(&diary{})))

		begin := time.Now()
		ctx, cancel := context.WithTimeout(patiently(t), 3*time.Second)
		defer cancel()
		_, err := actor.Ask[int](ctx, system, it, "price")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, 3*time.Second, time.Since(begin))

		ctx, cancel = context.WithCancel(patiently(t))
		time.AfterFunc(time.Second, cancel)
		_, err = actor.Ask[int](ctx, system, it, "price")
		require.ErrorIs(t, err, context.Canceled)
		assert.Equal(t, 4*time.Second, time.Since(begin))

		g.open() // both answers come, too late
		synctest.Wait()
		price, err := actor.Ask[int](patiently(t), system, it, "price")
		require.NoError(t, err)
		assert.Equal(t, 7, price, "and the next asker is none the worse")
	})
}

// chatterbox answers twice before its asker can look.
type chatterbox struct{ system *protoactor.ActorSystem }

func (c chatterbox) SendUserMessage(_ *protoactor.PID, msg any) {
	sender := protoactor.UnwrapEnvelopeSender(msg)
	c.system.Root.Send(sender, "first")
	c.system.Root.Send(sender, "second")
}
func (chatterbox) SendSystemMessage(*protoactor.PID, any) {}
func (chatterbox) Stop(*protoactor.PID)                   {}

func TestAsk_takes_the_first_of_two_replies(t *testing.T) {
	t.Run("from a process that is faster than the asker", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			pid, _ := system.ProcessRegistry.Add(chatterbox{system}, "chatterbox")
			reply, err := actor.Ask[string](patiently(t), system, pid, "say")
			require.NoError(t, err)
			assert.Equal(t, "first", reply)
		})
	})
	t.Run("from an actor", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			it := spawn(t, system, protoactor.PropsFromFunc(func(ctx protoactor.Context) {
				if msg, ok := ctx.Message().(int); ok {
					ctx.Respond(msg)
					ctx.Respond(-msg)
				}
			}))
			for i := 1; i <= 100; i++ {
				reply, err := actor.Ask[int](patiently(t), system, it, i)
				require.NoError(t, err)
				require.Equal(t, i, reply)
			}
		})
	})
}

func TestAsk_leaves_nothing_behind(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		it := spawn(t, system, protoactor.PropsFromProducer(script{
			"price": respond(7),
			"fail":  respond(errors.New("no")),
			"hold":  g.holdThen(respond(8)),
		}.actor(&diary{})))
		before := registered(system)

		_, err := actor.Ask[int](patiently(t), system, it, "price")
		require.NoError(t, err)
		assert.Equal(t, before, registered(system), "after a reply")

		_, err = actor.Ask[string](patiently(t), system, it, "price")
		require.Error(t, err)
		assert.Equal(t, before, registered(system), "after a reply of the wrong type")

		_, err = actor.Ask[int](patiently(t), system, it, "fail")
		require.Error(t, err)
		assert.Equal(t, before, registered(system), "after an error")

		_, err = actor.Ask[int](patiently(t), system, system.NewLocalPID("nobody"), "price")
		require.Error(t, err)
		assert.Equal(t, before, registered(system), "after a dead letter")

		ctx, cancel := context.WithTimeout(patiently(t), time.Second)
		defer cancel()
		_, err = actor.Ask[int](ctx, system, it, "hold")
		require.Error(t, err)
		assert.Equal(t, before, registered(system), "after the end of the context")

		g.open()
		time.Sleep(2 * time.Second)
		synctest.Wait()
		assert.Equal(t, before, registered(system), "after a reply that came too late")
	})
}

func TestAsk_gives_each_of_many_goroutines_its_own_reply(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		it := spawn(t, system, protoactor.PropsFromFunc(func(ctx protoactor.Context) {
			if msg, ok := ctx.Message().(int); ok {
				ctx.Respond(strconv.Itoa(msg))
			}
		}))
		before := registered(system)
		var all sync.WaitGroup
		for asker := range 50 {
			all.Go(func() {
				for i := range 20 {
					msg := asker*1000 + i
					reply, err := actor.Ask[string](patiently(t), system, it, msg)
					assert.NoError(t, err)
					assert.Equal(t, strconv.Itoa(msg), reply)
				}
			})
		}
		all.Wait()
		assert.Equal(t, before, registered(system))
	})
}

// hasty is a request whose asker gives up while it is being answered.
type hasty struct {
	number int
	giveUp context.CancelFunc
}

// With protoactor's Future this is a data race. Here it does not matter who wins.
func TestAsk_does_not_race_with_a_reply_that_comes_as_it_gives_up(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		it := spawn(t, system, protoactor.PropsFromFunc(func(ctx protoactor.Context) {
			if msg, ok := ctx.Message().(hasty); ok {
				go msg.giveUp()
				ctx.Respond(msg.number)
				ctx.Respond(-msg.number)
			}
		}))
		for i := 1; i <= 200; i++ {
			ctx, cancel := context.WithCancel(patiently(t))
			reply, err := actor.Ask[int](ctx, system, it, hasty{i, cancel})
			cancel()
			if err != nil {
				require.ErrorIs(t, err, context.Canceled)
				require.Zero(t, reply)
			} else {
				require.Equal(t, i, reply)
			}
			synctest.Wait()
		}
	})
}
