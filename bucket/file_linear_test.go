package bucket_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// torturing says that there is time for the long versions.
var torturing = os.Getenv("DATAWORKER_TORTURE") == "1"

// TestFile_keeps_the_bucket_linearizable lets sets, deletes, reads, loads, crashes, rewrites
// and a disk that fails now and then collide on one key.
func TestFile_keeps_the_bucket_linearizable(t *testing.T) {
	histories := uint64(6)
	if torturing {
		histories = 200
	}
	for _, policy := range []bucket.SyncPolicy{bucket.SyncAlways, bucket.SyncEvery(time.Millisecond), bucket.SyncNever, bucket.Buffered} {
		for _, failures := range []dumptest.Kind{0, dumptest.Write, dumptest.Write | dumptest.Sync, dumptest.Create | dumptest.Rename | dumptest.Truncate | dumptest.SyncDir} {
			for seed := range histories {
				t.Run(fmt.Sprintf("%v, %v fail, %d", policy, failures, seed), func(t *testing.T) {
					t.Parallel()
					disk := newDisk(t)
					var mu sync.Mutex
					random := rand.New(rand.NewPCG(seed, 1))
					begun := time.Now()
					var history []porcupine.Operation
					var table map[string]int
					t.Run("run", func(t *testing.T) { // the bucket stops at its end
						t.Cleanup(func() { disk.Inject(nil) })
						disk.Inject(func(op dumptest.Op) error {
							mu.Lock()
							defer mu.Unlock()
							if op.Kind&failures != 0 && op.N > 40 && random.IntN(5) == 0 {
								return syscall.EIO
							}
							return nil
						})
						history, table = collide(t, "numbers", seed, on(disk), bucket.Sync(policy), bucket.CompactAfter(2000))
						disk.Inject(nil)
					})
					require.True(t, porcupine.CheckOperations(register, history))
					require.Equal(t, table, kept[int](t, disk), "after %v", time.Since(begun))
					tidy(t, disk)
				})
			}
		}
	}
}
