package bucket_test

import (
	"context"
	"maps"
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
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

func TestLoadAll_does_not_lead_back_from_what_a_RefreshKey_brought(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var version atomic.Int64
		version.Store(1)
		all := func(context.Context) (map[string]int, error) {
			value := int(version.Load())
			time.Sleep(time.Second) // a slow query
			return map[string]int{"a": value, "b": value}, nil
		}
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return int(version.Load()), nil },
			InitFunc: all, LoadAllFunc: all,
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		done := make(chan struct{})
		go func() { defer close(done); _, _ = b.Refresh(context.Background()) }()
		synctest.Wait() // LoadAll has read version 1
		version.Store(2)
		value, err := b.RefreshKey(t.Context(), "a")
		require.NoError(t, err)
		require.Equal(t, 2, value)
		<-done
		value, _ = b.DirectGet("a")
		assert.Equal(t, 2, value, "a was 2 already")
	})
}

func TestLoadAll_wins_over_a_miss_that_began_before_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var version atomic.Int64
		version.Store(1)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) {
				value := int(version.Load())
				time.Sleep(time.Second)
				return value, nil
			},
			LoadAllFunc: func(context.Context) (map[string]int, error) {
				value := int(version.Load())
				time.Sleep(2 * time.Second)
				return map[string]int{"a": value}, nil
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		go func() { _, _ = b.Fetch(context.Background(), "a") }()
		synctest.Wait() // it has read version 1
		version.Store(2)
		_, err := b.Refresh(t.Context()) // asked for after the source has changed
		require.NoError(t, err)
		value, _ := b.DirectGet("a")
		assert.Equal(t, 2, value)
	})
}

func TestLoadAll_is_not_replaced_by_a_miss_that_began_before_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var version atomic.Int64
		version.Store(1)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) {
				value := int(version.Load())
				time.Sleep(time.Second)
				return value, nil
			},
			LoadAllFunc: func(context.Context) (map[string]int, error) {
				return map[string]int{"a": int(version.Load())}, nil
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		go func() { _, _ = b.Fetch(context.Background(), "a") }()
		synctest.Wait()
		version.Store(2)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		value, _ := b.DirectGet("a")
		require.Equal(t, 2, value)
		time.Sleep(2 * time.Second)
		value, _ = b.DirectGet("a")
		assert.Equal(t, 2, value, "a was 2 already")
	})
}

func TestRefreshKey_that_fails_leaves_what_a_refresh_has_loaded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var phase atomic.Int64
		gate := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(_ context.Context, key string) (int, error) {
				switch phase.Load() {
				case 0: // the refresh: the second key that it comes to waits
					phase.Store(1)
					return 2, nil
				case 1:
					phase.Store(2)
					<-gate
					return 2, nil
				default:
					return 0, errDown
				}
			},
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
		}, quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1))
		start(t, b)
		reports := make(chan bucket.Report, 1)
		go func() { report, _ := b.Refresh(context.Background()); reports <- report }()
		synctest.Wait()
		loaded := b.Keys()[0]
		_, err := b.RefreshKey(t.Context(), loaded)
		require.ErrorIs(t, err, errDown)
		close(gate)
		report := <-reports
		assert.Equal(t, 2, report.Changed)
		entry, _ := b.Entry(loaded)
		assert.Equal(t, 2, entry.Value, "the refresh has loaded it")
		assert.Equal(t, 1, entry.Failures, "and the later load has failed")
		require.ErrorIs(t, entry.LastError, errDown)
	})
}

// stalling holds back the first note of a type, until it is let go.
func stalling(b *bucket.Bucket[string, int], prefix string, gate <-chan struct{}) supervisor.Child {
	first := nthOf(prefix, 1)
	return stalled{b, func(ctx protoactor.ReceiverContext, msg any) bool {
		if !first(msg) {
			return false
		}
		system, self := ctx.ActorSystem(), ctx.Self()
		go func() { <-gate; system.Root.Send(self, msg) }()
		return true
	}}
}

type stalled struct {
	*bucket.Bucket[string, int]
	hold func(ctx protoactor.ReceiverContext, msg any) bool
}

func (s stalled) Announce(report actor.Report) *protoactor.Props {
	return s.Bucket.Announce(report).Configure(protoactor.WithReceiverMiddleware(func(next protoactor.ReceiverFunc) protoactor.ReceiverFunc {
		return func(ctx protoactor.ReceiverContext, envelope *protoactor.MessageEnvelope) {
			if !s.hold(ctx, envelope.Message) {
				next(ctx, envelope)
			}
		}
	}))
}

func TestRefresh_that_was_asked_for_after_a_write_brings_what_the_source_has(t *testing.T) {
	for name, disturb := range map[string]func(t *testing.T, b *bucket.Bucket[string, int]){
		"a write": func(t *testing.T, b *bucket.Bucket[string, int]) {
			require.NoError(t, b.DirectSet(t.Context(), "key7", 99))
		},
		"a load": func(t *testing.T, b *bucket.Bucket[string, int]) {
			_, err := b.Fetch(t.Context(), "new")
			require.NoError(t, err)
		},
		"nothing": func(*testing.T, *bucket.Bucket[string, int]) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				src, gate := newSource(seedOf(10)), make(chan struct{})
				src.set("new", 1)
				b := seeded(src)
				start(t, stalling(b, "*bucket.keysMapped[", gate))
				require.NoError(t, b.Delete(t.Context(), "new"))
				var wait sync.WaitGroup
				wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
				synctest.Wait() // its keys are being mapped
				disturb(t, b)
				for _, key := range []string{"key7", "new"} {
					src.set(key, 1000)
				}
				wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
				synctest.Wait()
				close(gate)
				wait.Wait()
				value, _ := b.DirectGet("key7")
				assert.Equal(t, 1000, value)
				if value, ok := b.DirectGet("new"); ok {
					assert.Equal(t, 1000, value)
				}
				want := int64(2)
				if name == "nothing" {
					want = 1
				}
				assert.Equal(t, want, b.Stats().Refreshes)
			})
		})
	}
}

func TestLoadAll_that_fails_leaves_what_loads_have_brought(t *testing.T) {
	for _, first := range []string{"the load", "LoadAll"} {
		t.Run(first+" begins first", func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				load, all := make(chan struct{}), make(chan struct{})
				b := bucket.New("widgets", loader.Funcs[string, int]{
					LoadFunc:    func(context.Context, string) (int, error) { <-load; return 2, nil },
					LoadAllFunc: func(context.Context) (map[string]int, error) { <-all; return nil, errDown },
					InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
				}, quiet())
				start(t, b)
				w := watch(t, b)
				var wait sync.WaitGroup
				fetch := func() {
					wait.Go(func() { _, err := b.RefreshKey(t.Context(), "a"); assert.NoError(t, err) })
					wait.Go(func() { _, err := b.Fetch(t.Context(), "new"); assert.NoError(t, err) })
					synctest.Wait()
				}
				refresh := func() {
					wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
					synctest.Wait()
				}
				if first == "LoadAll" {
					refresh()
					fetch()
				} else {
					fetch()
					refresh()
				}
				close(load)
				synctest.Wait()
				close(all)
				wait.Wait()
				assert.Equal(t, map[string]int{"a": 2, "b": 1, "new": 2}, maps.Collect(b.All()))
				assert.Len(t, w.take(), 2)
			})
		})
	}
}

func TestLoadAll_that_lacks_a_key_whose_load_began_before_it_has_it_gone(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		load, all := make(chan struct{}), make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { <-load; return 2, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { <-all; return map[string]int{"a": 3, "other": 3}, nil },
			InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 1}, nil },
		}, quiet())
		start(t, b)
		w := watch(t, b)
		var wait sync.WaitGroup
		for _, key := range []string{"gone", "other"} {
			wait.Go(func() { _, err := b.Fetch(t.Context(), key); assert.NoError(t, err) })
		}
		synctest.Wait()
		wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
		synctest.Wait()
		close(load)
		synctest.Wait()
		assert.Len(t, w.take(), 2)
		close(all)
		wait.Wait()
		assert.Equal(t, map[string]int{"a": 3, "other": 3}, maps.Collect(b.All()))
		told := map[string]bucket.ChangeKind{}
		for _, change := range w.take() {
			told[change.Key] = change.Kind
		}
		assert.Equal(t, map[string]bucket.ChangeKind{"a": bucket.Changed, "other": bucket.Changed, "gone": bucket.Removed}, told)
	})
}

func TestLoadAll_is_won_by_a_later_word_that_there_is_nothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		all := make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { return 0, loader.ErrNotFound },
			LoadAllFunc: func(context.Context) (map[string]int, error) { <-all; return map[string]int{"a": 1, "gone": 1}, nil },
		}, quiet())
		start(t, b)
		w := watch(t, b)
		refreshed := make(chan error, 1)
		go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
		synctest.Wait()
		_, err := b.Fetch(t.Context(), "gone")
		require.ErrorIs(t, err, loader.ErrNotFound)
		close(all)
		require.NoError(t, <-refreshed)
		assert.Equal(t, []string{"a"}, b.Keys())
		assert.Len(t, w.take(), 1)
	})
}

func TestRefreshKey_that_waits_for_a_refresh_fails_with_it_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(1))
		src.fail("key0", errDown)
		open := src.gate("key0")
		b := seeded(src)
		start(t, b)
		var wait sync.WaitGroup
		wait.Go(func() { _, err := b.Refresh(t.Context()); assert.NoError(t, err) })
		synctest.Wait()
		wait.Go(func() { _, err := b.RefreshKey(t.Context(), "key0"); assert.ErrorIs(t, err, errDown) })
		synctest.Wait()
		open()
		wait.Wait()
		entry, _ := b.Entry("key0")
		assert.Equal(t, 1, entry.Failures)
		assert.EqualValues(t, 1, b.Stats().LoadFailures)
	})
}

func TestRefreshKey_that_fails_and_then_does_not_leaves_no_trouble(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var answer atomic.Pointer[func(key string) (map[string]int, error)]
		set := func(f func(key string) (map[string]int, error)) { answer.Store(&f) }
		open := make(chan struct{})
		set(func(key string) (map[string]int, error) {
			if key == "b" {
				<-open
			}
			return map[string]int{key: 2}, nil
		})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				related, err := (*answer.Load())(key)
				return 2, related, err
			},
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
		}, quiet())
		start(t, b)
		refreshed := make(chan error, 1)
		go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
		synctest.Wait() // it has loaded a
		set(func(string) (map[string]int, error) { return nil, errDown })
		_, err := b.RefreshKey(t.Context(), "a")
		require.ErrorIs(t, err, errDown)
		set(func(string) (map[string]int, error) { return nil, nil }) // all is well, and nothing is new
		_, err = b.RefreshKey(t.Context(), "a")
		require.NoError(t, err)
		close(open)
		require.NoError(t, <-refreshed)
		entry, _ := b.Entry("a")
		assert.Equal(t, 2, entry.Value)
		assert.Zero(t, entry.Failures)
	})
}

func TestLoadAll_that_fails_does_not_overtake_a_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		load := make(chan struct{})
		var down atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { <-load; return 3, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) {
				if down.Load() {
					return nil, errDown
				}
				return map[string]int{"a": 1, "b": 1}, nil
			},
		}, quiet())
		start(t, b)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		down.Store(true)
		reloaded := make(chan error, 1)
		go func() { _, err := b.RefreshKey(t.Context(), "a"); reloaded <- err }()
		synctest.Wait()
		_, err = b.Refresh(t.Context())
		require.NoError(t, err)
		close(load)
		require.NoError(t, <-reloaded)
		assert.Equal(t, map[string]int{"a": 3, "b": 1}, maps.Collect(b.All()))
	})
}

func TestLoadAll_is_won_by_a_later_word_that_comes_after_the_publication(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		load, pass := make(chan struct{}), make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { <-load; return 0, loader.ErrNotFound },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "gone": 1}, nil },
		}, quiet(), bucket.Gate(func(bucket.Candidate) error { <-pass; return nil }))
		start(t, b)
		refreshed, fetched := make(chan error, 1), make(chan error, 1)
		go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
		synctest.Wait()
		go func() { _, err := b.Fetch(t.Context(), "gone"); fetched <- err }()
		synctest.Wait()
		close(pass)
		require.NoError(t, <-refreshed)
		assert.Equal(t, 2, b.Len())
		close(load)
		require.ErrorIs(t, <-fetched, loader.ErrNotFound)
		assert.Equal(t, []string{"a"}, b.Keys())
	})
}

func TestRefreshKey_that_brings_what_was_held_when_it_began_brings_it_back(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		load, pass := make(chan struct{}), make(chan struct{})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { <-load; return 2, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1}, nil },
			InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"a": 2}, nil },
		}, quiet(), bucket.Gate(func(bucket.Candidate) error { <-pass; return nil }))
		start(t, b)
		refreshed, reloaded := make(chan error, 1), make(chan error, 1)
		go func() { _, err := b.Refresh(t.Context()); refreshed <- err }()
		synctest.Wait()
		go func() { _, err := b.RefreshKey(t.Context(), "a"); reloaded <- err }()
		synctest.Wait()
		close(pass)
		require.NoError(t, <-refreshed)
		value, _ := b.DirectGet("a")
		require.Equal(t, 1, value)
		close(load)
		require.NoError(t, <-reloaded)
		value, _ = b.DirectGet("a")
		assert.Equal(t, 2, value)
	})
}
