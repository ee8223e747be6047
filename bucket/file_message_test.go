package bucket_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
)

// correspondent is an asker that keeps every answer, in order.
type correspondent struct {
	mu      sync.Mutex
	answers []any
}

func (c *correspondent) SendUserMessage(_ *protoactor.PID, msg any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, protoactor.UnwrapEnvelopeMessage(msg))
}
func (*correspondent) SendSystemMessage(*protoactor.PID, any) {}
func (*correspondent) Stop(*protoactor.PID)                   {}

// stall holds the actor at its next write, so that its mailbox fills.
func stall(t *testing.T, disk *dumptest.Disk, b *bucket.Bucket[string, int]) (resume func()) {
	t.Helper()
	reached, resume := disk.Pause(dumptest.Write, 1)
	go func() { assert.NoError(t, b.DirectSet(context.Background(), "stall", 0)) }()
	<-reached
	return resume
}

func TestMessages_of_one_sender_are_served_and_answered_in_order(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk, bucket.Sync(bucket.SyncAlways))
		system, _ := start(t, b)
		resume := stall(t, disk, b)
		c := &correspondent{}
		pid, _ := system.ProcessRegistry.Add(c, "correspondent")
		t.Cleanup(func() { system.ProcessRegistry.Remove(pid) })
		huge := string(make([]byte, 1<<20+1))
		for _, msg := range []any{
			bucket.Set{Key: "a", Value: 1},
			bucket.Set{Key: "a", Value: 2},
			bucket.Fetch{Key: "a"},
			bucket.Set{Key: "a", Value: 3},
			bucket.Set{Key: "a", Value: "three"},
			bucket.Set{Key: "a", Value: 4},
			bucket.Set{Key: huge, Value: 4},
			bucket.Delete{Key: "a"},
			bucket.Get{Key: "seed"},
			bucket.Set{Key: "a", Value: 5},
			bucket.Keys{},
			bucket.Delete{Key: "a"},
			bucket.Fetch{Key: "a"},
			bucket.Set{Key: "b", Value: 6},
			&bucket.Fetch{Key: "b"},
		} {
			system.Root.RequestWithCustomSender(b.PID(), msg, pid)
		}
		resume()
		synctest.Wait()
		var got []string
		for _, answer := range c.answers {
			switch answer := answer.(type) {
			case bucket.Found:
				got = append(got, fmt.Sprint(answer.Value, ", ", answer.Loaded))
			case bucket.KeyList:
				got = append(got, fmt.Sprint(len(answer.Keys)))
			default:
				got = append(got, fmt.Sprintf("%T", answer))
			}
		}
		done, failed := "bucket.Done", "bucket.Failed"
		// The load that the last Fetch needs may be over at any time.
		assert.Equal(t, []string{done, done, "2, false", done, failed, done, failed, done, "1, false", done, "3", done}, got[:12])
		assert.ElementsMatch(t, []string{"1, true", done, failed}, got[12:])
	})
}

func TestSyncAlways_shares_a_sync_between_those_who_wait(t *testing.T) {
	const writers = 100
	ways := map[string]func(t *testing.T, system *protoactor.ActorSystem, b *bucket.Bucket[string, int], key string){
		"DirectSet": func(t *testing.T, _ *protoactor.ActorSystem, b *bucket.Bucket[string, int], key string) {
			assert.NoError(t, b.DirectSet(context.Background(), key, 1))
		},
		"Delete": func(t *testing.T, _ *protoactor.ActorSystem, b *bucket.Bucket[string, int], key string) {
			assert.NoError(t, b.Delete(context.Background(), key))
		},
		"Set": func(t *testing.T, system *protoactor.ActorSystem, b *bucket.Bucket[string, int], key string) {
			assert.Equal(t, bucket.Done{}, request(t, system, b.PID(), bucket.Set{Key: key, Value: 1}))
		},
	}
	for name, ask := range ways {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				b := numbers(disk, bucket.Sync(bucket.SyncAlways))
				system, _ := start(t, b)
				before := b.Stats().Persist
				resume := stall(t, disk, b)
				var all sync.WaitGroup
				for i := range writers {
					all.Go(func() { ask(t, system, b, fmt.Sprint(i)) })
				}
				synctest.Wait()
				resume()
				all.Wait()
				after := b.Stats().Persist
				assert.EqualValues(t, 2, after.Syncs-before.Syncs, "one for the first, one for all the others")
				assert.EqualValues(t, 2, after.Writes-before.Writes)
				require.Equal(t, tableOf(b), kept[int](t, disk))
			})
		})
	}
}

func TestSyncAlways_does_not_sync_for_loads_that_nobody_waits_for(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, src := newDisk(t), newSource(seedOf(500))
		b := bucket.New("numbers", src, quiet(), on(disk), bucket.Sync(bucket.SyncAlways), bucket.RefreshEvery(0))
		start(t, b)
		for key := range seedOf(500) {
			require.NoError(t, b.DirectSet(t.Context(), key, 0))
		}
		for i := range 500 {
			src.set(fmt.Sprint("key", i), -i-1)
		}
		before := b.Stats().Persist.Syncs
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		require.Equal(t, 500, report.Changed)
		synctest.Wait()
		assert.LessOrEqual(t, b.Stats().Persist.Syncs-before, int64(2))
		require.Equal(t, tableOf(b), kept[int](t, disk))

		src.set("new", 1)
		before = b.Stats().Persist.Syncs
		_, err = b.Fetch(t.Context(), "new")
		require.NoError(t, err)
		assert.EqualValues(t, 1, b.Stats().Persist.Syncs-before, "somebody waits for this one")
	})
}

func TestRefresh_replaces_the_file(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk)
		start(t, b)
		for want := range uint64(5) {
			require.Equal(t, want+1, b.Stats().Persist.Generation)
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
			synctest.Wait()
		}
	})
}

// Another refresh ends while the file is written anew for the first: its word must count.
func TestRefresh_replaces_the_file_also_when_one_is_being_written(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk)
		start(t, b)
		reached, resume := disk.Pause(dumptest.Create, 1)
		for range 2 {
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
		}
		<-reached
		resume()
		synctest.Wait()
		require.EqualValues(t, 3, b.Stats().Persist.Generation)
	})
}

func TestCompactAfter_has_a_file_written_anew_that_has_grown(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		b := numbers(disk, bucket.CompactAfter(10_000))
		_, sup := start(t, b)
		for i := range 1000 {
			require.NoError(t, b.DirectSet(t.Context(), fmt.Sprint(i%10), i))
		}
		synctest.Wait()
		stats := b.Stats().Persist.Stats
		assert.Greater(t, stats.Rewrites, int64(2))
		assert.Less(t, stats.Journal+stats.Snapshot, int64(40_000))
		require.NoError(t, sup.Stop(t.Context()))
		tidy(t, disk)
	})
}

// A related load brings a new value of b, and then a load of b fails that began later. Both
// land in one go; the failure must not bring back the old value.
func TestLoadRelated_is_not_undone_by_a_failure_that_is_written_with_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := newDisk(t)
		related, alone := make(chan struct{}), make(chan struct{})
		b := bucket.New("numbers", loader.Funcs[string, int]{
			InitFunc: func(context.Context) (map[string]int, error) { return map[string]int{"b": 1}, nil },
			LoadRelatedFunc: func(_ context.Context, key string) (int, map[string]int, error) {
				if key == "b" {
					<-alone
					return 0, nil, errDown
				}
				<-related
				return 0, map[string]int{"b": 2}, nil
			},
		}, quiet(), on(disk), bucket.RefreshEvery(0))
		_, sup := start(t, b)
		a := fetch(t.Context(), b, "a")
		synctest.Wait()
		failing := make(chan error, 1)
		go func() { _, err := b.RefreshKey(context.Background(), "b"); failing <- err }()
		synctest.Wait()
		resume := stall(t, disk, b)
		close(related)
		synctest.Wait()
		close(alone)
		synctest.Wait()
		resume()
		require.NoError(t, (<-a).err)
		require.ErrorIs(t, <-failing, errDown)
		require.Equal(t, map[string]int{"b": 2, "stall": 0}, tableOf(b))
		require.Equal(t, tableOf(b), kept[int](t, disk))
		require.NoError(t, sup.Stop(t.Context()))
	})
}

// A set that cannot be written leaves alone whoever waits for a load of the key.
func TestSet_that_was_refused_does_not_overtake_a_load(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, src := newDisk(t), newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("numbers", src, quiet(), on(disk))
		start(t, b)
		answer := fetch(t.Context(), b, "a")
		synctest.Wait()
		disk.SetCapacity(0)
		require.ErrorIs(t, b.DirectSet(t.Context(), "a", 2), bucket.ErrPersist)
		disk.SetCapacity(-1)
		open()
		require.Equal(t, got{value: 1}, <-answer)
		require.Equal(t, map[string]int{"a": 1}, tableOf(b))
		require.Equal(t, tableOf(b), kept[int](t, disk))
	})
}

// A load lands right behind a set of its key, while that waits to be written.
func TestSet_overtakes_a_load_that_lands_before_it_is_written(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, src := newDisk(t), newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("numbers", src, quiet(), on(disk))
		start(t, b)
		answer := fetch(t.Context(), b, "a")
		synctest.Wait()
		resume := stall(t, disk, b)
		set := make(chan error, 1)
		go func() { set <- b.DirectSet(context.Background(), "a", 5) }()
		synctest.Wait()
		open()
		synctest.Wait()
		resume()
		require.NoError(t, <-set)
		require.Equal(t, got{value: 5}, <-answer)
		synctest.Wait()
		require.Equal(t, map[string]int{"a": 5, "stall": 0}, tableOf(b))
		require.Equal(t, tableOf(b), kept[int](t, disk))
	})
}
