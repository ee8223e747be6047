package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// script does a bit of everything that reaches the file, and returns what was acknowledged:
// nil is a value that may be there or not.
func script(t *testing.T, b *bucket.Bucket[string, int]) map[string]*int {
	t.Helper()
	var mu sync.Mutex
	acked := map[string]*int{}
	note := func(key string, value int, err error) {
		mu.Lock()
		defer mu.Unlock()
		acked[key] = nil
		if err == nil {
			acked[key] = &value
			return
		}
		assert.ErrorIs(t, err, bucket.ErrCrashed)
	}
	begun := time.Now()
	var all sync.WaitGroup
	for i := range 3 {
		key := fmt.Sprint("set", i)
		all.Go(func() { note(key, 4, b.DirectSet(t.Context(), key, 4)) }) // what a load would bring
		loaded := fmt.Sprint("load", i)
		all.Go(func() {
			value, err := b.Fetch(t.Context(), loaded)
			note(loaded, value, err)
		})
	}
	all.Wait()
	const gone = -1
	note("set0", gone, b.Delete(t.Context(), "set0"))
	_, err := b.Refresh(t.Context())
	if err != nil {
		assert.ErrorIs(t, err, bucket.ErrCrashed)
	}
	note("last", 4, b.DirectSet(t.Context(), "last", 4))
	assert.Zero(t, time.Since(begun), "nobody waits for a time-out")
	return acked
}

// matches says whether a table holds what was acknowledged.
func matches(t *testing.T, acked map[string]*int, table map[string]int) {
	t.Helper()
	for key, value := range acked {
		got, there := table[key]
		switch {
		case value == nil:
		case *value < 0:
			assert.False(t, there, key)
		default:
			assert.True(t, there, "%s is missing", key)
			assert.Equal(t, *value, got, key)
		}
	}
}

func TestFile_lacks_nothing_that_was_acknowledged_when_any_message_crashes_the_bucket(t *testing.T) {
	crashes := map[string]func(t *testing.T, disk *dumptest.Disk, s saboteur) (end func()){
		"restarted": func(t *testing.T, _ *dumptest.Disk, s saboteur) func() {
			sup := supervisor.New(newSystem(), noLog(), supervisor.Backoff(0, 0))
			require.NoError(t, sup.Start(t.Context(), s))
			return func() { require.NoError(t, sup.Stop(t.Context())) }
		},
		"resumed": func(t *testing.T, _ *dumptest.Disk, s saboteur) func() {
			system := resuming(t, s)
			return func() { require.NoError(t, stopByHand(system, s.Bucket)) }
		},
	}
	for name, begin := range crashes {
		for nth := range 45 {
			t.Run(fmt.Sprint(name, " after message ", nth), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					disk := newDisk(t)
					b := numbers(disk, bucket.Sync(bucket.SyncAlways), bucket.CompactAfter(1))
					seen := -1
					end := begin(t, disk, saboteur{b, func(msg any) bool {
						switch msg.(type) {
						case *protoactor.Stopping, *protoactor.Stopped:
							return false
						}
						seen++
						return seen == nth
					}})
					acked := script(t, b)
					synctest.Wait()
					seen = nth // no more of it
					matches(t, acked, tableOf(b))
					require.Equal(t, tableOf(b), kept[int](t, disk))
					require.NoError(t, b.DirectSet(t.Context(), "more", 1), "and it goes on")
					end()
					matches(t, acked, kept[int](t, disk))
					tidy(t, disk)
				})
			})
		}
	}
}

// onceOn panics on the first note of a type.
func onceOn(name string) func(any) bool {
	var done atomic.Bool
	return func(msg any) bool { return fmt.Sprintf("%T", msg) == name && !done.Swap(true) }
}

func TestFile_is_repaired_although_the_bucket_crashes_meanwhile(t *testing.T) {
	tests := map[string]func(any) bool{
		"drill":          func(any) bool { return false },
		"end of rewrite": onceOn("bucket.rewritten"),
		"timer":          onceOn("actor.Tick"),
	}
	for name, panicOn := range tests {
		for _, broken := range []dumptest.Kind{dumptest.Write, dumptest.Sync} {
			t.Run(fmt.Sprint(name, ", ", broken), func(t *testing.T) {
				inBubble(t, func(t *testing.T) {
					disk := newDisk(t)
					b := numbers(disk, bucket.Sync(bucket.SyncAlways))
					system, _ := start(t, saboteur{b, panicOn})
					failing(broken, syscall.EIO)(t, disk)
					_, err := b.Fetch(t.Context(), "a")
					require.NoError(t, err)
					system.Root.Send(b.PID(), bucket.Crash{Reason: "drill"})
					time.Sleep(500 * time.Millisecond)
					disk.Inject(nil)
					time.Sleep(time.Minute)
					require.Equal(t, bucket.Ready, b.Health().State)
					require.Equal(t, tableOf(b), kept[int](t, disk))
				})
			})
		}
	}
}

func TestFile_is_rewritten_again_although_the_end_of_a_rewrite_was_lost(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := numbers(newDisk(t))
		start(t, saboteur{b, onceOn("bucket.rewritten")})
		for range 3 {
			_, err := b.Refresh(t.Context())
			require.NoError(t, err)
			synctest.Wait()
		}
		require.EqualValues(t, 4, b.Stats().Persist.Rewrites)
	})
}

func TestFile_whose_trouble_was_told_by_the_note_that_crashed_the_bucket_is_repaired(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, events := newDisk(t), &diary{}
		b := numbers(disk, bucket.Sync(bucket.Buffered))
		system := newSystem()
		system.EventStream.Subscribe(events.write)
		startIn(t, system, saboteur{b, onceOn("bucket.dumpTrouble")})
		require.NoError(t, b.DirectSet(t.Context(), "a", 1))
		disk.Inject(dumptest.FailNth(1, syscall.EIO, dumptest.Write))
		time.Sleep(time.Minute)
		require.Equal(t, []string{"bucket.DumpOpened", "bucket.DumpFailed", "bucket.DumpRepaired"}, events.read())
		require.Equal(t, map[string]int{"seed": 1, "a": 1}, kept[int](t, disk))
	})
}

// A series of writes begins after the note behind the last one was lost.
func TestSet_is_answered_after_a_crash_on_the_note_behind_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := numbers(newDisk(t))
		start(t, saboteur{b, onceOn("bucket.writesDue")})
		for i := range 3 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
			require.NoError(t, b.DirectSet(ctx, "a", i))
			cancel()
		}
	})
}

func TestInit_runs_once_although_the_actor_crashes_when_its_seed_is_written(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, inits := newDisk(t), 0
		b := bucket.New("numbers", withInit(func(context.Context) (map[string]int, error) {
			inits++
			if inits > 1 {
				return nil, loader.Veto(errDown)
			}
			return map[string]int{"seed": 1}, nil
		}), quiet(), on(disk))
		start(t, saboteur{b, onceOn("*bucket.founded")})
		require.Equal(t, map[string]int{"seed": 1}, tableOf(b))
		require.Equal(t, tableOf(b), kept[int](t, disk))
		require.Equal(t, 1, inits)
	})
}

// The turn that makes a series of changes is cut short by a subscriber who hears of the end
// of a refresh; what is behind it must be made, and nothing must be made that was not written.
func TestFile_holds_what_was_made_behind_a_change_that_was_cut_short(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, src := newDisk(t), newSource(map[string]int{"a": 1})
		b := bucket.New("numbers", src, quiet(), on(disk), bucket.RefreshEvery(0))
		system := resuming(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		var gone atomic.Bool
		system.EventStream.Subscribe(func(event any) {
			if _, ok := event.(bucket.Refreshed); ok && !gone.Swap(true) {
				runtime.Goexit()
			}
		})
		open := src.gate("a")
		refreshed := make(chan error, 1)
		go func() { _, err := b.Refresh(context.Background()); refreshed <- err }()
		synctest.Wait()
		reached, resume := disk.Pause(dumptest.Write, 1) // the actor's turn waits, and the mailbox fills
		first := make(chan error, 9)
		go func() { first <- b.DirectSet(context.Background(), "x", 0) }()
		<-reached
		open()
		synctest.Wait()
		for i := range 3 {
			go func() { first <- b.DirectSet(context.Background(), fmt.Sprint("y", i), i) }()
		}
		synctest.Wait()
		resume()
		for range 4 {
			require.NoError(t, <-first)
		}
		if err := <-refreshed; err != nil {
			require.ErrorIs(t, err, bucket.ErrCrashed)
		}
		require.True(t, gone.Load())
		synctest.Wait()
		require.Equal(t, tableOf(b), kept[int](t, disk))
		require.Equal(t, 5, b.Len())
		require.NoError(t, stopByHand(system, b))
		tidy(t, disk)
	})
}

// deserter is an asker whose mailbox ends the goroutine that answers it.
type deserter struct{}

func (deserter) SendUserMessage(*protoactor.PID, any)   { runtime.Goexit() }
func (deserter) SendSystemMessage(*protoactor.PID, any) {}
func (deserter) Stop(*protoactor.PID)                   {}

func TestFile_does_not_keep_the_others_waiting_when_an_answer_ends_the_turn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, src := newDisk(t), newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("numbers", src, quiet(), on(disk), bucket.MaxConcurrentLoads(1))
		system, sup := start(t, b)
		asker, _ := system.ProcessRegistry.Add(deserter{}, "deserter")
		first := fetch(t.Context(), b, "a")
		synctest.Wait()
		for range 3 { // who asked last is answered first
			system.Root.RequestWithCustomSender(b.PID(), bucket.Fetch{Key: "a"}, asker)
		}
		synctest.Wait()
		begun := time.Now()
		open()
		got := <-first
		require.NoError(t, got.err)
		assert.Zero(t, time.Since(begun))
		synctest.Wait()
		require.Equal(t, map[string]int{"a": 1}, kept[int](t, disk))
		system.ProcessRegistry.Remove(asker)
		require.NoError(t, sup.Stop(t.Context()))
	})
}

// TestStop_leaves_a_whole_file_whatever_it_interrupts stops the bucket at each change of the
// disk. It does not hold the disk there: a write holds a lock, and who waits for that keeps
// the bubble awake.
func TestStop_leaves_a_whole_file_whatever_it_interrupts(t *testing.T) {
	for nth := 1; nth <= 40; nth++ {
		t.Run(fmt.Sprint("at change ", nth), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				b := numbers(disk, bucket.Sync(bucket.SyncAlways), bucket.CompactAfter(1))
				system := newSystem()
				stopped := make(chan error, 2)
				disk.Inject(func(op dumptest.Op) error {
					if pid := b.PID(); op.Mutation == nth && pid != nil {
						go func() { stopped <- system.Root.StopFuture(pid).Wait() }()
						for range 20 {
							runtime.Gosched()
						}
					}
					return nil
				})
				system.Root.Spawn(b.Props())
				var mu sync.Mutex
				acked := map[string]*int{}
				var all sync.WaitGroup
				for i := range 3 {
					all.Go(func() {
						for j := range 3 {
							key := fmt.Sprint(i, "-", j)
							value := len(key)
							err := b.DirectSet(context.Background(), key, value)
							mu.Lock()
							acked[key] = nil
							if err == nil {
								acked[key] = &value
							} else {
								assert.ErrorIs(t, err, bucket.ErrStopped)
							}
							mu.Unlock()
							_, _ = b.Fetch(context.Background(), key+"loaded")
						}
						_, _ = b.Refresh(context.Background())
					})
				}
				all.Wait()
				synctest.Wait()
				if disk.Mutations() < nth { // there were not so many
					stopped <- stopByHand(system, b)
				}
				require.NoError(t, <-stopped)
				disk.Inject(nil)
				names := disk.Names("/data")
				if len(names) > 0 || nth > 20 {
					matches(t, acked, kept[int](t, disk))
					tidy(t, disk)
				}
				for _, value := range acked {
					require.True(t, value == nil || len(names) > 0)
				}
				life(t, b, func() { matches(t, acked, tableOf(b)) })
			})
		})
	}
}

func TestStop_in_the_middle_of_the_start_leaves_nothing(t *testing.T) {
	for _, kind := range []dumptest.Kind{dumptest.Resolve, dumptest.Lock, dumptest.List, dumptest.Create, dumptest.Rename} {
		t.Run(kind.String(), func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := newDisk(t)
				b := numbers(disk)
				reached, resume := disk.Pause(kind, 1)
				system := newSystem()
				system.Root.Spawn(b.Props())
				<-reached
				waiting := fetch(t.Context(), b, "a")
				synctest.Wait()
				pid := b.PID()
				stopped := make(chan error, 1)
				go func() { stopped <- system.Root.StopFuture(pid).Wait() }()
				require.ErrorIs(t, (<-waiting).err, bucket.ErrStopped)
				resume()
				require.NoError(t, <-stopped)
				for _, name := range disk.Names("/data") {
					require.Equal(t, "numbers.dump", name)
				}
				life(t, b, func() { require.Equal(t, map[string]int{"seed": 1}, tableOf(b)) })
				tidy(t, disk)
			})
		})
	}
}

func TestStart_that_was_refused_can_be_tried_again_at_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk, veto := newDisk(t), true
		b := bucket.New("numbers", withInit(func(context.Context) (map[string]int, error) {
			if veto {
				return nil, loader.Veto(errors.New("no"))
			}
			return nil, nil
		}), quiet(), on(disk))
		_, err := startErr(t, b)
		require.True(t, loader.IsVeto(err))
		require.NotErrorIs(t, err, dump.ErrLocked)
		require.Empty(t, disk.Names("/data"))
		veto = false
		life(t, b, func() {})
		tidy(t, disk)
	})
}
