package actor_test

import (
	"math"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// clock is an actor that notes each Tick, and when.
func clock(d *diary) *protoactor.Props {
	begin := time.Now()
	return protoactor.PropsFromFunc(func(ctx protoactor.Context) {
		if tick, ok := ctx.Message().(actor.Tick); ok {
			d.note("%v/%d@%v", tick.Message, tick.Incarnation, time.Since(begin))
		}
	})
}

func TestAfter_sends_the_tick_once_when_it_is_due(t *testing.T) {
	tests := []struct {
		name string
		d    time.Duration
		want string
	}{
		{"later", 3 * time.Second, "tick/9@3s"},
		{"at once", 0, "tick/9@0s"},
		{"for a time that has passed", -time.Hour, "tick/9@0s"},
		{"for the beginning of time", math.MinInt64, "tick/9@0s"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				var d diary
				it := spawn(t, system, clock(&d))
				actor.After(system, it, tt.d, actor.Tick{Incarnation: 9, Message: "tick"})
				time.Sleep(time.Hour)
				assert.Equal(t, tt.want, d.pages())
			})
		})
	}
}

func TestTimer_Stop_keeps_the_tick_from_coming(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		it := spawn(t, system, clock(&d))
		timer := actor.After(system, it, 3*time.Second, actor.Tick{Message: "tick"})
		time.Sleep(3*time.Second - 1)
		timer.Stop()
		timer.Stop()
		time.Sleep(time.Hour)
		assert.Empty(t, d.pages())

		timer = actor.After(system, it, 0, actor.Tick{Message: "tock"})
		synctest.Wait()
		timer.Stop() // too late, and no harm
		assert.Equal(t, "tock/0@1h0m2.999999999s", d.pages())

		var none *actor.Timer
		none.Stop()
	})
}

func TestTick_for_an_actor_that_is_gone_stays_out_of_the_log(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *protoactor.ActorSystem) {
		system, hook := loggedSystem()
		it := spawn(t, system, idle())
		require.NoError(t, actor.Stop(patiently(t), system, it))
		hook.Reset()
		actor.After(system, it, time.Second, actor.Tick{Message: "tick"})
		time.Sleep(time.Minute)
		assert.Empty(t, hook.AllEntries())

		system.Root.Send(it, "no tick")
		require.Len(t, hook.AllEntries(), 1, "unlike anything else")
		assert.Equal(t, "[DeadLetter]", hook.LastEntry().Message)
	})
}

func TestNewIncarnation_is_never_twice_the_same_and_never_zero(t *testing.T) {
	seen := make(chan actor.Incarnation, 10_000)
	var all sync.WaitGroup
	for range 10 {
		all.Go(func() {
			for range 1000 {
				seen <- actor.NewIncarnation()
			}
		})
	}
	all.Wait()
	close(seen)
	unique := map[actor.Incarnation]bool{0: true}
	for incarnation := range seen {
		assert.False(t, unique[incarnation], "%d", incarnation)
		unique[incarnation] = true
	}
}

// poller does something every second, as the doc of Tick has it.
type poller struct {
	diary       *diary
	begin       time.Time
	incarnation actor.Incarnation
	timer       *actor.Timer
}

func (p *poller) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		p.incarnation = actor.NewIncarnation()
		p.wait(ctx)
	case actor.Tick:
		if msg.Incarnation != p.incarnation {
			p.diary.note("stale@%v", time.Since(p.begin))
			return
		}
		p.diary.note("poll@%v", time.Since(p.begin))
		p.wait(ctx)
	case time.Duration:
		time.Sleep(msg)
		panic("boom")
	case *protoactor.Stopping, *protoactor.Restarting:
		p.timer.Stop()
	}
}

func (p *poller) wait(ctx protoactor.Context) {
	p.timer = actor.After(ctx.ActorSystem(), ctx.Self(), time.Second, actor.Tick{Incarnation: p.incarnation})
}

// The timer fires while the actor works on the message that it panics on: its tick is
// queued, and stopping the timer cannot take it back.
func TestTick_of_an_old_incarnation_can_be_told_from_the_new_one_s(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		begin := time.Now()
		it := spawn(t, system, actor.Guard(func() protoactor.Actor { return &poller{diary: &d, begin: begin} }, nil))
		system.Root.Send(it, 1500*time.Millisecond)
		time.Sleep(4 * time.Second)
		assert.Equal(t, "stale@1.5s poll@2.5s poll@3.5s", d.pages(), "the old tick does not count, nor does it double the pace")

		require.NoError(t, actor.Stop(patiently(t), system, it))
		time.Sleep(time.Minute)
		assert.Equal(t, "stale@1.5s poll@2.5s poll@3.5s", d.pages(), "and the last timer has been stopped")
	})
}
