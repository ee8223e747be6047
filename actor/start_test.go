package actor_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

var errSchema = errors.New("schema is too old")

// announced makes an announce of a script that is given the report.
func announced(d *diary, scriptFor func(actor.Report) script) func(actor.Report) *protoactor.Props {
	return func(report actor.Report) *protoactor.Props {
		return actor.Guard(scriptFor(report).actor(d), excuse)
	}
}

// reporting is an actor that reports err in Started, and declines if that is one.
func reporting(d *diary, err error) func(actor.Report) *protoactor.Props {
	return announced(d, func(report actor.Report) script {
		return script{
			"Started": func(ctx protoactor.Context) {
				if err != nil {
					ctx.Stop(ctx.Self())
				}
				report(err)
			},
			"price": respond(7),
		}
	})
}

// silent is an actor that never reports.
func silent(d *diary) func(actor.Report) *protoactor.Props {
	return announced(d, func(actor.Report) script { return script{} })
}

// requireFree checks that nothing is left of a start that failed, its name included.
func requireFree(t *testing.T, system *protoactor.ActorSystem, before []string) {
	t.Helper()
	require.Equal(t, before, registered(system))
	it, err := actor.Start(patiently(t), system, "it", reporting(&diary{}, nil))
	require.NoError(t, err, "the name is free again")
	require.NoError(t, actor.Stop(patiently(t), system, it))
}

func TestStart_returns_when_the_actor_is_ready(t *testing.T) {
	t.Run("at once", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			it, err := actor.Start(patiently(t), system, "it", reporting(&diary{}, nil))
			require.NoError(t, err)
			assert.Equal(t, "it", it.Id)
			assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"))
		})
	})
	t.Run("after a while, told by another goroutine", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			begin := time.Now()
			it, err := actor.Start(patiently(t), system, "it", announced(&diary{}, func(report actor.Report) script {
				return script{"Started": func(protoactor.Context) {
					time.AfterFunc(time.Minute, func() { report(nil) })
				}}
			}))
			require.NoError(t, err)
			assert.Equal(t, time.Minute, time.Since(begin))
			assert.True(t, alive(system, it))
		})
	})
	t.Run("and leaves only the actor behind", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			before := registered(system)
			it, err := actor.Start(patiently(t), system, "it", reporting(&diary{}, nil))
			require.NoError(t, err)
			assert.ElementsMatch(t, append(before, "it"), registered(system))
			require.NoError(t, actor.Stop(patiently(t), system, it))
		})
	})
}

func TestStart_returns_the_reason_of_an_actor_that_declines(t *testing.T) {
	slow := protoactor.PropsFromProducer(script{"Stopping": nap(5 * time.Second)}.actor(&diary{}))
	tests := []struct {
		name    string
		decline func(report actor.Report) func(protoactor.Context)
		want    string
		after   time.Duration
	}{
		{
			name: "and stops itself",
			decline: func(report actor.Report) func(protoactor.Context) {
				return func(ctx protoactor.Context) {
					report(errSchema)
					ctx.Stop(ctx.Self())
				}
			},
			want: "Started Stopping Stopped",
		},
		{
			name: "and forgets to stop itself",
			decline: func(report actor.Report) func(protoactor.Context) {
				return func(protoactor.Context) { report(errSchema) }
			},
			want: "Started Stopping Stopped",
		},
		{
			name: "and is slow to stop",
			decline: func(report actor.Report) func(protoactor.Context) {
				return func(ctx protoactor.Context) {
					ctx.Spawn(slow)
					report(errSchema)
				}
			},
			want: "Started Stopping Terminated Stopped", after: 5 * time.Second,
		},
		{
			name: "later",
			decline: func(report actor.Report) func(protoactor.Context) {
				return func(protoactor.Context) {
					time.AfterFunc(time.Minute, func() { report(errSchema) })
				}
			},
			want: "Started Stopping Stopped", after: time.Minute,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				before := registered(system)
				var d diary
				begin := time.Now()
				it, err := actor.Start(patiently(t), system, "it", announced(&d, func(report actor.Report) script {
					return script{"Started": tt.decline(report)}
				}))
				require.ErrorIs(t, err, errSchema)
				require.EqualError(t, err, "schema is too old", "and nothing else")
				assert.Nil(t, it)
				assert.InDelta(t, tt.after, time.Since(begin), float64(time.Second))
				assert.Equal(t, tt.want, d.pages(), "it has stopped")
				requireFree(t, system, before)
			})
		})
	}
}

// Both are there by the time that Start looks: the report, and the end of the actor.
func TestStart_returns_the_reason_of_an_actor_that_is_gone_before_Start_can_look(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		for range 50 {
			_, err := actor.Start(patiently(t), system, "it", func(report actor.Report) *protoactor.Props {
				return protoactor.PropsFromProducer(script{"Started": func(ctx protoactor.Context) {
					report(errSchema)
					ctx.Stop(ctx.Self())
				}}.actor(&diary{}), protoactor.WithDispatcher(protoactor.NewSynchronizedDispatcher(300)))
			})
			require.ErrorIs(t, err, errSchema)
		}
	})
}

// The actor declines, and is in Stopped when Start first looks: it has left the registry,
// and has not stopped.
func TestStart_waits_for_Stopped_of_an_actor_that_declines(t *testing.T) {
	tests := []struct {
		name    string
		reports bool
		guarded bool
		want    error
	}{
		{"with a reason", true, false, errSchema},
		{"with a reason, guarded", true, true, errSchema},
		{"without a word", false, false, actor.ErrStopped},
		{"without a word, guarded", false, true, actor.ErrStopped},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				before := registered(system)
				inStopped := make(chan struct{})
				slowly := protoactor.WithDispatcher(&slowSpawner{protoactor.NewDefaultDispatcher(300), inStopped})
				begin := time.Now()
				_, err := actor.Start(patiently(t), system, "it", func(report actor.Report) *protoactor.Props {
					props, guard := both(script{
						"Started": func(ctx protoactor.Context) {
							if tt.reports {
								report(errSchema)
							}
							ctx.Stop(ctx.Self())
						},
						"Stopped": func(protoactor.Context) {
							close(inStopped)
							time.Sleep(5 * time.Second)
						},
					}.actor(&diary{}), slowly)
					if tt.guarded {
						return guard
					}
					return props
				})
				require.ErrorIs(t, err, tt.want)
				assert.Equal(t, 5*time.Second, time.Since(begin))
				requireFree(t, system, before)
			})
		})
	}
}

// slowSpawner is a dispatcher that lets an actor work while its spawner waits, until
// that is done.
type slowSpawner struct {
	protoactor.Dispatcher
	done chan struct{}
}

func (s *slowSpawner) Schedule(loop func()) {
	idle := make(chan struct{})
	s.Dispatcher.Schedule(func() {
		loop()
		close(idle)
	})
	select {
	case <-idle:
	case <-s.done:
	}
}

func TestStart_takes_props_with_a_spawner_of_their_own(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var d diary
		announce := func(report actor.Report) *protoactor.Props {
			props := reporting(&d, nil)(report)
			return idle().Configure(protoactor.WithSpawnFunc(
				func(system *protoactor.ActorSystem, id string, _ *protoactor.Props, parent protoactor.SpawnerContext) (*protoactor.PID, error) {
					return protoactor.DefaultSpawner(system, id, props, parent)
				}))
		}
		it, err := actor.Start(patiently(t), system, "it", announce)
		require.NoError(t, err)
		assert.True(t, alive(system, it))
	})
}

// spy sees what goes through a mailbox.
type spy struct{ diary }

func (s *spy) MessageReceived(msg any) { s.note("%s", nameOf(msg)) }
func (s *spy) MessagePosted(any)       {}
func (s *spy) MailboxStarted()         {}
func (s *spy) MailboxEmpty()           {}

func TestStart_does_not_watch_for_ever(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var s spy
		_, err := actor.Start(patiently(t), system, "it", func(report actor.Report) *protoactor.Props {
			return reporting(&diary{}, nil)(report).Configure(protoactor.WithMailbox(protoactor.Unbounded(&s)))
		})
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, "Started Watch Unwatch", s.pages())
	})
}

func TestStart_counts_only_the_first_report(t *testing.T) {
	tests := []struct {
		name    string
		reports []error
		wantErr error
	}{
		{"ready, then not", []error{nil, errSchema}, nil},
		{"not, then ready", []error{errSchema, nil}, errSchema},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				_, err := actor.Start(patiently(t), system, "it", announced(&diary{}, func(report actor.Report) script {
					return script{"Started": func(protoactor.Context) {
						for _, err := range tt.reports {
							report(err)
						}
					}}
				}))
				require.ErrorIs(t, err, tt.wantErr)
			})
		})
	}

	t.Run("and takes any number of them, from anywhere, for ever", func(t *testing.T) {
		inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
			var report actor.Report
			it, err := actor.Start(patiently(t), system, "it", announced(&diary{}, func(r actor.Report) script {
				report = r
				return script{"Started": func(protoactor.Context) {
					var all sync.WaitGroup
					for range 20 {
						all.Go(func() { r(nil) })
					}
					all.Wait()
				}}
			}))
			require.NoError(t, err)
			report(errSchema)
			synctest.Wait()
			assert.True(t, alive(system, it))
		})
	})
}

func TestStart_returns_an_error_for_what_cannot_be_spawned(t *testing.T) {
	tests := []struct {
		name     string
		announce func(actor.Report) *protoactor.Props
		want     string
	}{
		{
			name: "a producer that panics",
			announce: func(actor.Report) *protoactor.Props {
				return protoactor.PropsFromProducer(func() protoactor.Actor { panic("no spare parts") })
			},
			want: "actor it: spawn panicked: no spare parts",
		},
		{
			name: "a producer that panics, guarded",
			announce: func(actor.Report) *protoactor.Props {
				return actor.Guard(func() protoactor.Actor { panic("no spare parts") }, nil)
			},
			want: "actor it: spawn panicked: no spare parts",
		},
		{
			name: "a producer whose panic cannot be shown",
			announce: func(actor.Report) *protoactor.Props {
				return actor.Guard(func() protoactor.Actor { panic(accursed{}) }, nil)
			},
			want: "actor it: spawn panicked: (unprintable actor_test.accursed)",
		},
		{
			name:     "an announce that panics",
			announce: func(actor.Report) *protoactor.Props { panic("no plan") },
			want:     "actor it: spawn panicked: no plan",
		},
		{
			name:     "an announce of nothing",
			announce: func(actor.Report) *protoactor.Props { return nil },
			want:     "actor it: its props are nil",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				before := registered(system)
				it, err := actor.Start(patiently(t), system, "it", tt.announce)
				require.EqualError(t, err, tt.want)
				assert.Nil(t, it)
				requireFree(t, system, before)
			})
		})
	}
}

func TestStart_leaves_an_actor_alone_that_has_the_name_already(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		var first, second diary
		it, err := actor.Start(patiently(t), system, "it", reporting(&first, nil))
		require.NoError(t, err)

		other, err := actor.Start(patiently(t), system, "it", reporting(&second, nil))
		require.ErrorIs(t, err, actor.ErrNameTaken)
		require.EqualError(t, err, "actor: name is taken: it")
		assert.Nil(t, other)
		assert.Equal(t, reply{value: 7}, <-ask(system, it, "price"))
		assert.Equal(t, "Started price", first.pages())
		assert.Empty(t, second.pages())
	})
}

func TestStart_returns_ErrStopped_for_an_actor_that_stops_without_a_report(t *testing.T) {
	slow := protoactor.PropsFromProducer(script{"Stopping": nap(5 * time.Second)}.actor(&diary{}))
	stopSelf := func(ctx protoactor.Context) { ctx.Stop(ctx.Self()) }
	tests := []struct {
		name   string
		script script
		plain  bool
		after  time.Duration
	}{
		{name: "by itself", script: script{"Started": stopSelf}},
		{name: "slowly", script: script{"Started": func(ctx protoactor.Context) { ctx.Spawn(slow); stopSelf(ctx) }}, after: 5 * time.Second},
		{name: "after crashing too often in Started", script: script{"Started": explode}},
		{name: "after crashing too often in Started, without a guard", script: script{"Started": explode}, plain: true},
		{name: "after calling Goexit too often in Started", script: script{"Started": goexit}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				before := registered(system)
				begin := time.Now()
				it, err := actor.Start(patiently(t), system, "it", func(actor.Report) *protoactor.Props {
					props, guard := both(tt.script.actor(&diary{}))
					if tt.plain {
						return props
					}
					return guard
				})
				require.ErrorIs(t, err, actor.ErrStopped)
				require.EqualError(t, err, "actor: stopped before it was ready: it")
				assert.Nil(t, it)
				assert.InDelta(t, tt.after, time.Since(begin), float64(time.Second))
				requireFree(t, system, before)
			})
		})
	}
}

func TestStart_stops_the_actor_when_the_context_ends_first(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		before := registered(system)
		var d diary
		ctx, cancel := context.WithTimeout(patiently(t), 3*time.Second)
		defer cancel()
		begin := time.Now()
		it, err := actor.Start(ctx, system, "it", silent(&d))
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.EqualError(t, err, "actor it is not ready: context deadline exceeded")
		assert.Nil(t, it)
		assert.Equal(t, 3*time.Second, time.Since(begin))
		assert.Equal(t, "Started Stopping Stopped", d.pages())
		requireFree(t, system, before)
	})
}

func TestStart_says_so_when_it_cannot_undo(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		g := newGate()
		var d, dead diary
		deadLetters(system, &dead)
		ctx, cancel := context.WithCancelCause(patiently(t))
		time.AfterFunc(3*time.Second, func() { cancel(errSchema) })
		begin := time.Now()
		_, err := actor.Start(ctx, system, "it", announced(&d, func(actor.Report) script {
			return script{"Started": g.hold} // it hangs
		}))
		require.ErrorIs(t, err, context.Canceled)
		require.EqualError(t, err, "actor it is not ready: context canceled\nactor it has not stopped: context deadline exceeded")
		assert.Equal(t, 13*time.Second, time.Since(begin), "it is given ten seconds")

		g.open()
		synctest.Wait()
		assert.Equal(t, "Started Stopping Stopped", d.pages())
		assert.Empty(t, dead.pages())
	})
}

func TestSpawn_in_an_actor_returns_what_would_have_been_a_panic(t *testing.T) {
	guardian := idle().Configure(protoactor.WithGuardian(&judge{verdict: restart}))
	tests := []struct {
		name  string
		props *protoactor.Props
		want  string // the error, or nothing
		is    error
	}{
		{name: "a child", props: idle()},
		{name: "nil props", props: nil, want: "actor child: its props are nil"},
		{name: "a producer that panics", props: protoactor.PropsFromProducer(func() protoactor.Actor { panic("no spare parts") }), want: "actor child: spawn panicked: no spare parts"},
		{name: "props with a guardian", props: guardian, want: "actor child: spawn panicked: props used to spawn child cannot have GuardianStrategy"},
		{
			name: "a spawner that fails",
			props: idle().Configure(protoactor.WithSpawnFunc(func(*protoactor.ActorSystem, string, *protoactor.Props, protoactor.SpawnerContext) (*protoactor.PID, error) {
				return nil, errSchema
			})),
			want: "actor child: schema is too old", is: errSchema,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
				it := spawn(t, system, protoactor.PropsFromProducer(script{"spawn": func(ctx protoactor.Context) {
					child, err := actor.Spawn(ctx, "child", tt.props)
					ctx.Respond([]any{child, err})
				}}.actor(&diary{})))
				answer, err := actor.Ask[[]any](patiently(t), system, it, "spawn")
				require.NoError(t, err)
				if tt.want == "" {
					require.Nil(t, answer[1])
					assert.Equal(t, "it/child", answer[0].(*protoactor.PID).Id)
					assert.True(t, alive(system, answer[0].(*protoactor.PID)))
					return
				}
				assert.Nil(t, answer[0])
				require.EqualError(t, answer[1].(error), tt.want)
				if tt.is != nil {
					require.ErrorIs(t, answer[1].(error), tt.is)
				}
			})
		})
	}
}

func TestSpawn_returns_ErrNameTaken_and_not_the_PID_of_somebody_else(t *testing.T) {
	inBubble(t, func(t *testing.T, system *protoactor.ActorSystem) {
		spawn(t, system, idle())
		other, err := actor.Spawn(system.Root, "it", idle())
		require.ErrorIs(t, err, actor.ErrNameTaken)
		assert.Nil(t, other)
	})
}
