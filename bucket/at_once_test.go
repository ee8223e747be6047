package bucket_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// A DirectSet need not send a message if the actor has nothing to do. These are the cases in which
// that must not be noticed.

func TestDirectSet_comes_after_what_was_sent_before(t *testing.T) {
	b := bucket.New("widgets", newSource(nil), quiet())
	system, _ := start(t, b)
	for i := range 2_000 {
		system.Root.Send(b.PID(), bucket.Set{Key: "a", Value: -1})
		require.NoError(t, b.DirectSet(t.Context(), "a", i))
		_, err := b.Fetch(t.Context(), fmt.Sprint("missing ", i)) // answered behind both
		require.Error(t, err)
		value, _ := b.DirectGet("a")
		require.Equal(t, i, value, "round %d", i)
	}
}

func TestDirectSet_comes_after_what_waits_while_the_actor_is_busy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		busy, enter := make(chan struct{}), make(chan struct{})
		equal := func(a, b int) bool {
			if b == 1 {
				close(enter)
				<-busy
			}
			return a == b
		}
		b := bucket.New("widgets", newSource(nil), quiet(), bucket.Equal(equal))
		system, _ := start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "a", 0))
		watching, leave := context.WithCancel(t.Context())
		b.Watch(watching)
		system.Root.Send(b.PID(), bucket.Set{Key: "a", Value: 1}) // is compared, for the watcher
		<-enter
		leave()
		system.Root.Send(b.PID(), bucket.Set{Key: "a", Value: 2})
		done := make(chan error, 1)
		go func() { done <- b.DirectSet(t.Context(), "a", 3) }()
		synctest.Wait()
		close(busy)
		require.NoError(t, <-done)
		synctest.Wait()
		value, _ := b.DirectGet("a")
		assert.Equal(t, 3, value)
	})
}

func TestDirectSet_during_a_full_refresh_wins(t *testing.T) {
	for _, way := range []string{"one by one", "in one go"} {
		t.Run(way, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src := newSource(map[string]int{"a": 1, "b": 1})
				begun, open := make(chan struct{}, 1), make(chan struct{})
				var l loader.Loader[string, int] = src
				if way == "in one go" {
					l = loader.Funcs[string, int]{LoadFunc: src.Load, LoadAllFunc: func(context.Context) (map[string]int, error) {
						begun <- struct{}{}
						<-open
						return map[string]int{"a": 1, "b": 1}, nil
					}}
				}
				b := bucket.New("widgets", l, quiet())
				start(t, b)
				for _, key := range []string{"a", "b"} {
					_, err := b.Fetch(t.Context(), key)
					require.NoError(t, err)
				}
				release := src.gate("a")
				defer release()
				done := make(chan error, 1)
				go func() {
					_, err := b.Refresh(t.Context())
					done <- err
				}()
				synctest.Wait()
				if way == "in one go" {
					<-begun
				}
				require.NoError(t, b.DirectSet(t.Context(), "a", 2))
				require.NoError(t, b.DirectSet(t.Context(), "b", 2))
				require.NoError(t, b.DirectSet(t.Context(), "new", 2))
				release()
				close(open)
				require.NoError(t, <-done)
				for _, key := range []string{"a", "b", "new"} {
					value, ok := b.DirectGet(key)
					assert.True(t, ok, key)
					assert.Equal(t, 2, value, key)
				}
			})
		})
	}
}

func TestDirectSet_is_in_the_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "widgets.dump")
	b := bucket.New("widgets", newSource(nil), quiet(), bucket.File(path))
	_, sup := start(t, b)
	require.NoError(t, b.DirectSet(t.Context(), "a", 1))
	require.NoError(t, sup.Stop(t.Context()))

	again := bucket.New("widgets", newSource(nil), quiet(), bucket.File(path))
	start(t, again)
	value, _ := again.DirectGet("a")
	assert.Equal(t, 1, value)
}

func TestDirectSet_reaches_who_watches(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(nil), quiet())
		start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "a", 1))
		w := watch(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "a", 2))
		changes := w.take()
		require.Len(t, changes, 1)
		assert.Equal(t, bucket.Changed, changes[0].Kind)
		assert.Equal(t, 1, changes[0].Old)
		assert.Equal(t, 2, changes[0].New)
	})
}

// A watcher that comes while a value is set hears of it, or is told that it has missed something, or
// begins with it: what it holds is what the next change says was there before.
func TestDirectSet_is_not_missed_by_who_comes_to_watch_meanwhile(t *testing.T) {
	b := bucket.New("widgets", newSource(nil), quiet())
	start(t, b)
	require.NoError(t, b.DirectSet(t.Context(), "a", 0))
	var setting sync.WaitGroup
	over := make(chan struct{})
	setting.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-over:
				return
			default:
				assert.NoError(t, b.DirectSet(t.Context(), "a", i))
			}
		}
	})
	defer setting.Wait()
	defer close(over)
	for round := range 3_000 {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		changes := b.Watch(ctx)
		first, _ := b.DirectGet("a")
		heard := false
		for change := range changes {
			if change.Kind == bucket.Missed || change.New > first {
				require.True(t, change.Kind == bucket.Missed || change.Old == first,
					"round %d: began with %d, and heard next of %+v", round, first, change)
				heard = true
				break
			}
		}
		require.True(t, heard, "round %d", round)
		cancel()
	}
}

func TestDirectSet_is_counted(t *testing.T) {
	b := bucket.New("widgets", newSource(nil), quiet())
	start(t, b)
	for i := range 100 {
		require.NoError(t, b.DirectSet(t.Context(), "a", i))
	}
	assert.EqualValues(t, 100, b.Stats().Sets)
}

func TestDirectSet_is_not_done_for_whose_context_has_ended(t *testing.T) {
	b := bucket.New("widgets", newSource(nil), quiet())
	start(t, b)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, b.DirectSet(ctx, "a", 1), context.Canceled)
}
