package actor_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
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

// The table of the package comment, row by row.
func TestGuard_what_an_asker_sees(t *testing.T) {
	hour := context.DeadlineExceeded // the asker's own time-out: silence

	tests := []struct {
		name string
		// ask brings the actor into the state, asks it, and lets the actor go on.
		ask          func(*protoactor.ActorSystem, *protoactor.PID, *gate) <-chan reply
		want         any
		wantErr      error
		plain        any
		plainErr     error
		guardedCrash bool
	}{
		{
			name: "answering",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, _ *gate) <-chan reply {
				return ask(system, it, "price")
			},
			want: 7, plain: 7,
		},
		{
			name: "panicking on the asker's message",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, _ *gate) <-chan reply {
				return ask(system, it, "explode")
			},
			guardedCrash: true, plainErr: hour,
		},
		{
			name: "calling runtime.Goexit on it",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, _ *gate) <-chan reply {
				return ask(system, it, "goexit")
			},
			wantErr: actor.ErrGoexit, guardedCrash: true, plainErr: hour,
		},
		{
			name: "crashed, waiting for its restart",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, g *gate) <-chan reply {
				ask(system, it, "hold and explode")
				replies := ask(system, it, "price")
				g.open()
				return replies
			},
			want: 7, plain: 7,
		},
		{
			name: "stopping, message queued",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, g *gate) <-chan reply {
				ask(system, it, "hold")
				replies := ask(system, it, "price")
				system.Root.Stop(it)
				g.open()
				return replies
			},
			wantErr: actor.ErrStopped, plainErr: hour,
		},
		{
			name: "poisoned, message queued behind",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, g *gate) <-chan reply {
				ask(system, it, "hold")
				system.Root.Poison(it)
				replies := ask(system, it, "price")
				g.open()
				return replies
			},
			wantErr: actor.ErrStopped, plainErr: hour,
		},
		{
			name: "gone before the message was sent",
			ask: func(system *protoactor.ActorSystem, it *protoactor.PID, _ *gate) <-chan reply {
				system.Root.Stop(it)
				synctest.Wait()
				return ask(system, it, "price")
			},
			wantErr: actor.ErrNoActor, plainErr: actor.ErrNoActor,
		},
	}
	for _, tt := range tests {
		run := func(t *testing.T, guarded bool) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g := newGate()
				props, guard := both(script{
					"price":            respond(7),
					"hold":             g.hold,
					"hold and explode": g.holdThen(explode),
					"explode":          explode,
					"goexit":           func(protoactor.Context) { runtime.Goexit() },
				}.actor(&diary{}))
				want, wantErr, crash := tt.plain, tt.plainErr, false
				if guarded {
					props, want, wantErr, crash = guard, tt.want, tt.wantErr, tt.guardedCrash
				}

				got := <-tt.ask(system, spawn(t, system, props), g)
				assert.Equal(t, want, got.value)
				if wantErr != nil {
					require.ErrorIs(t, got.err, wantErr)
				}
				if _, ok := errors.AsType[*actor.CrashError](got.err); ok != crash {
					t.Errorf("err = %v (%T), crash wanted: %v", got.err, got.err, crash)
				}
				if wantErr == nil && !crash {
					require.NoError(t, got.err)
				}
			})
		}
		t.Run(tt.name+", guarded", func(t *testing.T) { run(t, true) })
		t.Run(tt.name+", without a guard", func(t *testing.T) { run(t, false) })
	}
}

// explodeHere is a function to look for in a stack.
func explodeHere(with any) { panic(with) }

func goexitHere() { runtime.Goexit() }

func TestGuard_gives_asker_and_supervisor_a_CrashError_with_the_stack(t *testing.T) {
	errBroken := errors.New("broken")
	tests := []struct {
		name  string
		crash func()
		value any
		text  string
		stack string
	}{
		{"panic", func() { explodeHere("boom") }, "boom", "actor it crashed: boom", "actor_test.explodeHere"},
		{"panic with an error", func() { explodeHere(errBroken) }, errBroken, "actor it crashed: broken", "actor_test.explodeHere"},
		{"Goexit", goexitHere, actor.ErrGoexit, "actor it crashed: actor: runtime.Goexit was called", "actor_test.goexitHere"},
	}
	for _, tt := range tests {
		check := func(t *testing.T, reason any) {
			t.Helper()
			crash, ok := reason.(*actor.CrashError)
			require.True(t, ok, "a %T", reason)
			assert.Equal(t, tt.value, crash.Value)
			assert.Equal(t, "it", crash.Who.GetId())
			assert.Contains(t, string(crash.Stack), tt.stack)
			require.EqualError(t, crash, tt.text)
			if err, ok := tt.value.(error); ok {
				require.ErrorIs(t, crash, err)
			}
		}
		crash := func(protoactor.Context) { tt.crash() }

		t.Run(tt.name+" on a message", func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				j := &judge{verdict: restart}
				var d diary
				it := spawn(t, system, actor.Guard(script{"crash": crash, "price": respond(7)}.actor(&d), excuse, protoactor.WithGuardian(j)))

				got := <-ask(system, it, "crash")
				check(t, got.err)
				require.Len(t, j.heard(), 1)
				check(t, j.heard()[0])

				assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"), "the next incarnation goes on")
				assert.Equal(t, "Started crash Restarting Started price", d.pages())
			})
		})
		t.Run(tt.name+" in Started", func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				j := &judge{verdict: restart}
				var d diary
				it := spawn(t, system, actor.Guard(script{"Started": times(1, crash), "price": respond(7)}.actor(&d), excuse,
					protoactor.WithGuardian(j)))

				assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"))
				require.Len(t, j.heard(), 1)
				check(t, j.heard()[0])
				assert.Equal(t, "Started Restarting Started price", d.pages())
			})
		})
	}
}

func TestGuard_keeps_the_mailbox_in_order_over_a_crash(t *testing.T) {
	for _, crash := range []string{"explode", "goexit"} {
		t.Run(crash, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g := newGate()
				var d diary
				it := spawn(t, system, actor.Guard(script{
					"hold":    g.hold,
					"explode": explode,
					"goexit":  func(protoactor.Context) { runtime.Goexit() },
				}.actor(&d), nil))
				for _, msg := range []string{"hold", "a", crash, "b", crash, "c"} {
					system.Root.Send(it, msg)
				}
				synctest.Wait()
				g.open()
				synctest.Wait()
				assert.Equal(t, fmt.Sprintf("Started hold a %[1]s Restarting Started b %[1]s Restarting Started c", crash), d.pages())
			})
		})
	}
}

func TestGuard_answers_what_is_queued_when_it_stops(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		var d diary
		it := spawn(t, system, actor.Guard(script{"hold": g.holdThen(respond(1))}.actor(&d), excuse))
		atWork := ask(system, it, "hold")
		var queued []<-chan reply
		for range 10 {
			queued = append(queued, ask(system, it, "queued"))
		}
		system.Root.Stop(it)
		g.open()

		assert.Equal(t, reply{value: 1}, <-atWork, "the message at work is finished")
		for _, replies := range queued {
			assert.Equal(t, actor.ErrStopped, (<-replies).err)
		}
		assert.Equal(t, "Started hold Stopping Stopped", d.pages())
	})
}

func TestGuard_answers_what_arrives_between_Stopping_and_Stopped(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		var d diary
		slow := protoactor.PropsFromProducer(script{"Stopping": g.hold}.actor(&diary{}))
		it := spawn(t, system, actor.Guard(script{"Started": spawnChild(slow)}.actor(&d), excuse))
		synctest.Wait()
		system.Root.Stop(it)
		synctest.Wait()
		require.Equal(t, "Started Stopping", d.pages(), "it waits for its child")

		assert.Equal(t, actor.ErrStopped, (<-ask(system, it, "late")).err)
		require.True(t, alive(system, it), "it still waits")
		g.open()
		synctest.Wait()
		assert.Equal(t, "Started Stopping Terminated Stopped", d.pages(), "no user message after Stopping")
		assert.False(t, alive(system, it))
	})
}

// A sender looks up the process of a PID, and then sends. In between the actor stops:
// it has left the registry, so this is no dead letter.
func TestGuard_answers_what_is_sent_to_a_process_that_has_stopped(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		it := spawn(t, system, actor.Guard(script{}.actor(&d), excuse))
		process, _ := system.ProcessRegistry.Get(it)
		require.NoError(t, actor.Stop(patiently(t), system, it))

		asker := protoactor.NewFuture(system, patience)
		process.SendUserMessage(it, &protoactor.MessageEnvelope{Message: "late", Sender: asker.PID()})
		got, err := asker.Result()
		require.NoError(t, err)
		assert.Equal(t, actor.ErrStopped, got)
		assert.Equal(t, "Started Stopping Stopped", d.pages())
	})
}

func TestGuard_answers_what_is_queued_when_a_crashed_actor_is_stopped_instead_of_restarted(t *testing.T) {
	tests := []struct {
		name    string
		verdict func(protoactor.Supervisor, *protoactor.PID)
		stop    bool
	}{
		{"by somebody, while it waits for its restart", hesitate, true},
		{"by its supervisor", func(supervisor protoactor.Supervisor, child *protoactor.PID) { supervisor.StopChildren(child) }, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				g := newGate()
				var d diary
				it := spawn(t, system, actor.Guard(script{"hold and explode": g.holdThen(explode)}.actor(&d), excuse,
					protoactor.WithGuardian(&judge{verdict: tt.verdict})))
				crashing := ask(system, it, "hold and explode")
				first, second := ask(system, it, "queued"), ask(system, it, "queued")
				g.open()
				_, ok := errors.AsType[*actor.CrashError]((<-crashing).err)
				require.True(t, ok)
				synctest.Wait()
				if tt.stop {
					require.Equal(t, "Started hold and explode", d.pages(), "it is suspended")
					system.Root.Stop(it)
				}

				assert.Equal(t, actor.ErrStopped, (<-first).err)
				assert.Equal(t, actor.ErrStopped, (<-second).err)
				assert.Equal(t, "Started hold and explode Stopping Stopped", d.pages())
			})
		})
	}
}

func TestGuard_asks_for_an_answer_once_for_each_message_that_the_actor_does_not_answer(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		var excused diary
		answer := func(msg any, err error) any {
			_, crashed := errors.AsType[*actor.CrashError](err)
			excused.note("%s(crashed=%v)", nameOf(msg), crashed)
			return err
		}
		j := &judge{verdict: restart}
		it := spawn(t, system, actor.Guard(script{
			"explode": explode,
			"hold":    g.hold,
		}.actor(&diary{}), answer, protoactor.WithGuardian(j)))

		// None of these has a sender: the answer is where what they carry is released.
		for _, msg := range []string{"handled", "explode", "hold", "queued", "queued too"} {
			system.Root.Send(it, msg)
		}
		system.Root.Poison(it)
		system.Root.Send(it, "behind the poison")
		synctest.Wait()
		system.Root.Stop(it)
		g.open()
		synctest.Wait()
		assert.Equal(t, "explode(crashed=true) queued(crashed=false) queued too(crashed=false) behind the poison(crashed=false)",
			excused.pages())
		require.Len(t, j.heard(), 1)
		assert.EqualError(t, j.heard()[0].(error), "actor it crashed: boom", "an answer to nobody is no crash")
	})
}

func TestGuard_sends_no_reply_that_is_nil(t *testing.T) {
	answers := map[string]actor.Answer{
		"no Answer":               nil,
		"an Answer of no opinion": func(any, error) any { return nil },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				it := spawn(t, system, actor.Guard(script{"explode": explode, "price": respond(7)}.actor(&diary{}), answer))
				begin := time.Now()
				got := <-ask(system, it, "explode")
				require.ErrorIs(t, got.err, context.DeadlineExceeded)
				assert.Equal(t, patience, time.Since(begin))
				assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"), "the rest holds")
			})
		})
	}
}

// protoactor's queue counts a nil and cannot take it out again: it would look for it for
// ever, at full speed, and this test would not end.
func TestGuard_drops_a_message_that_is_nil(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		it := spawn(t, system, actor.Guard(script{"price": respond(7)}.actor(&d), excuse))
		system.Root.Send(it, nil)
		synctest.Wait()
		assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"))
		assert.Equal(t, "Started price", d.pages())
	})
}

func TestGuard_keeps_the_actor_s_own_strategy_for_its_children(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		j := &judge{verdict: restart}
		var d diary
		child := protoactor.PropsFromProducer(script{"explode": explode}.actor(&d))
		var childPID *protoactor.PID
		it := spawn(t, system, actor.Guard(func() protoactor.Actor {
			return &strict{judge: j, Actor: script{
				"Started": func(ctx protoactor.Context) { childPID = ctx.Spawn(child) },
			}.actor(&diary{})()}
		}, nil))
		synctest.Wait()
		system.Root.Send(childPID, "explode")
		synctest.Wait()
		assert.Equal(t, []any{"boom"}, j.heard())
		assert.Equal(t, "Started explode Restarting Started", d.pages())
		require.NoError(t, actor.Stop(patiently(t), system, it))
	})
}

// strict is an actor with a strategy.
type strict struct {
	protoactor.Actor
	*judge
}

// The spawner enters a name into the registry before it wires the mailbox. Between the
// two runs the OnInit hook, and anybody may send.
func TestGuard_sees_Started_first_when_others_know_the_name_before_it_runs(t *testing.T) {
	early := func(ctx protoactor.Context) {
		root, self := ctx.ActorSystem().Root, ctx.Self()
		root.Send(self, "early")
		root.Send(self, "bird")
	}

	t.Run("guarded", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			var d diary
			it := spawn(t, system, actor.Guard(script{}.actor(&d), nil, protoactor.WithOnInit(early)))
			system.Root.Send(it, "late")
			synctest.Wait()
			assert.Equal(t, "Started early bird late", d.pages())
		})
	})
	t.Run("without a guard the sender panics", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			_, err := actor.Spawn(system.Root, "it", protoactor.PropsFromProducer(script{}.actor(&diary{}), protoactor.WithOnInit(early)))
			require.ErrorContains(t, err, "nil pointer")
		})
	})
}

func TestGuard_obeys_a_Stop_that_comes_before_it_runs(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		stopped := make(chan error, 1)
		var early <-chan reply
		it := spawn(t, system, actor.Guard(script{}.actor(&d), excuse, protoactor.WithOnInit(func(protoactor.Context) {
			go func() { stopped <- actor.Stop(context.Background(), system, system.NewLocalPID("it")) }() // watches it, too
			synctest.Wait()
			early = ask(system, system.NewLocalPID("it"), "early")
		})))
		require.NoError(t, <-stopped)
		assert.Equal(t, actor.ErrStopped, (<-early).err)
		assert.Equal(t, "Started Stopping Stopped", d.pages())
		assert.False(t, alive(system, it))
	})
}

// meddler does something at the moment at which it is put into the queue.
type meddler struct{ meddle func() }

func (m meddler) GetMessages() []any {
	m.meddle()
	return nil
}

// What came early is being put into the queue when its sender sends again. That must
// neither overtake nor be lost.
func TestGuard_keeps_a_sender_s_order_when_he_sends_again_while_the_mailbox_opens(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		self := system.NewLocalPID("it")
		sent := make(chan struct{})
		sendAgain := func() {
			go func() {
				system.Root.Send(self, "second")
				close(sent)
			}()
			for range 10_000 { // until he has sent it, or has surely come to where he must wait
				select {
				case <-sent:
					return
				default:
					runtime.Gosched()
				}
			}
		}
		spawn(t, system, actor.Guard(script{}.actor(&d), nil, protoactor.WithOnInit(func(protoactor.Context) {
			system.Root.Send(self, meddler{sendAgain})
			system.Root.Send(self, "first")
		})))
		<-sent
		synctest.Wait()
		assert.Equal(t, "Started actor_test.meddler first second", d.pages())
	})
}

func TestGuard_loses_nothing_that_is_sent_while_it_is_spawned(t *testing.T) {
	const senders, early = 4, 100
	type numbered struct{ sender, number int }
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var sent, next [senders]int
		produce := func() protoactor.Actor {
			return protoactor.ReceiveFunc(func(ctx protoactor.Context) {
				if msg, ok := ctx.Message().(numbered); ok && next[msg.sender] == msg.number {
					next[msg.sender]++
				}
			})
		}

		var spawned atomic.Bool
		var begun, all sync.WaitGroup
		begun.Add(senders)
		spawn(t, system, actor.Guard(produce, nil, protoactor.WithOnInit(func(protoactor.Context) {
			for sender := range senders {
				pid := system.NewLocalPID("it")
				all.Go(func() {
					for ; !spawned.Load(); sent[sender]++ {
						system.Root.Send(pid, numbered{sender, sent[sender]})
						if sent[sender] == early {
							begun.Done()
						}
						runtime.Gosched() // or the spawner never gets a turn
					}
				})
			}
			begun.Wait()
		})))
		spawned.Store(true)
		all.Wait()
		synctest.Wait()
		assert.Equal(t, sent, next, "all of it, in order")
	})
}

// The Answer is asked not to do this, but it is the user's code.
func TestGuard_survives_an_Answer_that_calls_Goexit(t *testing.T) {
	const byPanic, byGoexit = "actor it crashed: boom", "actor it crashed: actor: runtime.Goexit was called"
	tests := []struct {
		crashes []string
		want    []string // what the supervisor hears
	}{
		{[]string{"explode", "goexit"}, []string{byPanic, byGoexit}},
		{[]string{"goexit", "explode"}, []string{byGoexit, byPanic}},
		{[]string{"explode rudely", "goexit rudely"}, []string{byPanic, byGoexit}},
		{[]string{"goexit rudely", "explode rudely"}, []string{byGoexit, byPanic}},
	}
	for _, tt := range tests {
		t.Run(strings.Join(tt.crashes, ", "), func(t *testing.T) {
			inBubble(t, func(t *testing.T, _ *protoactor.ActorSystem) {
				system, log := loggedSystem()
				g := newGate()
				j := &judge{verdict: restart}
				answer := func(msg any, err error) any {
					if strings.HasSuffix(nameOf(msg), "rudely") {
						runtime.Goexit()
					}
					return err
				}
				it := spawn(t, system, actor.Guard(script{
					"explode": explode, "explode rudely": explode,
					"goexit": goexit, "goexit rudely": goexit,
					"hold": g.hold,
				}.actor(&diary{}), answer, protoactor.WithGuardian(j)))
				for _, msg := range tt.crashes {
					system.Root.Send(it, msg)
				}
				system.Root.Send(it, "hold")
				<-g.arrived
				var heard []string
				for _, reason := range j.heard() {
					heard = append(heard, reason.(error).Error())
				}
				assert.Equal(t, tt.want, heard)

				system.Root.Send(it, "be told rudely")
				queued := ask(system, it, "queued")
				system.Root.Stop(it)
				g.open()
				assert.Equal(t, actor.ErrStopped, (<-queued).err)
				assert.False(t, alive(system, it))
				assert.Len(t, j.heard(), 2)
				for _, entry := range log.AllEntries() {
					assert.Greater(t, entry.Level, logrus.ErrorLevel, "no crash is reported twice: %v", entry)
				}
			})
		})
	}
}

func TestGuard_survives_an_Answer_that_panics(t *testing.T) {
	inBubble(t, func(t *testing.T, _ *protoactor.ActorSystem) {
		system, log := loggedSystem()
		g := newGate()
		var d diary
		answer := func(msg any, err error) any {
			if strings.HasSuffix(nameOf(msg), "rudely") {
				panic("none of your business")
			}
			return err
		}
		it := spawn(t, system, actor.Guard(script{"explode rudely": explode, "hold": g.hold}.actor(&d), answer))
		system.Root.Send(it, "explode rudely")
		system.Root.Send(it, "hold")
		system.Root.Send(it, "be told rudely")
		queued := ask(system, it, "queued")
		require.Equal(t, "Started explode rudely Restarting Started hold", d.pages(), "it is a crash like any other")

		system.Root.Stop(it)
		g.open()
		assert.Equal(t, actor.ErrStopped, (<-queued).err)
		assert.False(t, alive(system, it))
		entry := log.LastEntry()
		assert.Equal(t, logrus.ErrorLevel, entry.Level)
		assert.Equal(t, "none of your business", entry.Data["panic"])
	})
}

func TestGuard_hands_on_the_Terminated_of_a_child(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		j := &judge{verdict: restart}
		var d diary
		var child *protoactor.PID
		it := spawn(t, system, actor.Guard(script{
			"Started":    times(1, func(ctx protoactor.Context) { child = ctx.Spawn(idle()) }),
			"Terminated": explode,
		}.actor(&d), nil, protoactor.WithGuardian(j)))
		synctest.Wait()
		system.Root.Stop(child)
		synctest.Wait()
		assert.Equal(t, "Started Terminated Restarting Started", d.pages())
		require.Len(t, j.heard(), 1, "and a panic on it is a crash like any other")
		assert.EqualError(t, j.heard()[0].(error), "actor it crashed: boom")
		assert.True(t, alive(system, it))
	})
}

func TestGuard_says_what_panicked_while_it_stopped(t *testing.T) {
	for _, last := range []string{"Stopping", "Stopped"} {
		t.Run(last, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, hook := logtest.NewNullLogger()
				system := actor.NewSystem(logger)
				it := spawn(t, system, actor.Guard(script{last: func(protoactor.Context) { explodeHere("boom") }}.actor(&diary{}), nil))
				require.NoError(t, actor.Stop(patiently(t), system, it))

				entry := hook.LastEntry()
				assert.Equal(t, logrus.ErrorLevel, entry.Level)
				assert.Equal(t, "panic while stopping or restarting", entry.Message)
				assert.Equal(t, "it", entry.Data["actor"])
				assert.Equal(t, "boom", entry.Data["panic"])
				assert.Contains(t, entry.Data["stack"], "actor_test.explodeHere")
			})
		})
	}
}

// accursed panics with what panics when it is shown.
type accursed struct{}

func (accursed) Error() string { panic(accursed{}) }

// Whatever an actor panics with is logged, more than once, by code that would take the
// process down if that panicked.
func TestGuard_survives_a_panic_that_cannot_be_shown(t *testing.T) {
	for _, at := range []string{"explode", "Stopping", "Stopped", "Restarting"} {
		t.Run(at, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				logger, _ := logtest.NewNullLogger() // which formats what it drops
				system := actor.NewSystem(logger)
				crash := func(protoactor.Context) { panic(accursed{}) }
				s := script{"explode": explode, "price": respond(7)}
				s[at] = crash
				it := spawn(t, system, actor.Guard(s.actor(&diary{}), excuse))
				got := <-ask(system, it, "explode")
				assert.Contains(t, got.err.Error(), "actor it crashed: ")
				assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"))
				require.NoError(t, actor.Stop(patiently(t), system, it))
			})
		})
	}
}
