package bucket_test

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/sirupsen/logrus"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
)

// A load could not be written, and the rewrite that was to make good for it failed, too. Then
// the disk is well again, and the bucket stops before it has found that out.
func TestStop_writes_what_a_rewrite_failed_to(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk)
		life(t, b, func() {
			failing(dumptest.Write|dumptest.Create, syscall.ENOSPC)(t, disk)
			_, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			_, err = b.Refresh(t.Context()) // writes the file anew
			require.NoError(t, err)
			require.Equal(t, bucket.Degraded, b.Health().State)
			healed(t, disk)
		})
		require.Contains(t, kept[int](t, disk), "a")
		tidy(t, disk)
	})
}

// The same, but the rewrite is at work when the stop comes.
func TestStop_writes_what_a_rewrite_is_failing_to(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk)
		life(t, b, func() {
			disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Write))
			_, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			disk.Inject(dumptest.FailNth(1, syscall.ENOSPC, dumptest.Create))
			reached, resume := disk.Pause(dumptest.Create, 1)
			_, err = b.Refresh(t.Context())
			require.NoError(t, err)
			<-reached
			time.AfterFunc(time.Millisecond, resume) // the stop has begun by then
		})
		require.Contains(t, kept[int](t, disk), "a")
		tidy(t, disk)
	})
}

func TestStop_mends_what_only_its_sync_finds_out(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk, bucket.Sync(bucket.SyncNever))
		life(t, b, func() {
			require.NoError(t, b.DirectSet(t.Context(), "a", 1))
			disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Sync))
		})
		disk.Inject(nil)
		require.Contains(t, kept[int](t, disk.Crash(dumptest.Nothing)), "a")
	})
}

func TestStop_says_so_if_the_file_is_not_closed_in_good_order(t *testing.T) {
	for _, kind := range []dumptest.Kind{dumptest.Sync, dumptest.Write} {
		said := 0
		for nth := 1; nth <= 6; nth++ {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				logger, log := captured()
				b := numbers(disk, logger, bucket.Sync(bucket.SyncNever))
				life(t, b, func() {
					require.NoError(t, b.DirectSet(t.Context(), "a", 1))
					disk.Inject(dumptest.FailFrom(nth, syscall.EIO, kind))
				})
				disk.Inject(nil)
				if logged(log.AllEntries(), logrus.ErrorLevel) > 0 {
					said++
					return
				}
				_, found := reopened[int](t, disk.Crash(dumptest.Nothing))
				require.Equal(t, dump.Clean, found.Outcome, "%v %d", kind, nth)
			})
		}
		require.NotZero(t, said)
	}
}

func TestFile_is_made_later_if_it_cannot_be_made_at_the_start(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		disk.SetCapacity(0)
		b := numbers(disk)
		life(t, b, func() {
			require.Equal(t, bucket.Degraded, b.Health().State)
			require.ErrorIs(t, b.Stats().Persist.Trouble, syscall.ENOSPC)
			value, err := b.Fetch(t.Context(), "seed")
			require.NoError(t, err)
			require.Equal(t, 1, value)
			disk.SetCapacity(-1)
			time.Sleep(time.Minute)
			require.Equal(t, bucket.Ready, b.Health().State)
			require.Contains(t, kept[int](t, disk), "seed")
		})
	})
}

func TestReload_that_finds_nothing_new_writes_nothing(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := bucket.New("numbers", loader.Funcs[string, int]{
			LoadFunc:   func(context.Context, string) (int, error) { return 1, nil },
			ReloadFunc: func(context.Context, string, int) (int, error) { return 0, loader.ErrUnchanged },
		}, quiet(), on(disk), bucket.RefreshEvery(0))
		life(t, b, func() {
			_, err := b.Fetch(t.Context(), "a")
			require.NoError(t, err)
			before := b.Stats().Persist
			time.Sleep(time.Second)
			value, err := b.RefreshKey(t.Context(), "a")
			require.NoError(t, err)
			require.Equal(t, 1, value)
			entry, _ := b.Entry("a")
			require.True(t, entry.LoadedAt.Equal(time.Now()))
			require.Equal(t, before.Writes, b.Stats().Persist.Writes)
		})
	})
}
