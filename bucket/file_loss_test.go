package bucket_test

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
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

// Values of 15 MiB each are more together than one batch of the dump holds.
func TestFile_takes_more_at_once_than_a_batch_holds(t *testing.T) {
	path := t.TempDir() + "/numbers.dump"
	large := strings.Repeat("x", 15<<20)
	var sick atomic.Bool
	disk := dumptest.Wrap(dump.OS())
	disk.Inject(func(op dumptest.Op) error {
		if sick.Load() && op.Kind == dumptest.Write {
			return syscall.EIO
		}
		return nil
	})
	b := bucket.New("numbers", loader.Funcs[string, string]{
		LoadRelatedFunc: func(_ context.Context, key string) (string, map[string]string, error) {
			related := map[string]string{}
			for i := range 5 {
				related[fmt.Sprint(key, i)] = large
			}
			return "", related, nil
		},
	}, quiet(), bucket.RefreshEvery(0), bucket.File(path), bucket.FileSystem(disk), bucket.Sync(bucket.SyncNever), bucket.CompactAfter(1<<40))
	life(t, b, func() {
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		require.Zero(t, b.Stats().Persist.Skipped)
		sick.Store(true)
		_, err = b.Fetch(t.Context(), "b")
		require.NoError(t, err)
		sick.Store(false) // it is what is behind that is too much for a batch now
		require.Eventually(t, func() bool { return b.Health().State == bucket.Ready }, 10*time.Second, 10*time.Millisecond)
	})
	life(t, b, func() { require.Equal(t, 10, b.Len()) })
}

func TestFile_holds_what_was_buffered_although_the_sync_of_the_stop_fails(t *testing.T) {
	for _, kind := range []dumptest.Kind{dumptest.Sync, dumptest.Write} {
		t.Run(kind.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				b := numbers(disk, bucket.Sync(bucket.Buffered))
				life(t, b, func() {
					require.NoError(t, b.DirectSet(t.Context(), "a", 1))
					disk.Inject(dumptest.FailNth(1, syscall.EIO, kind))
				})
				require.Equal(t, map[string]int{"seed": 1, "a": 1}, kept[int](t, disk))
				tidy(t, disk)
			})
		})
	}
}

func TestStop_logs_that_what_the_file_lacks_is_lost(t *testing.T) {
	for _, ill := range []string{"before the stop", "at the stop"} {
		t.Run(ill, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				logger, log := captured()
				b := numbers(disk, logger)
				life(t, b, func() {
					if ill == "at the stop" {
						require.NoError(t, b.DirectSet(t.Context(), "a", 1))
						failing(dumptest.Any, syscall.EIO)(t, disk)
						return
					}
					failing(dumptest.Any, syscall.EIO)(t, disk)
					_, err := b.Fetch(t.Context(), "a")
					require.NoError(t, err)
				})
				last := log.LastEntry()
				require.Equal(t, logrus.ErrorLevel, last.Level)
				require.Contains(t, last.Message, "not closed in good order")
			})
		})
	}
}
