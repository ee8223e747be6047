package bucket_test

import (
	"context"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// listener is an actor that keeps what it is sent. It waits at its gate before each message.
type listener struct {
	pid  *protoactor.PID
	gate chan struct{} // nil is none
	got  chan any
}

func newListener(t *testing.T, system *protoactor.ActorSystem, gate chan struct{}) *listener {
	t.Helper()
	l := &listener{gate: gate, got: make(chan any, 1_000_000)}
	l.pid = system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
		switch ctx.Message().(type) {
		case protoactor.SystemMessage, protoactor.AutoReceiveMessage, protoactor.AutoRespond:
			return
		}
		if l.gate != nil {
			<-l.gate
		}
		l.got <- ctx.Message()
	}))
	t.Cleanup(func() { system.Root.Stop(l.pid) })
	return l
}

// send sends msg as the listener.
func (l *listener) send(system *protoactor.ActorSystem, b *bucket.Bucket[string, int], msg any) {
	system.Root.RequestWithCustomSender(b.PID(), msg, l.pid)
	synctest.Wait()
}

// take returns the changes that have come since the last time, and what else has.
func (l *listener) take() (changes []bucket.Change[any, any], others []any) {
	synctest.Wait()
	for {
		select {
		case msg := <-l.got:
			if part, ok := msg.(bucket.Changes); ok {
				changes = append(changes, part.Changes...)
				continue
			}
			others = append(others, msg)
		default:
			return changes, others
		}
	}
}

// deliveries counts the goroutines that carry changes to actors.
func deliveries() int {
	stacks := make([]byte, 1<<20)
	return strings.Count(string(stacks[:runtime.Stack(stacks, true)]), ").deliver(")
}

func TestSubscribe_sends_an_actor_the_changes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		type change = bucket.Change[any, any]
		src := newSource(map[string]int{"a": 1, "b": 2, "late": 7})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 2}, nil },
		}, quiet())
		system, _ := start(t, b)
		l := newListener(t, system, nil)
		l.send(system, b, bucket.Subscribe{})
		l.send(system, b, bucket.Subscribe{}) // twice is once
		changes, others := l.take()
		assert.Empty(t, changes)
		assert.Equal(t, []any{bucket.Done{}, bucket.Done{}}, others)

		require.NoError(t, b.DirectSet(t.Context(), "a", 5))
		require.NoError(t, b.DirectSet(t.Context(), "a", 5)) // the same
		_, err := b.Fetch(t.Context(), "late")
		require.NoError(t, err)
		src.fail("b", loader.ErrNotFound)
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		changes, others = l.take()
		assert.Empty(t, others)
		require.Len(t, changes, 4)
		assert.Equal(t, []change{
			{Kind: bucket.Changed, Key: "a", Old: 1, New: 5, Seq: 1, Generation: 1},
			{Kind: bucket.Added, Key: "late", New: 7, Seq: 2, Generation: 1},
		}, changes[:2])
		published := changes[2:]
		assert.Equal(t, []uint64{3, 4}, []uint64{published[0].Seq, published[1].Seq})
		published[0].Seq, published[1].Seq = 0, 0
		assert.ElementsMatch(t, []change{
			{Kind: bucket.Changed, Key: "a", Old: 5, New: 1, Generation: 2},
			{Kind: bucket.Removed, Key: "b", Old: 2, Generation: 2},
		}, published)

		l.send(system, b, bucket.Unsubscribe{})
		l.send(system, b, bucket.Unsubscribe{})
		require.NoError(t, b.DirectSet(t.Context(), "a", 6))
		changes, others = l.take()
		assert.Empty(t, changes)
		assert.Equal(t, []any{bucket.Done{}, bucket.Done{}}, others)

		l.send(system, b, bucket.Subscribe{})
		require.NoError(t, b.DirectSet(t.Context(), "a", 7))
		changes, _ = l.take()
		assert.Len(t, changes, 1)
	})
}

func TestSubscribe_can_be_asked_for_another(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		system, _ := start(t, b)
		l := newListener(t, system, nil)
		_, err := actor.Ask[bucket.Done](t.Context(), system, b.PID(), bucket.Subscribe{To: l.pid})
		require.NoError(t, err)
		require.NoError(t, b.DirectSet(t.Context(), "a", 1))
		changes, others := l.take()
		assert.Len(t, changes, 1)
		assert.Empty(t, others)
		_, err = actor.Ask[bucket.Done](t.Context(), system, b.PID(), bucket.Unsubscribe{To: l.pid})
		require.NoError(t, err)
		require.NoError(t, b.DirectSet(t.Context(), "a", 2))
		changes, _ = l.take()
		assert.Empty(t, changes)

		system.Root.Send(b.PID(), bucket.Subscribe{}) // nobody asked
		system.Root.Send(b.PID(), bucket.Unsubscribe{})
		synctest.Wait()
		assert.Zero(t, b.Stats().Restarts)
	})
}

func TestSubscribe_sends_no_more_than_is_handled(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const sets = 80_000
		b := bucket.New("widgets", newSource(nil), quiet())
		system, _ := start(t, b)
		l := newListener(t, system, make(chan struct{}))
		l.send(system, b, bucket.Subscribe{})
		l.gate <- struct{}{} // for the Done
		for i := range sets {
			require.NoError(t, b.DirectSet(t.Context(), "a", i))
		}
		synctest.Wait()
		close(l.gate)
		var last uint64
		missed, most := 0, 0
		for synctest.Wait(); len(l.got) > 0; synctest.Wait() {
			part, ok := (<-l.got).(bucket.Changes)
			if !ok {
				continue
			}
			most = max(most, len(part.Changes))
			for _, c := range part.Changes {
				if c.Kind == bucket.Missed {
					missed++
					assert.Nil(t, c.Key)
					assert.Nil(t, c.New)
				} else {
					require.Equal(t, last+1, c.Seq, "nothing is missing that is not said")
				}
				last = c.Seq
			}
		}
		assert.EqualValues(t, sets, last)
		assert.Positive(t, missed)
		assert.Less(t, missed, 5)
		assert.LessOrEqual(t, most, 256)
	})
}

func TestSubscribe_divides_a_publication(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const n = 10_000
		s := &scripted{script: func([]string) (map[string]int, error) {
			all := seedOf(n)
			for key := range all {
				all[key] = -1
			}
			return all, nil
		}}
		b := bucket.New("widgets", s.inOneGo(seedOf(n)), quiet())
		system, _ := start(t, b)
		l := newListener(t, system, make(chan struct{}))
		l.send(system, b, bucket.Subscribe{})
		l.gate <- struct{}{}
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		synctest.Wait()
		assert.Len(t, l.got, 1, "the Done; nothing else was handled")
		l.gate <- struct{}{}
		synctest.Wait()
		assert.Len(t, l.got, 2)
		close(l.gate)
		synctest.Wait()
		assert.Len(t, l.got, 1+(n+255)/256)
		changes, _ := l.take()
		assert.Len(t, changes, n)
	})
}

func TestSubscribe_ends_with_the_subscriber(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet(), bucket.RefreshEvery(0))
		system, _ := start(t, saboteur{b, nthOf("bucket.Keys", 1)})
		for _, stuck := range []bool{false, true} {
			l := newListener(t, system, nil)
			if stuck {
				l.gate = make(chan struct{}, 1)
				l.gate <- struct{}{} // for the Done
			}
			l.send(system, b, bucket.Subscribe{})
			assert.Equal(t, 1, deliveries())
			system.Root.Send(b.PID(), bucket.Keys{}) // crashes the bucket, once
			synctest.Wait()
			require.NoError(t, b.DirectSet(t.Context(), "a", 1))
			require.NoError(t, b.DirectSet(t.Context(), "b", 1))
			if stuck {
				close(l.gate)
			}
			require.NoError(t, actor.Stop(t.Context(), system, l.pid))
			time.Sleep(time.Minute)
			assert.Zero(t, deliveries(), "stuck: %v", stuck)
		}
		assert.EqualValues(t, 1, b.Stats().Restarts)

		// One that was never there.
		gone := protoactor.NewPID(b.PID().Address, "nobody")
		_, err := actor.Ask[bucket.Done](t.Context(), system, b.PID(), bucket.Subscribe{To: gone})
		require.NoError(t, err)
		require.NoError(t, b.DirectSet(t.Context(), "c", 1))
		time.Sleep(time.Minute)
		assert.Zero(t, deliveries())
	})
}

func TestSubscribe_of_one_that_is_stuck_ends_with_the_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		system := newSystem()
		l := newListener(t, system, make(chan struct{}))
		sup := startIn(t, system, b)
		l.send(system, b, bucket.Subscribe{})
		for i := range 10 {
			require.NoError(t, b.DirectSet(t.Context(), "a", i))
		}
		require.NoError(t, sup.Stop(t.Context()))
		time.Sleep(time.Minute)
		assert.Zero(t, deliveries())
		close(l.gate)
		changes, _ := l.take()
		assert.Len(t, changes, 10, "what came before the end")
	})
}

func TestSubscribe_is_for_actors_that_answer_everything(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		system, _ := start(t, b)
		var parts atomic.Int64
		pid := system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
			switch ctx.Message().(type) {
			case protoactor.SystemMessage, protoactor.AutoReceiveMessage:
			case bucket.Changes:
				parts.Add(1)
			default:
				ctx.Respond("what?")
			}
		}))
		system.Root.RequestWithCustomSender(b.PID(), bucket.Subscribe{}, pid)
		synctest.Wait()
		for i := range 3 {
			require.NoError(t, b.DirectSet(t.Context(), "a", i))
			synctest.Wait()
		}
		assert.EqualValues(t, 3, parts.Load())
		require.NoError(t, actor.Stop(t.Context(), system, pid))
	})
}

func TestSubscribe_outlives_a_crash_and_ends_with_the_bucket(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src, ready := newSource(nil), make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { <-ready; return nil, nil },
		}, quiet())
		system := newSystem()
		go startIn(t, system, saboteur{b, nthOf("bucket.Keys", 1)})
		synctest.Wait()
		l := newListener(t, system, nil)
		l.send(system, b, bucket.Subscribe{})
		_, others := l.take()
		assert.Equal(t, []any{bucket.Done{}}, others, "also while it starts")
		close(ready)
		changes, _ := l.take()
		require.Len(t, changes, 1)
		assert.Equal(t, bucket.Missed, changes[0].Kind, "a seed is read from a Snapshot")

		system.Root.Send(b.PID(), bucket.Keys{})
		synctest.Wait()
		require.EqualValues(t, 1, b.Stats().Restarts)
		for i := range 300 {
			require.NoError(t, b.DirectSet(t.Context(), fmt.Sprint(i), i))
		}
		pid := b.PID()
		system.Root.Stop(pid)
		changes, _ = l.take()
		assert.Len(t, changes, 300, "what came before the end")
		require.ErrorIs(t, b.DirectSet(t.Context(), "a", 1), bucket.ErrStopped)
	})
}

func TestSubscribe_begins_anew_after_the_word_of_an_end_was_lost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}), bucket.RefreshEvery(0))
		var once atomic.Bool
		system, _ := start(t, saboteur{b, func(msg any) bool {
			name := fmt.Sprintf("%T", msg)
			if name == "*actor.Terminated" {
				return true
			}
			return len(name) > 20 && name[:20] == "*bucket.unsubscribed" && once.CompareAndSwap(false, true)
		}})
		var got atomic.Int64
		spawn := func() *protoactor.PID {
			pid, err := system.Root.SpawnNamed(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
				if _, ok := ctx.Message().(bucket.Changes); ok {
					got.Add(1)
				}
			}), "me")
			require.NoError(t, err)
			return pid
		}
		pid := spawn()
		require.IsType(t, bucket.Done{}, request(t, system, b.PID(), bucket.Subscribe{To: pid}))
		require.NoError(t, system.Root.StopFuture(pid).Wait())
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "a", 2))
		synctest.Wait()
		pid = spawn()
		require.IsType(t, bucket.Done{}, request(t, system, b.PID(), bucket.Subscribe{To: pid}))
		require.NoError(t, b.DirectSet(t.Context(), "a", 3))
		synctest.Wait()
		assert.EqualValues(t, 1, got.Load(), "subscribed, Done, and nothing comes")
		system.Root.Stop(pid)
	})
}
