package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

func withInit(init func(context.Context) (map[string]int, error)) loader.Loader[string, int] {
	return loader.Funcs[string, int]{LoadFunc: newSource(map[string]int{"b": 2}).Load, InitFunc: init}
}

func TestInit_has_four_outcomes(t *testing.T) {
	tests := []struct {
		name   string
		init   func(context.Context) (map[string]int, error)
		keys   []string
		failed error // the bucket starts, and its health tells
		vetoed error // the bucket does not start
	}{
		{name: "a seed", init: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1}, nil }, keys: []string{"a"}},
		{name: "nothing", init: func(context.Context) (map[string]int, error) { return nil, nil }},
		{name: "an error", init: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1}, errDown }, failed: errDown},
		{name: "a veto", init: func(context.Context) (map[string]int, error) { return nil, loader.Veto(errDown) }, vetoed: errDown},
		{name: "a wrapped veto", init: func(context.Context) (map[string]int, error) {
			return nil, fmt.Errorf("init: %w", loader.Veto(errDown))
		}, vetoed: errDown},
		{name: "a panic", init: func(context.Context) (map[string]int, error) { panic(errDown) }, failed: errDown},
		{name: "Goexit", init: func(context.Context) (map[string]int, error) { runtime.Goexit(); return nil, nil }, failed: loader.ErrGoexit},
		{name: "an error that panics when looked at", init: func(context.Context) (map[string]int, error) { return nil, evilError{} }, failed: errAny},
		{name: "no end", init: func(ctx context.Context) (map[string]int, error) { <-ctx.Done(); return nil, ctx.Err() }, failed: context.DeadlineExceeded},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				logger, log := captured()
				b := bucket.New("widgets", withInit(tt.init), logger, bucket.InitTimeout(time.Second))
				sup := supervisor.New(newSystem(), noLog())
				err := sup.Start(t.Context(), b)
				if tt.vetoed != nil {
					require.ErrorIs(t, err, tt.vetoed)
					assert.True(t, loader.IsVeto(err))
					_, err = b.Fetch(t.Context(), "b")
					require.ErrorIs(t, err, bucket.ErrNotRunning)
					require.ErrorIs(t, err, tt.vetoed, "callers get the reason, too")
					assert.Equal(t, bucket.Stopped, b.Health().State)
					return
				}

				require.NoError(t, err)
				assert.ElementsMatch(t, tt.keys, b.Keys())
				for _, key := range tt.keys {
					entry, _ := b.Entry(key)
					assert.Equal(t, bucket.SourceInit, entry.Source)
				}
				value, err := b.Fetch(t.Context(), "b")
				require.NoError(t, err)
				assert.Equal(t, 2, value)
				if tt.failed != nil {
					assert.Equal(t, bucket.Degraded, b.Health().State)
					var logged error
					for _, entry := range log.AllEntries() {
						if err, ok := entry.Data["error"].(error); ok {
							logged = err
						}
					}
					require.Error(t, logged)
					if tt.failed != errAny { //nolint:errorlint // a marker of this table
						require.ErrorIs(t, logged, tt.failed)
					}
				}
				require.NoError(t, sup.Stop(t.Context()))
			})
		})
	}
}

var errAny = errors.New("any error")

func TestInit_does_not_run_again_after_a_crash(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		inits := 0
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			inits++
			return map[string]int{"a": inits}, nil
		}), quiet())
		system, _ := start(t, b)
		for range 3 {
			request(t, system, b.PID(), bucket.Crash{Reason: "drill"})
		}
		_, err := b.Fetch(t.Context(), "b")
		require.NoError(t, err)
		assert.Equal(t, 1, inits)
		assert.EqualValues(t, 3, b.Stats().Restarts)
	})
}

func TestBucket_that_crashes_while_it_starts_starts_all_the_same(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		init := make(chan struct{})
		inits := 0
		b := bucket.New("widgets", withInit(func(context.Context) (map[string]int, error) {
			inits++
			<-init
			return map[string]int{"a": 1}, nil
		}), quiet())
		system := newSystem()
		started := make(chan error, 1)
		sup := supervisor.New(system, noLog(), supervisor.Backoff(0, 0))
		go func() { started <- sup.Start(t.Context(), b) }()
		synctest.Wait()
		held := fetch(t.Context(), b, "a")
		synctest.Wait()
		require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.Crash{Reason: "drill"})), bucket.ErrCrashed)
		synctest.Wait()
		close(init)
		require.NoError(t, <-started)
		assert.Equal(t, got{1, nil}, <-held, "asked before the crash")
		assert.Equal(t, 1, inits, "the Init under way is not thrown away")
		require.NoError(t, sup.Stop(t.Context()))
	})
}

func TestStop_while_the_bucket_starts_answers_everybody(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", withInit(func(ctx context.Context) (map[string]int, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}), quiet(), bucket.InitTimeout(0))
		system := newSystem()
		system.Root.Spawn(b.Props())
		held := fetch(t.Context(), b, "a")
		future := system.Root.RequestFuture(b.PID(), bucket.Fetch{Key: "a"}, time.Hour)
		synctest.Wait()
		begun := time.Now()
		require.NoError(t, stopByHand(system, b))
		require.ErrorIs(t, (<-held).err, bucket.ErrStopped)
		reply, err := future.Result()
		require.NoError(t, err)
		require.ErrorIs(t, failure(t, reply), bucket.ErrStopped)
		assert.Zero(t, time.Since(begun))
	})
}

func TestStart_refuses_a_bad_option_and_names_it(t *testing.T) {
	load := loader.Func(func(context.Context, string) (int, error) { return 1, nil })
	var nilLoader *source
	tests := []struct {
		name string
		b    *bucket.Bucket[string, int]
		want []string // in the error's text
	}{
		{"empty name", bucket.New("", load), []string{"name", `""`, "give the bucket a name"}},
		{"blank name", bucket.New("  ", load), []string{"name", `"  "`}},
		{"slash in the name", bucket.New("a/b", load), []string{`"a/b"`, "slashes"}},
		{"control character in the name", bucket.New("a\x00b", load), []string{`"a\x00b"`}},
		{"invalid name", bucket.New("a\xff", load), []string{`"a\xff"`}},
		{"nil loader", bucket.New[string, int]("w", nil), []string{"loader is nil", "New"}},
		{"nil pointer as loader", bucket.New("w", nilLoader), []string{"nil *bucket_test.source"}},
		{"nil function as loader", bucket.New("w", loader.Func[string, int](nil)), []string{"loader is a nil"}},
		{"no LoadFunc", bucket.New("w", loader.Funcs[string, int]{}), []string{"LoadFunc", "nil"}},
		{"nil option", bucket.New("w", load, nil), []string{"option 1 is nil"}},
		{"option that panics", bucket.New("w", load, func(*bucket.Config) { panic("ouch") }), []string{"option 1", "ouch"}},
		{"negative RefreshEvery", bucket.New("w", load, bucket.RefreshEvery(-time.Second)), []string{"RefreshEvery(-1s)", "0"}},
		{"negative LoadTimeout", bucket.New("w", load, bucket.LoadTimeout(-1)), []string{"LoadTimeout(-1ns)"}},
		{"negative InitTimeout", bucket.New("w", load, bucket.InitTimeout(-1)), []string{"InitTimeout(-1ns)"}},
		{"zero MaxConcurrentLoads", bucket.New("w", load, bucket.MaxConcurrentLoads(0)), []string{"MaxConcurrentLoads(0)", "at least 1"}},
		{"negative MaxWaiting", bucket.New("w", load, bucket.MaxWaiting(-1)), []string{"MaxWaiting(-1)"}},
		{"zero RefreshConcurrency", bucket.New("w", load, bucket.RefreshConcurrency(0)), []string{"RefreshConcurrency(0)", "at least 1"}},
		{"zero BatchSize", bucket.New("w", load, bucket.BatchSize(0)), []string{"BatchSize(0)", "at least 1"}},
		{"negative Jitter", bucket.New("w", load, bucket.Jitter(-0.1)), []string{"Jitter(-0.1)", "between 0 and 1"}},
		{"large Jitter", bucket.New("w", load, bucket.Jitter(1.1)), []string{"Jitter(1.1)"}},
		{"NaN Jitter", bucket.New("w", load, bucket.Jitter(math.NaN())), []string{"Jitter(NaN)"}},
		{"negative RefreshRate", bucket.New("w", load, bucket.RefreshRate(-1)), []string{"RefreshRate(-1)"}},
		{"NaN RefreshRate", bucket.New("w", load, bucket.RefreshRate(math.NaN())), []string{"RefreshRate(NaN)"}},
		{"infinite RefreshRate", bucket.New("w", load, bucket.RefreshRate(math.Inf(1))), []string{"RefreshRate(+Inf)"}},
		{"nil Logger", bucket.New("w", load, bucket.Logger(nil)), []string{"Logger", "nil"}},
		{"Sync", bucket.New("w", load, bucket.Sync(bucket.SyncEvery(-1))), []string{"Sync", "positive interval"}},
		{"OnCorrupt", bucket.New("w", load, bucket.OnCorrupt(9)), []string{"OnCorrupt", "9", "Quarantine"}},
		{"CompactAfter", bucket.New("w", load, bucket.CompactAfter(0)), []string{"CompactAfter(0)", "positive"}},
		{"several at once", bucket.New("", load, bucket.Jitter(2), bucket.BatchSize(0)), []string{"name", "Jitter(2)", "BatchSize(0)"}},
		{"typed nil Logger", bucket.New("w", load, bucket.Logger((*logrus.Logger)(nil))), []string{"Logger", "nil"}},
		{"OptionsFunc fails", bucket.New("w", load, bucket.OptionsFunc(func() ([]bucket.Option, error) { return nil, errDown })), []string{"OptionsFunc", errDown.Error()}},
		{"OptionsFunc panics", bucket.New("w", load, bucket.OptionsFunc(func() ([]bucket.Option, error) { panic("ouch") })), []string{"OptionsFunc", "ouch"}},
		{"OptionsFunc hangs", bucket.New("w", load, bucket.InitTimeout(time.Second), bucket.OptionsFunc(func() ([]bucket.Option, error) {
			time.Sleep(time.Minute)
			return nil, nil
		})), []string{"OptionsFunc", "deadline"}},
		{"OptionsFunc gives a bad option", bucket.New("w", load, bucket.OptionsFunc(func() ([]bucket.Option, error) {
			return []bucket.Option{bucket.Jitter(7)}, nil
		})), []string{"Jitter(7)"}},
		{"OptionsFunc gives an OptionsFunc", bucket.New("w", load, bucket.OptionsFunc(func() ([]bucket.Option, error) {
			return []bucket.Option{bucket.OptionsFunc(func() ([]bucket.Option, error) { return nil, nil })}, nil
		})), []string{"OptionsFunc returned an OptionsFunc"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				for range 2 { // a refused start leaves nothing behind that the next would trip over
					_, err := supervisor.Start(t.Context(), newSystem(), tt.b.With(quietUnless(tt.name)))
					var refused *supervisor.StartError
					require.ErrorAs(t, err, &refused)
					require.ErrorIs(t, err, bucket.ErrConfig)
					for _, want := range tt.want {
						assert.ErrorContains(t, err, want)
					}
				}
				_, err := tt.b.Config()
				if strings.HasPrefix(tt.name, "OptionsFunc") {
					assert.NoError(t, err, "Config does not call it")
				} else {
					assert.ErrorIs(t, err, bucket.ErrConfig)
				}
				_, err = tt.b.Fetch(t.Context(), "a")
				require.ErrorIs(t, err, bucket.ErrNotRunning)
				time.Sleep(time.Minute) // the OptionsFunc that hangs ends
			})
		})
	}
}

func TestStart_logs_a_bad_option_where_the_bucket_logs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, log := captured()
		b := bucket.New("widgets", newSource(nil), logger, bucket.BatchSize(-1))
		_, err := supervisor.Start(t.Context(), newSystem(), b)
		require.ErrorIs(t, err, bucket.ErrConfig)
		require.NotNil(t, log.LastEntry())
		assert.Equal(t, "bucket does not start", log.LastEntry().Message)
	})
}

func quietUnless(name string) bucket.Option {
	switch name {
	case "nil Logger":
		return bucket.Logger(nil)
	case "typed nil Logger":
		return bucket.Logger((*logrus.Logger)(nil))
	}
	return quiet()
}

func TestOptions_cascade_and_the_later_one_wins(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		load := newSource(nil)
		defaults := bucket.New("w", load)
		config, err := defaults.Config()
		require.NoError(t, err)
		assert.Equal(t, 15*time.Minute, config.RefreshEvery)
		assert.InDelta(t, 0.1, config.Jitter, 0)
		assert.True(t, config.CacheEnabled)
		assert.Equal(t, 30*time.Second, config.LoadTimeout)
		assert.Equal(t, time.Minute, config.InitTimeout)
		assert.Equal(t, 64, config.MaxConcurrentLoads)
		assert.Equal(t, 100_000, config.MaxWaiting)
		assert.Equal(t, 8, config.RefreshConcurrency)
		assert.Zero(t, config.RefreshRate)
		assert.Equal(t, 500, config.BatchSize)
		assert.NotNil(t, config.Logger)

		calls := 0
		b := bucket.New("w", load, quiet(), bucket.BatchSize(1), bucket.MaxWaiting(1), bucket.MaxConcurrentLoads(1),
			bucket.OptionsFunc(func() ([]bucket.Option, error) {
				calls++
				return []bucket.Option{bucket.MaxConcurrentLoads(3)}, nil
			}))
		start(t, b.With(bucket.MaxWaiting(2), bucket.MaxConcurrentLoads(2)))
		config, err = b.Config()
		require.NoError(t, err)
		assert.Equal(t, 1, config.BatchSize)
		assert.Equal(t, 2, config.MaxWaiting)
		assert.Equal(t, 3, config.MaxConcurrentLoads)
		assert.Equal(t, 1, calls)
	})
}

func TestBucket_runs_once_at_a_time(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
		system, sup := start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		pid := b.PID()

		_, err = supervisor.Start(t.Context(), system, b)
		require.ErrorIs(t, err, bucket.ErrAlreadyRunning)
		assert.ErrorContains(t, err, pid.Id)
		_, err = supervisor.Start(t.Context(), newSystem(), b)
		require.ErrorIs(t, err, bucket.ErrAlreadyRunning)
		system.Root.Spawn(b.Props())
		synctest.Wait()
		assert.Same(t, pid, b.PID(), "the first is unharmed")
		_, ok := b.DirectGet("a")
		assert.True(t, ok)

		require.NoError(t, sup.Stop(t.Context()))
		require.NoError(t, sup.Start(t.Context(), b), "start after stop")
		assert.Zero(t, b.Len(), "and empty")
		assert.Zero(t, b.Stats().Hits)
		value, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
	})
}

func TestBucket_started_by_several_at_once_is_started_by_one(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		for range 50 {
			b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
			starts := make(chan error, 4)
			sups := make(chan *supervisor.Supervisor, cap(starts))
			gate := make(chan struct{})
			for range cap(starts) {
				go func() {
					sup := supervisor.New(system, noLog())
					sups <- sup
					<-gate
					starts <- sup.Start(context.Background(), b)
				}()
			}
			close(gate)
			started := 0
			for range cap(starts) {
				if err := <-starts; err == nil {
					started++
				} else {
					require.ErrorIs(t, err, bucket.ErrAlreadyRunning)
				}
			}
			assert.Equal(t, 1, started)
			value, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err, "the others did it no harm")
			assert.Equal(t, 1, value)
			for range cap(starts) {
				require.NoError(t, (<-sups).Stop(context.Background()))
			}
		}
	})
}

func TestBucket_name_is_unique_in_an_actor_system(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		first := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
		second := bucket.New("widgets", newSource(map[string]int{"a": 2}), quiet())
		system, sup := start(t, first)

		_, err := supervisor.Start(t.Context(), system, second)
		require.ErrorIs(t, err, bucket.ErrNameTaken)
		assert.ErrorContains(t, err, "widgets")
		value, err := first.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)

		require.NoError(t, sup.Stop(t.Context()))
		startIn(t, system, second)
		value, err = second.Fetch(t.Context(), "a")
		require.NoError(t, err, "the name is free again")
		assert.Equal(t, 2, value)
	})
}

func TestBucket_spawned_by_hand_is_there_as_soon_as_Spawn_returns(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		parent := system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
			if b, ok := ctx.Message().(*bucket.Bucket[string, int]); ok {
				_, err := ctx.SpawnNamed(b.Props(), "mine")
				ctx.Respond([]any{err, b.PID()})
			}
		}))
		b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
		reply := request(t, system, parent, b).([]any)
		require.Nil(t, reply[0])
		assert.Equal(t, parent.Id+"/mine", reply[1].(*protoactor.PID).Id)
		value, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)

		// Under protoactor's own supervision it survives a crash as well.
		request(t, system, b.PID(), bucket.Crash{Reason: "drill"})
		_, ok := b.DirectGet("a")
		assert.True(t, ok)
		require.NoError(t, actor.Stop(t.Context(), system, parent))
		assert.Nil(t, b.PID())
	})
}

func TestBucket_leaves_nothing_behind_after_its_stop(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		before := goroutines()
		system := newSystem()
		processes := func() (n int) {
			for _, shard := range system.ProcessRegistry.LocalPIDs.LocalPIDs {
				n += shard.Count()
			}
			return n
		}
		idle := processes()
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet(), bucket.RefreshEvery(time.Second))
		sup := supervisor.New(system, noLog())
		require.NoError(t, sup.Start(t.Context(), b))
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		synctest.Wait()
		assert.Equal(t, before, goroutines(), "an idle bucket has no goroutine")

		require.NoError(t, sup.Stop(t.Context()))
		synctest.Wait()
		assert.Equal(t, before, goroutines())
		assert.Equal(t, idle, processes())
		loads := src.loads.Load()
		system.EventStream.Subscribe(func(event any) {
			if dead, ok := event.(*protoactor.DeadLetterEvent); ok {
				t.Errorf("a timer still fires: %#v", dead.Message)
			}
		})
		time.Sleep(time.Hour)
		assert.Equal(t, loads, src.loads.Load(), "no timer either")
	})
}

func TestHealthState_is_read_back_from_its_text(t *testing.T) {
	for state := bucket.Stopped; state <= bucket.Ready; state++ {
		text, err := state.MarshalText()
		require.NoError(t, err)
		var again bucket.HealthState
		require.NoError(t, again.UnmarshalText(text))
		assert.Equal(t, state, again)
	}
	var none bucket.HealthState
	require.Error(t, none.UnmarshalText([]byte("HealthState(9)")))
}
