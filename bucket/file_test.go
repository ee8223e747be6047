package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// counting loads the length of a key, and counts what is asked of it.
type counting struct{ loads, inits atomic.Int64 }

func (c *counting) Load(_ context.Context, key string) (int, error) {
	c.loads.Add(1)
	if key == "" {
		return 0, loader.ErrNotFound
	}
	return len(key), nil
}

func (c *counting) Init(context.Context) (map[string]int, error) {
	c.inits.Add(1)
	return map[string]int{"seed": 1}, nil
}

// onFile starts a bucket on a file, lets use it, and stops it.
func onFile(t *testing.T, l loader.Loader[string, int], path string, use func(*bucket.Bucket[string, int]), opts ...bucket.Option) {
	t.Helper()
	b := bucket.New("numbers", l, append([]bucket.Option{quiet(), bucket.File(path)}, opts...)...)
	t.Run("run", func(t *testing.T) {
		start(t, b)
		use(b)
	})
}

func TestFile_brings_everything_back_and_skips_Init(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.dump")
	ctx := context.Background()
	source := &counting{}
	var loadedAt time.Time
	onFile(t, source, path, func(b *bucket.Bucket[string, int]) {
		_, err := b.Fetch(ctx, "four")
		require.NoError(t, err)
		require.NoError(t, b.DirectSet(ctx, "set", 100))
		require.NoError(t, b.DirectSet(ctx, "gone", 100))
		require.NoError(t, b.Delete(ctx, "gone"))
		e, _ := b.Entry("four")
		loadedAt = e.LoadedAt
		require.Equal(t, dump.Absent, b.Stats().Persist.Recovery.Outcome)
	})
	onFile(t, source, path, func(b *bucket.Bucket[string, int]) {
		require.ElementsMatch(t, []string{"seed", "four", "set"}, b.Keys())
		value, held := b.DirectGet("set")
		require.True(t, held)
		require.Equal(t, 100, value)
		e, held := b.Entry("four")
		require.True(t, held)
		require.Equal(t, bucket.SourceDump, e.Source)
		require.True(t, loadedAt.Equal(e.LoadedAt), "%v, %v", loadedAt, e.LoadedAt)
		require.Equal(t, dump.Clean, b.Stats().Persist.Recovery.Outcome)
		require.Equal(t, bucket.Ready, b.Health().State)
	})
	require.EqualValues(t, 1, source.inits.Load())
	require.EqualValues(t, 1, source.loads.Load())
	names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*"))
	require.NoError(t, err)
	require.Equal(t, []string{path}, names, "nothing else is left")
}

func TestFile_takes_many_writers_under_every_policy(t *testing.T) {
	for _, policy := range []bucket.SyncPolicy{bucket.SyncAlways, bucket.SyncEvery(time.Millisecond), bucket.SyncNever, bucket.Buffered} {
		t.Run(policy.String(), func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "numbers.dump")
			onFile(t, &counting{}, path, func(b *bucket.Bucket[string, int]) {
				var writers sync.WaitGroup
				for w := range 8 {
					writers.Go(func() {
						for i := range 100 {
							key := fmt.Sprint(w, "-", i)
							if err := b.DirectSet(context.Background(), key, i); err != nil {
								t.Error(err)
							}
							if got, ok := b.DirectGet(key); !ok || got != i {
								t.Errorf("%s: got %d, %v", key, got, ok)
							}
							_, _ = b.Fetch(context.Background(), key+"x")
						}
					})
				}
				writers.Wait()
				require.Equal(t, bucket.Ready, b.Health().State)
			}, bucket.Sync(policy), bucket.CompactAfter(1))
			onFile(t, &counting{}, path, func(b *bucket.Bucket[string, int]) {
				require.Equal(t, 1601, b.Len())
			})
		})
	}
}

func TestFile_refuses_one_that_another_bucket_holds(t *testing.T) {
	path := filepath.Join(t.TempDir(), "numbers.dump")
	onFile(t, &counting{}, path, func(*bucket.Bucket[string, int]) {
		other := bucket.New("numbers", &counting{}, quiet(), bucket.File(path))
		_, err := startErr(t, other)
		require.ErrorIs(t, err, dump.ErrLocked)
	})
}

func startErr[V any](t *testing.T, b *bucket.Bucket[string, V]) (*bucket.Bucket[string, V], error) {
	t.Helper()
	sup := supervisor.New(newSystem(), noLog())
	t.Cleanup(func() { require.NoError(t, sup.Stop(context.Background())) })
	return b, sup.Start(context.Background(), b)
}

func TestFile_vetoed_leaves_nothing(t *testing.T) {
	directory := t.TempDir()
	b := bucket.New("numbers", loader.Funcs[string, int]{
		LoadFunc: func(context.Context, string) (int, error) { return 0, nil },
		InitFunc: func(context.Context) (map[string]int, error) { return nil, loader.Veto(errors.New("no")) },
	}, quiet(), bucket.File(filepath.Join(directory, "numbers.dump")))
	_, err := startErr(t, b)
	require.Error(t, err)
	names, err := filepath.Glob(filepath.Join(directory, "*"))
	require.NoError(t, err)
	require.Empty(t, names)
}

// filePath is where the bucket of a test keeps its file on a simulated disk.
const filePath = "/data/numbers.dump"

func newDisk(t testing.TB) *dumptest.Disk {
	t.Helper()
	disk := dumptest.NewDisk(1)
	require.NoError(t, disk.MkdirAll("/data"))
	return disk
}

// on has a bucket keep its file on a simulated disk.
func on(disk *dumptest.Disk) bucket.Option {
	return func(c *bucket.Config) { c.File, c.FileSystem = filePath, disk }
}

// kept is what another process would find on a disk, after a kill of this one.
func kept[V any](t testing.TB, disk *dumptest.Disk) map[string]V {
	t.Helper()
	values, _ := reopened[V](t, disk)
	return values
}

func reopened[V any](t testing.TB, disk *dumptest.Disk) (map[string]V, dump.Recovery) {
	t.Helper()
	m := memory[V]{values: &sync.Map{}}
	d, found, err := dump.Open(context.Background(), filePath, m, dump.Options{Name: "numbers", FS: disk.Clone()})
	require.NoError(t, err)
	require.NoError(t, ignoreBroken(d.Close()))
	return m.all(), found
}

func ignoreBroken(err error) error {
	if errors.Is(err, dump.ErrBroken) {
		return nil
	}
	return err
}

// memory is a sink.
type memory[V any] struct{ values *sync.Map }

func (m memory[V]) Begin(int)                   { m.values.Clear() }
func (m memory[V]) Put(e dump.Entry[string, V]) { m.values.Store(e.Key, e.Value) }
func (m memory[V]) Delete(key string)           { m.values.Delete(key) }

func (m memory[V]) all() map[string]V {
	values := map[string]V{}
	m.values.Range(func(key, value any) bool {
		values[key.(string)] = value.(V)
		return true
	})
	return values
}

// tableOf is what a bucket holds.
func tableOf[V any](b *bucket.Bucket[string, V]) map[string]V { return maps.Collect(b.All()) }

// numbers is a bucket on a disk, whose source knows the length of every key.
func numbers(disk *dumptest.Disk, opts ...bucket.Option) *bucket.Bucket[string, int] {
	return bucket.New("numbers", &counting{}, append([]bucket.Option{quiet(), on(disk), bucket.RefreshEvery(0)}, opts...)...)
}

// tidy says that a bucket which has stopped left its file, complete, and nothing else.
func tidy(t testing.TB, disk *dumptest.Disk) {
	t.Helper()
	require.Equal(t, []string{"numbers.dump"}, disk.Names("/data"))
	_, found := reopened[int](t, disk)
	require.Equal(t, dump.Clean, found.Outcome)
}
