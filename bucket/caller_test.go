package bucket_test

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// These tests are the rows of the table "What a caller sees", in its order.

func TestBucket_that_was_not_started_says_what_to_start(t *testing.T) {
	b := bucket.New("widgets", newSource(map[string]int{"a": 1}))
	_, err := b.Fetch(t.Context(), "a")
	require.ErrorIs(t, err, bucket.ErrNotRunning)
	assert.NotErrorIs(t, err, bucket.ErrStopped)
	assert.ErrorContains(t, err, `"widgets"`)
	assert.ErrorContains(t, err, "supervisor.Start")

	_, ok := b.DirectGet("a")
	assert.False(t, ok)
	assert.ErrorIs(t, b.DirectSet(t.Context(), "a", 1), bucket.ErrNotRunning)
	assert.ErrorIs(t, b.Delete(t.Context(), "a"), bucket.ErrNotRunning)
	_, err = b.Refresh(t.Context())
	assert.ErrorIs(t, err, bucket.ErrNotRunning)
	assert.Empty(t, b.Keys())
	assert.Zero(t, b.Len())
	assert.Nil(t, b.PID())
	assert.Zero(t, b.Stats())
	for range b.All() {
		t.Fatal("a bucket that does not run holds nothing")
	}
}

func TestBucket_that_is_starting_lets_callers_wait_until_it_is_ready(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		init := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: newSource(map[string]int{"b": 2}).Load,
			InitFunc: func(context.Context) (map[string]int, error) {
				<-init
				return map[string]int{"a": 1}, nil
			},
		}, quiet())
		system := newSystem()
		system.Root.Spawn(b.Props())

		seeded, missing := fetch(t.Context(), b, "a"), fetch(t.Context(), b, "b")
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		begun := time.Now()
		_, err := b.Fetch(impatient, "a")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Equal(t, time.Second, time.Since(begun))
		_, ok := b.DirectGet("a")
		assert.False(t, ok, "not there before the bucket is ready")
		assert.Equal(t, bucket.Starting, b.Health().State)

		close(init)
		assert.Equal(t, got{1, nil}, <-seeded)
		assert.Equal(t, got{2, nil}, <-missing)
		require.NoError(t, stopByHand(system, b))
	})
}

func TestBucket_answers_a_held_key_without_the_loader(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)

		src.set("a", 2)
		value, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		value, ok := b.DirectGet("a")
		assert.True(t, ok)
		assert.Equal(t, 1, value)
		assert.EqualValues(t, 1, src.loads.Load())
	})
}

func TestBucket_loads_and_saves_a_missing_key(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
		start(t, b)
		_, ok := b.DirectGet("a")
		require.False(t, ok)

		value, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		value, ok = b.DirectGet("a")
		assert.True(t, ok, "saved before the caller is answered")
		assert.Equal(t, 1, value)
	})
}

func TestBucket_saves_nothing_for_a_key_that_does_not_exist(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(nil)
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		for range 2 {
			_, err := b.Fetch(t.Context(), "a")
			var failed *loader.Error
			require.ErrorAs(t, err, &failed)
			assert.Equal(t, "widgets", failed.Bucket)
			assert.Equal(t, "a", failed.Key)
			assert.ErrorIs(t, err, loader.ErrNotFound)
		}
		assert.EqualValues(t, 2, src.loads.Load(), "the loader is asked each time")
		_, ok := b.DirectGet("a")
		assert.False(t, ok)
		assert.EqualValues(t, 2, b.Stats().NotFound)
		assert.Zero(t, b.Stats().LoadFailures)
	})
}

func TestBucket_survives_everything_a_loader_can_do(t *testing.T) {
	tests := []struct {
		name   string
		load   func(context.Context, string) (int, error)
		check  func(t *testing.T, err error)
		panics int64
	}{
		{
			name:  "it fails",
			load:  func(context.Context, string) (int, error) { return 7, errDown },
			check: func(t *testing.T, err error) { assert.ErrorIs(t, err, errDown) },
		},
		{
			name: "it panics",
			load: func(context.Context, string) (int, error) { panic("ouch") },
			check: func(t *testing.T, err error) {
				var panicked *loader.PanicError
				require.ErrorAs(t, err, &panicked)
				assert.Equal(t, "ouch", panicked.Value)
				assert.NotEmpty(t, panicked.Stack)
			},
			panics: 1,
		},
		{
			name: "it panics with nil",
			load: func(context.Context, string) (int, error) { panic(nil) },
			check: func(t *testing.T, err error) {
				var panicked *loader.PanicError
				require.ErrorAs(t, err, &panicked)
			},
			panics: 1,
		},
		{
			name:   "it calls Goexit",
			load:   func(context.Context, string) (int, error) { runtime.Goexit(); return 0, nil },
			check:  func(t *testing.T, err error) { assert.ErrorIs(t, err, loader.ErrGoexit) },
			panics: 1,
		},
		{
			name:   "its error panics when looked at",
			load:   func(context.Context, string) (int, error) { return 0, evilError{} },
			check:  func(t *testing.T, err error) { assert.NotEmpty(t, err.Error()) },
			panics: 1,
		},
		{
			name:  "its error panics when it is asked what it is",
			load:  func(context.Context, string) (int, error) { return 0, evilAsError{} },
			check: func(t *testing.T, err error) { assert.ErrorIs(t, err, evilAsError{}) },
		},
		{
			name:  "it says unchanged for a key that is not held",
			load:  func(context.Context, string) (int, error) { return 0, loader.ErrUnchanged },
			check: func(t *testing.T, err error) { assert.ErrorIs(t, err, loader.ErrUnchanged) },
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				logger, log := captured()
				b := bucket.New("widgets", loader.Func(func(ctx context.Context, key string) (int, error) {
					if key == "good" {
						return 1, nil
					}
					return tt.load(ctx, key)
				}), logger)
				start(t, b)

				waiting := []<-chan got{}
				for range 10 {
					waiting = append(waiting, fetch(t.Context(), b, "bad"))
				}
				for _, answer := range waiting {
					err := (<-answer).err
					var failed *loader.Error
					require.ErrorAs(t, err, &failed)
					tt.check(t, err)
				}
				_, ok := b.DirectGet("bad")
				assert.False(t, ok)
				value, err := b.Fetch(t.Context(), "good")
				require.NoError(t, err, "other keys go on")
				assert.Equal(t, 1, value)
				assert.Zero(t, b.Stats().Restarts)
				assert.Equal(t, b.Stats().LoadFailures, b.Stats().Loads-1)
				assert.Equal(t, tt.panics > 0, b.Stats().LoadPanics > 0)

				lines := 0
				for _, entry := range log.AllEntries() {
					if entry.Data["error"] != nil {
						lines++
					}
				}
				assert.EqualValues(t, b.Stats().LoadFailures, lines, "one line for a load, not one for a waiter")
			})
		})
	}
}

type evilError struct{}

func (evilError) Error() string { panic("Error panics") }
func (evilError) Is(error) bool { panic("Is panics") }
func (evilError) As(any) bool   { panic("As panics") }

type evilAsError struct{}

func (evilAsError) Error() string { return "evil" }
func (evilAsError) As(any) bool   { panic("As panics") }

func TestBucket_lets_a_hanging_load_cost_its_callers_LoadTimeout_and_the_rest_nothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"hung": 1, "good": 2})
		open := src.gate("hung") // ignores its context, too
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1), bucket.LoadTimeout(5*time.Second),
			bucket.RefreshEvery(0))
		_, sup := start(t, b)

		begun := time.Now()
		hung := fetch(t.Context(), b, "hung")
		synctest.Wait()
		value, err := b.Fetch(t.Context(), "good") // needs the only slot
		require.NoError(t, err)
		assert.Equal(t, 2, value)
		assert.Equal(t, 5*time.Second, time.Since(begun), "the slot is free again although the loader never returned")
		answer := <-hung
		var failed *loader.Error
		require.ErrorAs(t, answer.err, &failed)
		require.ErrorIs(t, answer.err, context.DeadlineExceeded)
		assert.EqualValues(t, 1, b.Stats().LoadTimeouts)

		// In a refresh, too; and a stop does not wait for it either.
		require.NoError(t, b.DirectSet(t.Context(), "hung", 3))
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Failed)
		assert.Equal(t, 1, report.Loaded)
		assert.Equal(t, 10*time.Second, time.Since(begun))
		fetch(t.Context(), b, "another")
		require.NoError(t, sup.Stop(t.Context()))
		assert.Equal(t, 10*time.Second, time.Since(begun))
		open()
		synctest.Wait()
	})
}

func TestBucket_answers_a_caller_whose_context_ends_and_goes_on_loading_for_the_others(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet())
		start(t, b)

		patient := fetch(t.Context(), b, "a")
		const callers = 1000
		left := make(chan time.Duration, callers)
		begun := time.Now()
		for i := range callers {
			go func() {
				deadline := time.Duration(i+1) * time.Millisecond
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				defer cancel()
				_, err := b.Fetch(ctx, "a")
				assert.Equal(t, context.DeadlineExceeded, err)
				left <- time.Since(begun) - deadline
			}()
		}
		for range callers {
			assert.Zero(t, <-left, "each leaves at its own deadline")
		}

		open()
		assert.Equal(t, got{1, nil}, <-patient)
		assert.EqualValues(t, 1, src.loads.Load())
		value, ok := b.DirectGet("a")
		assert.True(t, ok)
		assert.Equal(t, 1, value)
	})
}

func TestBucket_saves_a_load_that_everybody_has_left(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		ctx, cancel := context.WithCancel(t.Context())
		answer := fetch(ctx, b, "a")
		<-src.begun
		cancel()
		require.ErrorIs(t, (<-answer).err, context.Canceled)
		open()
		synctest.Wait()
		_, ok := b.DirectGet("a")
		assert.True(t, ok)
	})
}

func TestBucket_keeps_the_old_value_when_its_refresh_fails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		before, _ := b.Entry("a")

		src.fail("a", errDown)
		for i := range 2 {
			time.Sleep(time.Minute)
			report, err := b.Refresh(t.Context())
			require.NoError(t, err)
			assert.Equal(t, 1, report.Failed)
			require.Len(t, report.Failures, 1)
			assert.Equal(t, "a", report.Failures[0].Key)

			value, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			assert.Equal(t, 1, value)
			entry, ok := b.Entry("a")
			require.True(t, ok)
			assert.ErrorIs(t, entry.LastError, errDown)
			assert.Equal(t, i+1, entry.Failures)
			assert.Equal(t, before.LoadedAt, entry.LoadedAt)
			assert.Equal(t, before.Version, entry.Version)
			assert.Equal(t, bucket.Degraded, b.Health().State)
		}

		src.set("a", 2)
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		entry, _ := b.Entry("a")
		assert.Equal(t, 2, entry.Value)
		assert.NoError(t, entry.LastError)
		assert.Zero(t, entry.Failures)
		assert.Equal(t, bucket.SourceRefresh, entry.Source)
		assert.Greater(t, entry.Version, before.Version)
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestBucket_forgets_a_key_that_the_source_no_longer_has(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		_, err := b.FetchMany(t.Context(), []string{"a", "b"})
		require.NoError(t, err)

		src.mu.Lock()
		delete(src.values, "a")
		src.mu.Unlock()
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Removed)
		assert.Equal(t, 1, report.Loaded)
		assert.Zero(t, report.Failed)
		_, ok := b.DirectGet("a")
		assert.False(t, ok)
		assert.Equal(t, []string{"b"}, b.Keys())

		src.set("a", 3)
		value, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err, "the next Fetch asks the loader")
		assert.Equal(t, 3, value)
	})
}

func TestBucket_serves_hits_while_it_waits_for_its_restart_and_misses_after_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
		b := bucket.New("widgets", src, quiet())
		system := newSystem()
		sup := supervisor.New(system, noLog(), supervisor.Backoff(time.Second, time.Second))
		require.NoError(t, sup.Start(t.Context(), b))
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		open := src.gate("b")
		flying := fetch(t.Context(), b, "b")
		synctest.Wait()

		begun := time.Now()
		require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.Crash{Reason: "drill"})), bucket.ErrCrashed)
		value, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		assert.Zero(t, time.Since(begun), "a hit does not wait")

		open()
		value, err = b.Fetch(t.Context(), "c")
		require.NoError(t, err)
		assert.Equal(t, 3, value)
		assert.InDelta(t, time.Second, time.Since(begun), float64(250*time.Millisecond), "the miss was answered after the restart")
		assert.Equal(t, got{2, nil}, <-flying, "the load that was under way is not lost")
		assert.EqualValues(t, 3, src.loads.Load())
		assert.EqualValues(t, 1, b.Stats().Restarts)
		require.NoError(t, sup.Stop(t.Context()))
	})
}

func TestBucket_that_stopped_or_was_given_up_says_so(t *testing.T) {
	tests := []struct {
		name string
		stop func(t *testing.T, system *protoactor.ActorSystem, pid *protoactor.PID, sup *supervisor.Supervisor)
	}{
		{"stopped", func(t *testing.T, _ *protoactor.ActorSystem, _ *protoactor.PID, sup *supervisor.Supervisor) {
			require.NoError(t, sup.Stop(t.Context()))
		}},
		{"given up", func(_ *testing.T, system *protoactor.ActorSystem, pid *protoactor.PID, _ *supervisor.Supervisor) {
			system.Root.Send(pid, bucket.Crash{Reason: "drill"})
			synctest.Wait()
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
				open := src.gate("b")
				b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1))
				system := newSystem()
				sup := supervisor.New(system, noLog(), supervisor.MaxRestarts(0, time.Minute))
				require.NoError(t, sup.Start(t.Context(), b))
				_, err := b.Fetch(t.Context(), "a")
				require.NoError(t, err)
				flying := fetch(t.Context(), b, "b")
				synctest.Wait()
				queued := fetch(t.Context(), b, "c")
				refreshing := make(chan error, 1)
				go func() {
					_, err := b.Refresh(t.Context())
					refreshing <- err
				}()
				synctest.Wait()
				future := func(msg any) *protoactor.Future { return system.Root.RequestFuture(b.PID(), msg, time.Hour) }
				asked := []*protoactor.Future{
					future(bucket.Fetch{Key: "b"}), future(bucket.Get{Key: "c"}), future(bucket.Refresh{}),
				}
				synctest.Wait()
				begun := time.Now()

				tt.stop(t, system, b.PID(), sup)
				require.ErrorIs(t, (<-flying).err, bucket.ErrStopped)
				require.ErrorIs(t, (<-queued).err, bucket.ErrStopped)
				require.ErrorIs(t, <-refreshing, bucket.ErrStopped)
				for _, future := range asked {
					reply, err := future.Result()
					require.NoError(t, err)
					if reply != (bucket.Missing{}) { // what a Get gets
						require.ErrorIs(t, failure(t, reply), bucket.ErrStopped)
					}
				}
				assert.Zero(t, time.Since(begun), "nobody waits for its own time-out")
				_, err = b.Fetch(t.Context(), "a")
				require.ErrorIs(t, err, bucket.ErrStopped)
				require.ErrorIs(t, err, bucket.ErrNotRunning)
				_, ok := b.DirectGet("a")
				assert.False(t, ok)
				assert.Zero(t, b.Len())
				assert.Equal(t, bucket.Stopped, b.Health().State)
				assert.NotEmpty(t, b.Health().Reasons)
				open()
				require.NoError(t, sup.Stop(t.Context()))
			})
		})
	}
}
