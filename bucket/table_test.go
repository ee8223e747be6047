package bucket_test

import (
	"context"
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// collected has the garbage collected until that many of what is counted are gone.
func collected(t *testing.T, gone *atomic.Int64, want int64) {
	t.Helper()
	assert.Eventually(t, func() bool {
		runtime.GC()
		return gone.Load() == want
	}, 20*time.Second, 10*time.Millisecond, "%d", want)
}

// blob is a value whose end can be seen.
type blob struct{ Text string }

func TestBucket_lets_go_of_what_it_does_not_hold_any_more(t *testing.T) {
	for _, withFile := range []bool{false, true} {
		t.Run(fmt.Sprint("file ", withFile), func(t *testing.T) {
			var gone atomic.Int64
			made := func() *blob {
				b := &blob{Text: "something"}
				runtime.AddCleanup(b, func(int) { gone.Add(1) }, 0)
				return b
			}
			opts := []bucket.Option{quiet(), bucket.RefreshEvery(0)}
			if withFile {
				opts = append(opts, on(newDisk(t)))
			}
			b := bucket.New("numbers", loader.Funcs[string, *blob]{
				LoadFunc: func(context.Context, string) (*blob, error) { return made(), nil },
				InitFunc: func(context.Context) (map[string]*blob, error) {
					return map[string]*blob{"a": made(), "b": made()}, nil
				},
			}, opts...)
			life(t, b, func() {
				_, err := b.Refresh(t.Context()) // equal values: those that are held stay
				require.NoError(t, err)
				collected(t, &gone, 2)
				require.NoError(t, b.DirectSet(t.Context(), "a", &blob{Text: "other"}))
				collected(t, &gone, 3)
				require.NoError(t, b.Delete(t.Context(), "b"))
				collected(t, &gone, 4)
				require.NoError(t, b.DirectSet(t.Context(), "c", made()))
			})
			collected(t, &gone, 5)
		})
	}
}

func TestBucket_lets_go_of_the_keys_that_were_deleted(t *testing.T) {
	const n = 5000
	seed := make(map[*blob]int, n)
	var gone atomic.Int64
	for i := range n {
		key := &blob{Text: fmt.Sprint(i)}
		runtime.AddCleanup(key, func(int) { gone.Add(1) }, 0)
		seed[key] = i
	}
	b := bucket.New("numbers", loader.Funcs[*blob, int]{
		LoadFunc: func(context.Context, *blob) (int, error) { return 0, loader.ErrNotFound },
		InitFunc: func(context.Context) (map[*blob]int, error) { return seed, nil },
	}, quiet(), bucket.RefreshEvery(0))
	start(t, b)
	for i, key := range b.Keys() {
		if i < n-100 {
			require.NoError(t, b.Delete(t.Context(), key))
		}
	}
	clear(seed)
	assert.Equal(t, 100, b.Len())
	assert.Len(t, b.Keys(), 100)
	assert.Eventually(t, func() bool {
		runtime.GC()
		return gone.Load() > n-2000
	}, 20*time.Second, 10*time.Millisecond)
	for _, key := range b.Keys() {
		_, ok := b.DirectGet(key)
		require.True(t, ok)
	}
}
