package bucket_test

import (
	"context"
	"maps"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
)

// aging is a bucket whose seed and whose source are as the test says.
type aging struct {
	seed, source map[string]int
	initErr      error
	inits        int
}

func (a *aging) bucket(disk *dumptest.Disk, opts ...bucket.Option) *bucket.Bucket[string, int] {
	return bucket.New("numbers", loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, key string) (int, error) { return a.source[key], nil },
		InitFunc: func(context.Context) (map[string]int, error) { a.inits++; return a.seed, a.initErr },
	}, append([]bucket.Option{quiet(), on(disk), bucket.RefreshEvery(0)}, opts...)...)
}

func TestMaxDumpAge_chooses_between_the_file_and_Init(t *testing.T) {
	file, seed := map[string]int{"a": 1, "set": 9}, map[string]int{"a": 2, "b": 2}
	tests := []struct {
		name    string
		age     time.Duration
		max     time.Duration
		initErr error
		want    map[string]int
		inits   int
	}{
		{"young enough", time.Hour, time.Hour, nil, file, 0},
		{"too old", time.Hour + time.Second, time.Hour, nil, seed, 1},
		{"any age", 1000 * time.Hour, 0, nil, file, 0},
		{"too old, and Init fails", 2 * time.Hour, time.Hour, errDown, file, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				a := &aging{seed: map[string]int{"a": 1}, source: map[string]int{"a": 3, "b": 3, "set": 3}}
				life(t, a.bucket(disk), func() {})
				b := a.bucket(disk)
				life(t, b, func() { require.NoError(t, b.DirectSet(t.Context(), "set", 9)) })
				a.seed, a.initErr, a.inits = seed, tt.initErr, 0

				time.Sleep(tt.age)
				b = a.bucket(disk, bucket.MaxDumpAge(tt.max))
				life(t, b, func() {
					assert.Equal(t, tt.want, maps.Collect(b.All()))
					assert.Equal(t, tt.inits, a.inits)
					assert.Equal(t, tt.initErr == nil, b.Health().State == bucket.Ready)
				})
				assert.Equal(t, tt.want, kept[int](t, disk), "and so is the file")
				tidy(t, disk)

				// What Init has just given is as young as can be.
				a.inits = 0
				life(t, a.bucket(disk, bucket.MaxDumpAge(tt.max)), func() {})
				assert.Equal(t, tt.initErr != nil, a.inits == 1)
			})
		})
	}
}

func TestRefreshAtStart_serves_the_file_and_refreshes_behind_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		a := &aging{seed: map[string]int{"a": 1}, source: map[string]int{"a": 3}}
		b := a.bucket(disk, bucket.RefreshAtStart(true))
		life(t, b, func() {
			synctest.Wait()
			value, _ := b.DirectGet("a")
			assert.Equal(t, 1, value, "Init has just given it")
		})
		gate := make(chan struct{})
		slow := bucket.New("numbers", loader.Func(func(context.Context, string) (int, error) { <-gate; return 3, nil }),
			quiet(), on(disk), bucket.RefreshAtStart(true), bucket.RefreshEvery(0))
		life(t, slow, func() {
			value, _ := slow.DirectGet("a")
			assert.Equal(t, 1, value)
			synctest.Wait()
			close(gate)
			synctest.Wait()
			value, _ = slow.DirectGet("a")
			assert.Equal(t, 3, value)
			assert.EqualValues(t, 2, slow.Stats().Generation)
		})
	})
}

func TestRefreshAtStart_fills_a_bucket_whose_source_gives_everything(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("numbers", loader.Funcs[string, int]{
			LoadFunc:    func(context.Context, string) (int, error) { return 0, loader.ErrNotFound },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 1}, nil },
		}, quiet(), bucket.RefreshAtStart(true))
		start(t, b)
		synctest.Wait()
		assert.Equal(t, map[string]int{"a": 1}, maps.Collect(b.All()))
	})
}

func TestMaxDumpAge_does_not_exchange_what_is_held_for_nothing(t *testing.T) {
	path := t.TempDir() + "/f.dump"
	inBubble(t, func(t *testing.T) {
		fs := loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 1, nil },
			InitFunc: func(context.Context) (map[string]int, error) { return nil, nil },
		}
		b := bucket.New("widgets", fs, quiet(), bucket.RefreshEvery(0), bucket.File(path))
		_, sup := start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "a", 1))
		require.NoError(t, sup.Stop(t.Context()))
		time.Sleep(time.Hour)
		_, _ = start(t, b.With(bucket.MaxDumpAge(time.Minute)))
		_, ok := b.DirectGet("a")
		assert.True(t, ok, "a Set that was acknowledged is gone")
	})
}

type exitHook struct{ on atomic.Bool }

func (h *exitHook) Levels() []logrus.Level { return logrus.AllLevels }
func (h *exitHook) Fire(e *logrus.Entry) error {
	if h.on.Load() && e.Message == "bucket is ready" {
		h.on.Store(false)
		runtime.Goexit()
	}
	return nil
}

func TestRefreshAtStart_is_made_up_for_after_a_crash(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, _ := logtest.NewNullLogger()
		hook := &exitHook{}
		hook.on.Store(true)
		logger.AddHook(hook)
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc:    func(_ context.Context, k string) (int, error) { return 7, nil },
			LoadAllFunc: func(context.Context) (map[string]int, error) { return map[string]int{"a": 9}, nil },
		}, bucket.Logger(logger), bucket.RefreshAtStart(true))
		start(t, b)
		time.Sleep(time.Minute)
		got, _ := b.DirectGet("a")
		assert.Equal(t, 9, got)
	})
}
