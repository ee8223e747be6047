package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// allocations counts those of each of a number of calls, whatever goroutine makes them.
func allocations(calls int, call func(i int)) float64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for i := range calls {
		call(i)
	}
	runtime.ReadMemStats(&after)
	return float64(after.Mallocs-before.Mallocs) / float64(calls)
}

func TestFetch_that_loads_allocates_little(t *testing.T) {
	if raced {
		t.Skip("the race detector allocates, too")
	}
	src := loader.Func(func(context.Context, string) (int, error) { return 1, nil })
	keys := make([]string, 1000) // not so many that the table is made anew
	for i := range keys {
		keys[i] = strconv.Itoa(i)
	}
	start := func(t *testing.T) *bucket.Bucket[string, int] {
		b := bucket.New("widgets", src, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		_, _, err := b.FetchNoSave(t.Context(), "the first makes what the others use")
		require.NoError(t, err)
		return b
	}

	b := start(t)
	entry := allocations(len(keys), func(i int) { b.Put(keys[i], 1) })
	b = start(t)
	fetch := allocations(len(keys), func(i int) { _, _ = b.Fetch(t.Context(), keys[i]) })
	require.Equal(t, len(keys), b.Len())
	assert.Less(t, fetch-entry, 4.1, "of it, the entry costs %.1f", entry)
}

// hung is a source whose loads hang, but for a key that is released; a load says when it ends.
type hung struct {
	mu    sync.Mutex
	gates map[string]chan struct{}
}

func (h *hung) gate(key string) chan struct{} {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.gates == nil {
		h.gates = make(map[string]chan struct{})
	}
	if h.gates[key] == nil {
		h.gates[key] = make(chan struct{})
	}
	return h.gates[key]
}

func (h *hung) Load(_ context.Context, key string) (string, error) {
	<-h.gate(key)
	return key, nil
}

// Load runs from 0 s on, one more each second; those with an odd number come to their end.
func TestLoads_that_outlive_their_time_end_each_at_its_own(t *testing.T) {
	const loads = 20
	h := &hung{}
	b := bucket.New("widgets", h, quiet(), bucket.RefreshEvery(0))
	inBubble(t, func(t *testing.T) {
		for _, timeout := range []time.Duration{10 * time.Second, 3 * time.Second, 12 * time.Second} {
			h.gates = nil
			_, sup := start(t, b.With(bucket.LoadTimeout(timeout)))
			begun := time.Now()
			var wait sync.WaitGroup
			for i := range loads {
				wait.Go(func() {
					pause := time.Duration(i) * time.Second
					time.Sleep(pause)
					value, err := b.Fetch(t.Context(), strconv.Itoa(i))
					if i%2 == 1 {
						assert.NoError(t, err)
						assert.Equal(t, strconv.Itoa(i), value)
						return
					}
					assert.ErrorIs(t, err, context.DeadlineExceeded)
					assert.Equal(t, pause+timeout, time.Since(begun), "load %d", i)
				})
				if i%2 == 1 {
					time.AfterFunc(time.Duration(i)*time.Second+timeout/2, func() { close(h.gate(strconv.Itoa(i))) })
				}
			}
			wait.Wait()
			stats := b.Stats()
			assert.EqualValues(t, loads/2, stats.LoadTimeouts)
			assert.Equal(t, loads/2, stats.Abandoned)
			assert.Zero(t, stats.Running)
			for i := 0; i < loads; i += 2 {
				close(h.gate(strconv.Itoa(i)))
			}
			synctest.Wait()
			assert.Zero(t, b.Stats().Abandoned)
			assert.Equal(t, loads/2, b.Len(), "what comes late is dropped")
			require.NoError(t, sup.Stop(t.Context()))
		}
	})
}

func TestLoads_that_outlive_their_time_end_although_the_bucket_crashes(t *testing.T) {
	for name, crash := range map[string]func(msg any) bool{
		"on the alarm":               nthOf("bucket.alarmRang", 1),
		"on the second alarm":        nthOf("bucket.alarmRang", 2),
		"on a fire drill":            nthOf("bucket.Crash", 1),
		"on what it tells of it":     nthOf("*bucket.loaded[", 1),
		"on the second that is late": nthOf("*bucket.loaded[", 2),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(seedOf(3))
				b := bucket.New("widgets", src, quiet(), bucket.RefreshEvery(0), bucket.LoadTimeout(10*time.Second))
				system, _ := start(t, saboteur{b, crash})
				begun := time.Now()
				var wait sync.WaitGroup
				for i := range 3 {
					key := fmt.Sprint("key", i)
					open := src.gate(key)
					wait.Go(func() {
						defer open()
						time.Sleep(time.Duration(i) * time.Second)
						_, err := b.Fetch(t.Context(), key)
						assert.Error(t, err)
						assert.Equal(t, time.Duration(10+i)*time.Second, time.Since(begun), key)
					})
				}
				time.Sleep(5 * time.Second)
				system.Root.Send(b.PID(), bucket.Crash{Reason: "drill"})
				wait.Wait()
				synctest.Wait()
				assert.Zero(t, b.Stats().Abandoned)
				assert.Zero(t, b.Stats().Running)
			})
		})
	}
}

func TestLoad_ends_in_one_way_whatever_the_loader_does(t *testing.T) {
	ways := map[string]struct {
		load func(ctx context.Context) (int, error)
		want error
	}{
		"returns":                     {func(context.Context) (int, error) { return 1, nil }, nil},
		"fails":                       {func(context.Context) (int, error) { return 1, errDown }, errDown},
		"panics":                      {func(context.Context) (int, error) { panic("boom") }, &loader.PanicError{}},
		"exits":                       {func(context.Context) (int, error) { runtime.Goexit(); return 0, nil }, loader.ErrGoexit},
		"fails with a panic":          {func(context.Context) (int, error) { return 0, rude(func() { panic("boom") }) }, &loader.PanicError{}},
		"fails with an exit":          {func(context.Context) (int, error) { return 0, rude(runtime.Goexit) }, loader.ErrGoexit},
		"fails when its time is over": {func(ctx context.Context) (int, error) { <-ctx.Done(); return 0, errDown }, context.DeadlineExceeded},
		"hangs":                       {func(context.Context) (int, error) { time.Sleep(time.Hour); return 1, nil }, context.DeadlineExceeded},
	}
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := bucket.New("widgets", loader.Func(func(ctx context.Context, _ string) (int, error) { return way.load(ctx) }),
					quiet(), bucket.RefreshEvery(0), bucket.MaxConcurrentLoads(1))
				start(t, b)
				for range 2 { // the slot is free again
					value, err := b.Fetch(t.Context(), "a", bucket.MaxAge(-1))
					if way.want == nil {
						require.NoError(t, err)
						require.Equal(t, 1, value)
						continue
					}
					require.Zero(t, value)
					if panicked, ok := way.want.(*loader.PanicError); ok { //nolint:errorlint // it is what the table says
						require.ErrorAs(t, err, &panicked)
						assert.Equal(t, "boom", panicked.Value)
						assert.Contains(t, string(panicked.Stack), "trip_test.go")
						continue
					}
					require.ErrorIs(t, err, way.want)
				}
				stats := b.Stats()
				assert.EqualValues(t, 2, stats.Loads)
				assert.Zero(t, stats.Running)
				time.Sleep(2 * time.Hour)
				assert.Zero(t, b.Stats().Abandoned)
			})
		})
	}
}

// rude is an error that does not like to be looked into.
type rude func()

func (rude) Error() string { return "rude" }

func (r rude) Is(error) bool {
	r()
	return false
}

func TestLoad_gets_a_context_that_ends_with_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		type contexts struct {
			own, child context.Context
			ended      chan struct{} // a function that waits for the child has run
		}
		begun := make(chan contexts, 1)
		b := bucket.New("widgets", loader.Func(func(ctx context.Context, key string) (int, error) {
			at, ok := ctx.Deadline()
			assert.True(t, ok)
			assert.Equal(t, 10*time.Second, time.Until(at))
			assert.NoError(t, ctx.Err())
			assert.NoError(t, context.Cause(ctx))
			assert.Nil(t, ctx.Value(contexts{}))
			c := contexts{own: ctx, ended: make(chan struct{})}
			if key == "alone" {
				begun <- c
				return 1, nil
			}
			var cancel context.CancelFunc
			c.child, cancel = context.WithCancel(ctx)
			t.Cleanup(cancel)
			context.AfterFunc(c.child, func() { close(c.ended) })
			begun <- c
			var cause error
			switch key {
			case "hangs":
				cause = context.DeadlineExceeded
			case "stops":
				cause = bucket.ErrStopped
			default:
				return 1, nil
			}
			<-c.child.Done()
			assert.ErrorIs(t, context.Cause(ctx), cause)
			assert.ErrorIs(t, context.Cause(c.child), cause)
			time.Sleep(time.Second)
			return 1, nil
		}), quiet(), bucket.RefreshEvery(0), bucket.LoadTimeout(10*time.Second))
		system := newSystem()
		system.Root.Spawn(b.Props())

		_, err := b.Fetch(t.Context(), "alone")
		require.NoError(t, err)
		c := <-begun
		require.ErrorIs(t, c.own.Err(), context.Canceled)
		<-c.own.Done()

		_, err = b.Fetch(t.Context(), "with a child")
		require.NoError(t, err)
		c = <-begun
		<-c.ended
		require.ErrorIs(t, c.child.Err(), context.Canceled)

		_, err = b.Fetch(t.Context(), "hangs")
		require.ErrorIs(t, err, context.DeadlineExceeded)
		c = <-begun
		<-c.ended
		require.ErrorIs(t, c.own.Err(), context.DeadlineExceeded)

		stopped := fetch(t.Context(), b, "stops")
		c = <-begun
		require.NoError(t, stopByHand(system, b))
		<-c.ended
		require.ErrorIs(t, c.own.Err(), context.Canceled)
		require.ErrorIs(t, (<-stopped).err, bucket.ErrStopped)
		time.Sleep(2 * time.Second)
		assert.Zero(t, b.Stats().Abandoned)
	})
}

func TestFetch_that_is_left_as_its_answer_comes_gives_it_to_nobody_else(t *testing.T) {
	b := bucket.New("widgets", loader.Func(func(_ context.Context, key int) (int, error) { return key, nil }),
		quiet(), bucket.RefreshEvery(0), bucket.CacheEnabled(false))
	start(t, b)
	var wait sync.WaitGroup
	for caller := range 8 {
		wait.Go(func() {
			for i := range 3000 {
				key := caller*1_000_000 + i + 1
				ctx, cancel := context.WithCancel(t.Context())
				if i%2 == 0 {
					go cancel()
				}
				value, err := b.Fetch(ctx, key)
				cancel()
				if !errors.Is(err, context.Canceled) && (err != nil || value != key) {
					t.Errorf("Fetch(%d) = %d, %v", key, value, err)
				}
			}
		})
	}
	wait.Wait()
}

// A value may keep the context that it was loaded with, as a cursor does.
func TestLoad_keeps_nothing_of_the_value_before(t *testing.T) {
	type cursor struct {
		ctx context.Context //nolint:containedctx // that is the point
		_   [1 << 10]byte
	}
	b := bucket.New("widgets", loader.Func(func(ctx context.Context, _ int) (*cursor, error) { return &cursor{ctx: ctx}, nil }),
		quiet(), bucket.RefreshEvery(0))
	start(t, b)
	load := func() weak.Pointer[cursor] {
		value, err := b.RefreshKey(t.Context(), 1)
		require.NoError(t, err)
		return weak.Make(value)
	}
	first := load()
	load()
	load()
	assert.Eventually(t, func() bool { runtime.GC(); return first.Value() == nil }, 10*time.Second, time.Millisecond)
	runtime.KeepAlive(b)
}
