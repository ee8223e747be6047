package bucket_test

import (
	"context"
	"math"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// chain may contain itself.
type chain struct {
	Value float64
	Next  *chain
}

// reading has every kind of thing that a NaN can hide in.
type reading struct {
	Plain   float64
	Pair    [2]complex128
	Series  []float32
	ByName  map[string]float64
	Any     any
	Pointer *float64
	Chain   *chain
	hidden  []float64
	f       func()
}

func nans() reading {
	nan := math.NaN()
	ring := &chain{Value: nan}
	ring.Next = ring
	return reading{
		Plain: nan, Pair: [2]complex128{complex(nan, 1), complex(1, nan)}, Series: []float32{1, float32(nan)},
		ByName: map[string]float64{"a": nan}, Any: []any{nan, map[string]any{"x": nan}}, Pointer: &nan, Chain: ring, hidden: []float64{nan},
	}
}

// refreshedTo refreshes a bucket that holds one value, and has been given another.
func refreshedTo[V any](t *testing.T, from, to V, opts ...bucket.Option) (report bucket.Report) {
	t.Helper()
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, V]{
			InitFunc: func(context.Context) (map[string]V, error) { return map[string]V{"a": from}, nil },
			LoadFunc: func(context.Context, string) (V, error) { return to, nil },
		}, append(opts, quiet())...)
		start(t, b)
		var err error
		report, err = b.Refresh(t.Context())
		require.NoError(t, err)
		require.Equal(t, 1, report.Loaded)
	})
	return report
}

func TestRefresh_takes_one_NaN_for_another_wherever_it_is(t *testing.T) {
	assert.Equal(t, 1, refreshedTo(t, nans(), nans()).Unchanged)
	assert.Equal(t, 1, refreshedTo[any](t, []float64{math.NaN()}, []float64{math.NaN()}).Unchanged)
	assert.Equal(t, 1, refreshedTo[any](t, nil, nil).Unchanged)

	for name, differ := range map[string]func(*reading){
		"plain":         func(r *reading) { r.Plain = 1 },
		"array":         func(r *reading) { r.Pair[1] = complex(2, math.NaN()) },
		"slice":         func(r *reading) { r.Series[0] = 2 },
		"shorter slice": func(r *reading) { r.Series = r.Series[:1] },
		"no slice":      func(r *reading) { r.Series = nil },
		"map":           func(r *reading) { r.ByName["a"] = 2 },
		"another key":   func(r *reading) { r.ByName = map[string]float64{"b": math.NaN()} },
		"any":           func(r *reading) { r.Any = []any{math.NaN(), map[string]any{"x": "y"}} },
		"no any":        func(r *reading) { r.Any = nil },
		"pointer":       func(r *reading) { one := 1.0; r.Pointer = &one },
		"chain":         func(r *reading) { r.Chain.Next = &chain{Value: math.NaN()} },
		"hidden":        func(r *reading) { r.hidden[0] = 3 },
		"function":      func(r *reading) { r.f = func() {} },
	} {
		other := nans()
		differ(&other)
		assert.Equal(t, 1, refreshedTo(t, nans(), other).Changed, name)
	}
}

func TestRefresh_compares_overlapping_slices_as_far_as_they_reach(t *testing.T) {
	nan := math.NaN()
	a, b := []float64{nan, 1, 2}, []float64{nan, 1, 3}
	assert.Equal(t, 1, refreshedTo(t, [][]float64{a[:2], a}, [][]float64{b[:2], b}).Changed)
}

func TestEqual_says_what_a_change_is(t *testing.T) {
	fold := bucket.Equal(strings.EqualFold)
	assert.Equal(t, 1, refreshedTo(t, "A", "a", fold).Unchanged)
	assert.Equal(t, 1, refreshedTo(t, "A", "b", fold).Changed)

	inBubble(t, func(t *testing.T) {
		s := map[string]string{}
		b := bucket.New("widgets", loader.Funcs[string, string]{
			LoadFunc:      func(context.Context, string) (string, error) { return "", nil },
			LoadBatchFunc: func(context.Context, []string) (map[string]string, error) { return s, nil },
			InitFunc:      func(context.Context) (map[string]string, error) { return map[string]string{"a": "x", "b": "y"}, nil },
		}, quiet())
		start(t, b.With(bucket.OptionsFunc(func() ([]bucket.Option, error) { return []bucket.Option{fold}, nil })))
		s["a"], s["b"] = "X", "Z"
		var told []string
		changes := b.Watch(t.Context())
		require.NoError(t, b.DirectSet(t.Context(), "a", "X"))
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Unchanged)
		for change := range changes {
			told = append(told, change.Key)
			break
		}
		assert.Equal(t, []string{"b"}, told)
	})
}

func TestEqual_that_panics_is_a_failed_load_or_a_change(t *testing.T) {
	bad := bucket.Equal(func(string, string) bool { panic("equal") })
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Func(func(context.Context, string) (string, error) { return "x", nil }), quiet(), bad)
		start(t, b)
		changes := b.Watch(t.Context())
		require.NoError(t, b.DirectSet(t.Context(), "a", "1"))
		require.NoError(t, b.DirectSet(t.Context(), "a", "1"))
		var kinds []bucket.ChangeKind
		for change := range changes {
			if kinds = append(kinds, change.Kind); len(kinds) == 2 {
				break
			}
		}
		assert.Equal(t, []bucket.ChangeKind{bucket.Added, bucket.Changed}, kinds)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Failed)
		var panicError *loader.PanicError
		require.ErrorAs(t, report.Failures[0], &panicError)
		assert.Zero(t, b.Stats().Restarts)
	})
}

func TestEqual_for_another_type_is_an_error_of_the_start(t *testing.T) {
	for name, option := range map[string]bucket.Option{
		"another type": bucket.Equal(func(a, b int) bool { return a == b }),
		"nil":          bucket.Equal[string](nil),
	} {
		b := bucket.New("widgets", loader.Func(func(context.Context, string) (string, error) { return "", nil }), quiet(), option)
		_, err := b.Config()
		require.ErrorIs(t, err, bucket.ErrConfig, name)
		assert.Contains(t, err.Error(), "func(a, b string) bool", name)
	}
}

func TestEqual_that_ends_its_goroutine_is_a_change(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var bad atomic.Bool
		b := seeded(newSource(map[string]int{"a": 1}), bucket.Equal(func(a, b int) bool {
			if bad.Load() {
				runtime.Goexit()
			}
			return a == b
		}), bucket.RefreshEvery(0))
		start(t, b)
		changes := b.Watch(t.Context())
		bad.Store(true)
		require.NoError(t, b.DirectSet(t.Context(), "a", 5))
		bad.Store(false)
		require.NoError(t, b.DirectSet(t.Context(), "z", 1))
		for c := range changes {
			require.Equal(t, "a", c.Key)
			break
		}
	})
}

func TestEqual_that_ends_its_goroutine_does_not_stop_a_publication(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		var bad atomic.Bool
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(_ context.Context, k string) (int, error) { time.Sleep(time.Second); return 7, nil },
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1, "b": 1, "c": 1}, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) {
				time.Sleep(time.Second)
				return map[string]int{"a": 9, "b": 9, "c": 9, "x": 9}, nil
			},
		}, quiet(), bucket.RefreshEvery(0), bucket.MaxConcurrentLoads(1),
			bucket.Gate(func(bucket.Candidate) error { bad.Store(true); return nil }),
			bucket.Equal(func(a, b int) bool {
				if bad.Load() {
					runtime.Goexit()
				}
				return a == b
			}))
		start(t, b)
		b.Watch(t.Context())
		f := fetch(t.Context(), b, "x")
		synctest.Wait()
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		<-f
		got, _ := b.DirectGet("a")
		assert.Equal(t, 9, got)
	})
}
