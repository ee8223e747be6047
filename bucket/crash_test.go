package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

// saboteur starts a bucket whose actor panics on messages of a test's choice, whatever
// they are: questions, notes of the actor to itself, its life cycle.
type saboteur struct {
	*bucket.Bucket[string, int]
	panicOn func(msg any) bool
}

func (s saboteur) sabotage(props *protoactor.Props) *protoactor.Props {
	return props.Configure(protoactor.WithReceiverMiddleware(func(next protoactor.ReceiverFunc) protoactor.ReceiverFunc {
		return func(ctx protoactor.ReceiverContext, envelope *protoactor.MessageEnvelope) {
			if s.panicOn(envelope.Message) {
				panic("sabotage")
			}
			next(ctx, envelope)
		}
	}))
}

func (s saboteur) Props() *protoactor.Props { return s.sabotage(s.Bucket.Props()) }

func (s saboteur) Announce(report actor.Report) *protoactor.Props {
	return s.sabotage(s.Bucket.Announce(report))
}

func TestBucket_survives_a_thousand_panics_under_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		const panics, keys = 1000, 200
		src := newSource(seedOf(keys))
		b := seeded(src, bucket.RefreshEvery(100*time.Millisecond), bucket.Jitter(0))
		var sabotaged, messages atomic.Int64
		system, _ := start(t, saboteur{b, func(msg any) bool {
			switch msg.(type) {
			case *protoactor.Started, *protoactor.Restarting, *protoactor.Stopping, *protoactor.Stopped:
				return false
			}
			if messages.Add(1)%7 == 0 && sabotaged.Load() < panics {
				sabotaged.Add(1)
				return true
			}
			return false
		}})
		synctest.Wait()
		before := goroutines()

		var acknowledged sync.Map // key -> last value whose DirectSet returned nil
		var askers, readers sync.WaitGroup
		readsDone := make(chan struct{})
		readers.Go(func() {
			for {
				select {
				case <-readsDone:
					return
				case <-time.After(time.Millisecond):
					for i := range keys {
						if _, ok := b.DirectGet(fmt.Sprint("key", i)); !assert.True(t, ok, "hits are served throughout") {
							return
						}
					}
				}
			}
		})
		for asker := range 20 {
			askers.Go(func() {
				random := rand.New(rand.NewPCG(7, uint64(asker)))
				for i := 0; sabotaged.Load() < panics || i < 100; i++ {
					ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
					var err error
					switch random.IntN(6) {
					case 0:
						_, err = b.Fetch(ctx, fmt.Sprint("missing", i%10))
					case 1:
						_, err = b.RefreshKey(ctx, fmt.Sprint("key", random.IntN(keys)))
					case 2:
						_, err = b.Refresh(ctx)
					case 3:
						reply := request(t, system, b.PID(), bucket.Fetch{Key: fmt.Sprint("missing", i%10)})
						if failed, ok := reply.(bucket.Failed); ok {
							err = failed.Err
						}
					case 4:
						key := fmt.Sprintf("set-%d-%d", asker, random.IntN(5))
						src.set(key, i) // first, so that no later load is older
						if err = b.DirectSet(ctx, key, i); err == nil {
							acknowledged.Store(key, i)
						} else {
							acknowledged.Delete(key) // may or may not have been made
						}
					case 5:
						err = b.Delete(ctx, "nobody's")
					}
					assert.NotErrorIs(t, err, context.DeadlineExceeded, "an answer, not a time-out")
					assert.NotErrorIs(t, err, bucket.ErrStopped)
					cancel()
				}
			})
		}
		askers.Wait()
		close(readsDone)
		readers.Wait()
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		acknowledged.Range(func(key, value any) bool {
			held, ok := b.DirectGet(key.(string))
			assert.True(t, ok, "%v is missing", key)
			assert.Equal(t, value, held)
			return true
		})

		synctest.Wait()
		stats := b.Stats()
		assert.EqualValues(t, panics, stats.Restarts)
		assert.Zero(t, stats.Running, "no slot is lost")
		assert.Equal(t, before, goroutines())
		assert.False(t, src.overlap.Load(), "one load of a key at a time, through every crash")
		time.Sleep(time.Second)
		assert.Greater(t, b.Stats().Refreshes, stats.Refreshes, "and refreshing goes on")
	})
}

// TestBucket_answers_whoever_asked_when_any_message_crashes_it lets the actor panic once
// on each kind of message it gets in the course of a fetch and of a refresh.
func TestBucket_answers_whoever_asked_when_any_message_crashes_it(t *testing.T) {
	for nth := range 12 {
		t.Run(fmt.Sprint("message ", nth), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "b": 2, "c": 3})
				b := seeded(src, bucket.RefreshEvery(time.Minute), bucket.Jitter(0), bucket.MaxConcurrentLoads(1))
				seen := -1
				system := newSystem()
				sup := supervisor.New(system, noLog(), supervisor.Backoff(0, 0))
				require.NoError(t, sup.Start(t.Context(), saboteur{b, func(any) bool {
					seen++
					return seen == nth
				}}))
				begun := time.Now()
				src.set("new", 4)
				value, err := b.Fetch(t.Context(), "new")
				if err == nil {
					assert.Equal(t, 4, value)
				} else {
					assert.ErrorIs(t, err, bucket.ErrCrashed)
				}
				many, err := b.FetchMany(t.Context(), []string{"a", "b", "x", "y"})
				assert.Len(t, many, 2)
				assert.Error(t, err)
				_, err = b.Refresh(t.Context())
				if err != nil {
					assert.ErrorIs(t, err, bucket.ErrCrashed)
				}
				assert.Zero(t, time.Since(begun), "nobody waits for a time-out")
				synctest.Wait()
				assert.Zero(t, b.Stats().Running)

				report, err := b.Refresh(t.Context())
				require.NoError(t, err)
				assert.Zero(t, report.Failed)
				loads := src.loads.Load()
				time.Sleep(10 * time.Minute)
				assert.GreaterOrEqual(t, src.loads.Load(), loads+27, "and the clock goes on")
				require.NoError(t, sup.Stop(t.Context()))
			})
		})
	}
}

func TestCrash_is_answered_and_names_the_reason(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(nil))
		system, _ := start(t, b)
		err := failure(t, request(t, system, b.PID(), bucket.Crash{Reason: errDown}))
		require.ErrorIs(t, err, bucket.ErrCrashed)
		require.ErrorIs(t, err, errDown)
		var crash *actor.CrashError
		require.True(t, errors.As(err, &crash))
		assert.NotEmpty(t, crash.Stack)
		require.Error(t, failure(t, request(t, system, b.PID(), bucket.Crash{})), "a drill without a reason")
	})
}
