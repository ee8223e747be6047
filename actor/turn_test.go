package actor_test

import (
	"errors"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// sharer is an actor that shares its turn. It adds what it is sent to the numbers of others.
type sharer struct {
	turn    actor.Turn
	numbers []int // whoever has the turn
	wait    chan struct{}
}

func (s *sharer) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case int:
		s.numbers = append(s.numbers, msg)
	case string:
		<-s.wait
	case error:
		panic(msg)
	case func():
		msg()
	}
}

func (s *sharer) props() *protoactor.Props {
	return actor.GuardWithTurn(&s.turn, func() protoactor.Actor { return s }, nil)
}

func (s *sharer) add(number int) bool {
	return s.turn.Try(func() bool {
		s.numbers = append(s.numbers, number)
		return true
	})
}

func TestTurn_is_had_by_one_at_a_time(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		s := &sharer{}
		it := spawn(t, system, s.props())
		synctest.Wait()
		const each = 2000
		var wait sync.WaitGroup
		var tried int
		for range each {
			wait.Go(func() { system.Root.Send(it, 1) })
		}
		wait.Go(func() {
			for tried < each {
				if s.add(2) {
					tried++
				}
				runtime.Gosched()
			}
		})
		wait.Wait()
		synctest.Wait()
		assert.Len(t, s.numbers, 2*each)
	})
}

func TestTurn_comes_after_what_was_sent_before(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		s := &sharer{}
		it := spawn(t, system, s.props())
		synctest.Wait()
		for i := range 5000 {
			system.Root.Send(it, 2*i)
			for !s.add(2*i + 1) {
				runtime.Gosched()
			}
		}
		for i, number := range s.numbers {
			require.Equal(t, i, number)
		}
	})
}

func TestTurn_is_refused_while_the_actor_is_at_work(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		s := &sharer{wait: make(chan struct{})}
		it := spawn(t, system, s.props())
		synctest.Wait()
		require.True(t, s.add(1))
		system.Root.Send(it, "wait")
		synctest.Wait()
		require.False(t, s.add(2))
		close(s.wait)
		synctest.Wait()
		require.True(t, s.add(3))
		require.False(t, s.turn.Try(func() bool { return false }), "it says what it was told")
		assert.Equal(t, []int{1, 3}, s.numbers)
	})
}

func TestTurn_that_an_actor_takes_again_in_its_own_is_refused(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		s := &sharer{}
		it := spawn(t, system, s.props())
		system.Root.Send(it, func() { assert.False(t, s.add(1)) })
		synctest.Wait()
		assert.True(t, s.add(2))
	})
}

func TestTurn_waits_for_the_decision_on_a_crash(t *testing.T) {
	waitForDecision(t, true)
}

func TestTurn_waits_for_the_decision_on_a_crash_that_nobody_waits_behind(t *testing.T) {
	waitForDecision(t, false)
}

func waitForDecision(t *testing.T, waiting bool) {
	t.Helper()
	for name, directive := range map[string]protoactor.Directive{
		"restart": protoactor.RestartDirective, "resume": protoactor.ResumeDirective, "stop": protoactor.StopDirective,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				s := &sharer{}
				decide := make(chan struct{})
				strategy := protoactor.NewOneForOneStrategy(10, time.Second, func(any) protoactor.Directive {
					<-decide
					return directive
				})
				var it *protoactor.PID
				spawn(t, system, protoactor.PropsFromFunc(func(ctx protoactor.Context) {
					if _, first := ctx.Message().(*protoactor.Started); first {
						it = ctx.Spawn(s.props())
					}
				}, protoactor.WithSupervisor(strategy)))
				synctest.Wait()
				for _, crash := range []any{errors.New("crash"), func() { runtime.Goexit() }} {
					system.Root.Send(it, crash)
					synctest.Wait()
					if waiting {
						system.Root.Send(it, 1)
						synctest.Wait()
					}
					require.False(t, s.add(2), "it would be before what was sent before")
					decide <- struct{}{}
					synctest.Wait()
					if directive == protoactor.StopDirective {
						require.True(t, s.add(3), "the turn is free for another actor")
						return
					}
					if directive == protoactor.ResumeDirective && !waiting {
						system.Root.Send(it, 1) // it does not hear of it otherwise
						synctest.Wait()
					}
					require.True(t, s.add(2))
				}
				if waiting {
					assert.Equal(t, []int{1, 2, 1, 2}, s.numbers)
				}
			})
		})
	}
}

func TestTurn_is_free_again_after_the_stop(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		s := &sharer{}
		for range 3 {
			it := spawn(t, system, s.props())
			system.Root.Send(it, 1)
			synctest.Wait()
			require.NoError(t, system.Root.StopFuture(it).Wait())
			synctest.Wait()
			require.True(t, s.add(2))
		}
		assert.Equal(t, []int{1, 2, 1, 2, 1, 2}, s.numbers)
	})
}

func TestTurn_comes_after_what_was_sent_before_the_actor_ran(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		s := &sharer{}
		it := system.NewLocalPID("it")
		spawn(t, system, s.props().Configure(protoactor.WithOnInit(func(protoactor.Context) {
			system.Root.Send(it, 1)
			assert.False(t, s.add(2))
		})))
		synctest.Wait()
		require.True(t, s.add(3))
		assert.Equal(t, []int{1, 3}, s.numbers)
	})
}
