package bucket_test

import (
	"context"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
)

// ailment is something that happens to a disk, and its end.
type ailment struct {
	name  string
	begin func(t *testing.T, disk *dumptest.Disk)
	end   func(t *testing.T, disk *dumptest.Disk)
	cause error
}

func failing(kinds dumptest.Kind, err error) func(*testing.T, *dumptest.Disk) {
	return func(_ *testing.T, disk *dumptest.Disk) { disk.Inject(dumptest.FailFrom(1, err, kinds)) }
}

func healed(_ *testing.T, disk *dumptest.Disk) { disk.Inject(nil) }

var ailments = []ailment{
	{
		"disk full", func(_ *testing.T, disk *dumptest.Disk) { disk.SetCapacity(1) },
		func(_ *testing.T, disk *dumptest.Disk) { disk.SetCapacity(-1) }, syscall.ENOSPC,
	},
	{"writes fail", failing(dumptest.Write, syscall.EIO), healed, syscall.EIO},
	{"syncs fail", failing(dumptest.Sync, syscall.EIO), healed, syscall.EIO},
	{"nothing goes", failing(dumptest.Any, syscall.EIO), healed, syscall.EIO},
	{
		"mounted read-only", func(_ *testing.T, disk *dumptest.Disk) { disk.SetReadOnly(true) },
		func(_ *testing.T, disk *dumptest.Disk) { disk.SetReadOnly(false) }, syscall.EROFS,
	},
	{"removed", func(t *testing.T, disk *dumptest.Disk) { require.NoError(t, disk.Remove(filePath)) }, nil, dump.ErrStolen},
	{"replaced", func(t *testing.T, disk *dumptest.Disk) {
		require.NoError(t, disk.Remove(filePath))
		require.NoError(t, disk.WriteFile(filePath, []byte("mine"), 0o600))
	}, nil, dump.ErrStolen},
	{"permission lost", func(t *testing.T, disk *dumptest.Disk) {
		require.NoError(t, disk.Remove(filePath))
		require.NoError(t, disk.Chmod("/data", 0o500))
	}, func(t *testing.T, disk *dumptest.Disk) { require.NoError(t, disk.Chmod("/data", 0o700)) }, dump.ErrStolen},
}

// A write behind the cut would make the file as long again, with a hole in it.
func TestFile_that_was_cut_is_found_out_by_the_next_write(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk, bucket.Sync(bucket.SyncAlways))
		life(t, b, func() {
			require.NoError(t, disk.Truncate(filePath, 100))
			_ = b.DirectSet(t.Context(), "a", 1)
		})
		require.Equal(t, 1, kept[int](t, disk)["seed"])
	})
}

// diary collects what a bucket says of its file on the event stream.
type diary struct {
	mu    sync.Mutex
	pages []string
}

func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return append([]string(nil), d.pages...)
}

func (d *diary) write(event any) {
	switch event.(type) {
	case bucket.DumpOpened, bucket.DumpFailed, bucket.DumpRepaired:
		d.mu.Lock()
		defer d.mu.Unlock()
		d.pages = append(d.pages, fmt.Sprintf("%T", event))
	}
}

func TestFile_in_trouble_does_not_stop_the_bucket_and_is_repaired(t *testing.T) {
	for _, sick := range ailments {
		for _, stop := range []string{"repaired", "stopped when healed", "stopped sick"} {
			t.Run(sick.name+", "+stop, func(t *testing.T) {
				if stop == "stopped sick" && sick.end != nil {
					t.Skip("nothing can be expected of it")
				}
				inBubble(t, func(t *testing.T) {
					disk, events := newDisk(t), &diary{}
					logger, log := captured()
					b := numbers(disk, logger, bucket.Sync(bucket.SyncAlways))
					system := newSystem()
					system.EventStream.Subscribe(events.write)
					sup := startIn(t, system, b)
					require.NoError(t, b.DirectSet(t.Context(), "old", 1))
					sick.begin(t, disk)

					for range 3 {
						err := b.DirectSet(t.Context(), "old", 2)
						require.ErrorIs(t, err, bucket.ErrPersist)
						require.ErrorIs(t, err, sick.cause)
						require.ErrorIs(t, b.Delete(t.Context(), "seed"), bucket.ErrPersist)
						require.ErrorIs(t, failure(t, request(t, system, b.PID(), bucket.Set{Key: "new", Value: 3})), bucket.ErrPersist)
					}
					for i := range 10 {
						value, err := b.Fetch(t.Context(), fmt.Sprint("loaded", i))
						require.NoError(t, err)
						require.Equal(t, 7, value)
					}
					want := map[string]int{"seed": 1, "old": 1}
					for i := range 10 {
						want[fmt.Sprint("loaded", i)] = 7
					}
					require.Equal(t, want, tableOf(b))
					health := b.Health()
					require.Equal(t, bucket.Degraded, health.State)
					require.Contains(t, strings.Join(health.Reasons, ""), "dump")
					stats := b.Stats().Persist
					require.Error(t, stats.Trouble)
					require.EqualValues(t, 9, stats.Refused)
					time.Sleep(3 * time.Second)
					if sick.end != nil {
						require.Equal(t, []string{"bucket.DumpOpened", "bucket.DumpFailed"}, events.read())
						require.Equal(t, bucket.Degraded, b.Health().State, "as long as the cause is there")
						sick.end(t, disk)
					}
					require.Equal(t, 1, logged(log.AllEntries(), logrus.ErrorLevel), "it is said once")
					if stop == "repaired" {
						time.Sleep(5 * time.Minute)
						require.Equal(t, []string{"bucket.DumpOpened", "bucket.DumpFailed", "bucket.DumpRepaired"}, events.read())
						require.Equal(t, bucket.Ready, b.Health().State)
						require.NoError(t, b.Stats().Persist.Trouble)
						require.Equal(t, want, kept[int](t, disk))
						require.NoError(t, b.DirectSet(t.Context(), "old", 4))
						want["old"] = 4
					}
					require.NoError(t, sup.Stop(t.Context()))
					require.Equal(t, want, kept[int](t, disk))
					_, found := reopened[int](t, disk)
					require.Equal(t, dump.Clean, found.Outcome)
				})
			})
		}
	}
}

func TestFile_is_repaired_in_growing_intervals(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk, bucket.Sync(bucket.SyncNever))
		start(t, b)
		var mu sync.Mutex
		var tries []time.Duration
		begun := time.Now()
		disk.Inject(func(op dumptest.Op) error {
			if op.Kind&dumptest.Write == 0 {
				return nil
			}
			mu.Lock()
			defer mu.Unlock()
			tries = append(tries, time.Since(begun))
			return syscall.EIO
		})
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		time.Sleep(30 * time.Minute)
		disk.Inject(nil)
		mu.Lock()
		defer mu.Unlock()
		want, at, pause := []time.Duration{0}, time.Duration(0), time.Second
		for at+pause < 30*time.Minute {
			at += pause
			want = append(want, at)
			pause = min(2*pause, 5*time.Minute)
		}
		assert.Equal(t, want, tries)
	})
}

func TestFile_that_cannot_be_made_is_no_reason_not_to_serve(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		disk.SetCapacity(100)
		b := numbers(disk)
		_, sup := start(t, b)
		require.Equal(t, map[string]int{"seed": 1}, tableOf(b))
		require.ErrorIs(t, b.DirectSet(t.Context(), "a", 1), bucket.ErrPersist)
		_, err := b.Fetch(t.Context(), "b")
		require.NoError(t, err)
		require.Equal(t, bucket.Degraded, b.Health().State)
		disk.SetCapacity(-1)
		time.Sleep(10 * time.Second)
		require.Equal(t, bucket.Ready, b.Health().State)
		require.Equal(t, map[string]int{"seed": 1, "b": 1}, kept[int](t, disk))
		require.NoError(t, sup.Stop(t.Context()))
		tidy(t, disk)
	})
}

// many loads more keys than the bucket remembers one by one.
func many(t *testing.T, b *bucket.Bucket[string, int]) {
	t.Helper()
	for i := range 4500 {
		_, err := b.Fetch(t.Context(), fmt.Sprint("key", i))
		require.NoError(t, err)
	}
}

func TestFile_far_behind_is_written_anew(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk)
		_, sup := start(t, b)
		failing(dumptest.Write, syscall.EIO)(t, disk)
		many(t, b)
		disk.Inject(nil)
		time.Sleep(time.Minute)
		require.Equal(t, bucket.Ready, b.Health().State)
		require.EqualValues(t, 2, b.Stats().Persist.Rewrites)
		require.Equal(t, tableOf(b), kept[int](t, disk))
		require.NoError(t, sup.Stop(t.Context()))
		tidy(t, disk)
	})
}

// The file falls far behind while it is written anew. What is remembered is written, and it
// is written anew once more; that is cut short by a stop.
func TestFile_far_behind_is_complete_after_a_stop_in_the_middle_of_its_repair(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk)
		_, sup := start(t, b)
		var sick atomic.Pointer[string] // the file that is written to now
		disk.Inject(func(op dumptest.Op) error {
			if op.Kind != dumptest.Write {
				return nil
			}
			sick.CompareAndSwap(nil, &op.Path)
			if *sick.Load() == op.Path {
				return syscall.EIO
			}
			return nil
		})
		_, err := b.Fetch(t.Context(), "first")
		require.NoError(t, err)
		reached, resume := disk.Pause(dumptest.Create, 1) // of a rewrite
		done := make(chan error, 1)
		go func() { _, err := b.Refresh(context.Background()); done <- err }()
		<-reached
		many(t, b)
		disk.Inject(nil)
		resume()
		require.NoError(t, <-done)
		reached, resume = disk.Pause(dumptest.Create, 1) // of the rewrite that makes good the rest
		<-reached
		go func() { time.Sleep(time.Second); resume() }()
		want := tableOf(b)
		require.NoError(t, sup.Stop(t.Context()))
		require.Equal(t, len(want), len(kept[int](t, disk)))
		tidy(t, disk)
	})
}

func TestFile_that_could_not_be_written_anew_is_tried_again(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, events := newDisk(t), &diary{}
		b := numbers(disk)
		system := newSystem()
		system.EventStream.Subscribe(events.write)
		startIn(t, system, b)
		failing(dumptest.Create, fs.ErrPermission)(t, disk)
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		time.Sleep(time.Hour)
		require.Equal(t, bucket.Degraded, b.Health().State)
		require.NoError(t, b.DirectSet(t.Context(), "a", 1), "the old file takes it")
		disk.Inject(nil)
		time.Sleep(5 * time.Minute)
		require.Equal(t, bucket.Ready, b.Health().State)
		require.EqualValues(t, 2, b.Stats().Persist.Generation)
		require.Equal(t, []string{"bucket.DumpOpened", "bucket.DumpFailed", "bucket.DumpRepaired"}, events.read())
	})
}

func TestFile_never_brings_back_what_was_overtaken_by_a_value_that_cannot_be_written(t *testing.T) {
	far, near := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC), time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		next := near
		b := bucket.New("numbers", loader.Func(func(context.Context, string) (time.Time, error) { return next, nil }),
			quiet(), on(disk), bucket.RefreshEvery(0))
		life(t, b, func() {
			_, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			require.ErrorIs(t, b.DirectSet(t.Context(), "a", far), bucket.ErrPersist)
			require.ErrorIs(t, b.DirectSet(t.Context(), "a", far), dump.ErrEncode)
			require.True(t, near.Equal(tableOf(b)["a"]))
			next = far
			value, err := b.RefreshKey(t.Context(), "a")
			require.NoError(t, err)
			require.True(t, far.Equal(value))
			require.True(t, far.Equal(tableOf(b)["a"]))
			require.Equal(t, bucket.Ready, b.Health().State, "the file is well")
			require.EqualValues(t, 1, b.Stats().Persist.Skipped)
			require.Empty(t, kept[time.Time](t, disk))
			_, err = b.Refresh(t.Context()) // and a new file does not, either
			require.NoError(t, err)
			synctest.Wait()
			require.Empty(t, kept[time.Time](t, disk))
		})
		life(t, b, func() { require.Empty(t, tableOf(b)) })
	})
}

func TestDelete_of_a_key_that_cannot_be_written_is_made(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := numbers(newDisk(t))
		start(t, b)
		huge := strings.Repeat("k", dump.MaxKey+1)
		require.ErrorIs(t, b.DirectSet(t.Context(), huge, 1), bucket.ErrPersist)
		_, err := b.Fetch(t.Context(), huge)
		require.NoError(t, err)
		require.Equal(t, 2, b.Len())
		require.NoError(t, b.Delete(t.Context(), huge))
		require.Equal(t, 1, b.Len())
	})
}
