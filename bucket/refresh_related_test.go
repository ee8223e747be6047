package bucket_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func TestLoadRelated_of_a_refresh_does_not_replace_what_a_later_RefreshKey_brought(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var bval atomic.Int64
		bval.Store(1)
		var slow atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 0, errors.New("no") },
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1}, nil },
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				read := int(bval.Load())
				if key == "a" {
					if slow.Load() {
						time.Sleep(5 * time.Second)
					}
					return 1, map[string]int{"a": 1, "b": read}, nil
				}
				return read, map[string]int{"b": read}, nil
			},
		}, quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1))
		start(t, b)
		for range 20 { // order of the slots
			bval.Store(1)
			slow.Store(true)
			done := make(chan struct{})
			go func() { defer close(done); _, err := b.Refresh(t.Context()); assert.NoError(t, err) }()
			time.Sleep(time.Second)
			bval.Store(2)
			v, err := b.RefreshKey(t.Context(), "b")
			require.NoError(t, err)
			<-done
			got, _ := b.DirectGet("b")
			if v == 2 {
				require.Equal(t, 2, got, "RefreshKey said 2, the generation has an older one")
			}
			slow.Store(false)
		}
	})
}

func TestLoadRelated_of_a_caller_does_not_replace_what_a_later_refresh_brings(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var bval atomic.Int64
		bval.Store(1)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 0, errors.New("no") },
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"b": 1}, nil },
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				read := int(bval.Load())
				if key == "x" {
					time.Sleep(2 * time.Second)
					return 1, map[string]int{"x": 1, "b": read}, nil
				}
				time.Sleep(3 * time.Second)
				return read, map[string]int{"b": read}, nil
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		f := fetch(t.Context(), b, "x")
		synctest.Wait()
		bval.Store(2)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		<-f
		got, _ := b.DirectGet("b")
		require.Equal(t, 2, got, "the refresh was asked for after the source had 2")
	})
}

func TestLoadRelated_of_a_caller_does_not_replace_what_a_refresh_has_loaded(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var bval atomic.Int64
		bval.Store(1)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 0, nil },
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"b": 1, "c": 1}, nil },
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				read := int(bval.Load())
				if key == "x" {
					time.Sleep(2 * time.Second)
					return 1, map[string]int{"x": 1, "b": read}, nil
				}
				if key == "c" {
					time.Sleep(5 * time.Second)
					return 1, map[string]int{"c": 1}, nil
				}
				return read, map[string]int{"b": read}, nil
			},
		}, quiet(), bucket.RefreshEvery(0))
		start(t, b)
		f := fetch(t.Context(), b, "x")
		synctest.Wait()
		bval.Store(2)
		_, err := b.Refresh(t.Context()) // b is loaded (2) at once; x lands later with b=1; c ends last
		require.NoError(t, err)
		<-f
		got, _ := b.DirectGet("b")
		require.Equal(t, 2, got)
	})
}
