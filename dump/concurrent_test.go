package dump_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

const (
	clients        = 8
	opsPerClient   = 100
	lives          = 4 // of one dump: between them it is killed, or the power is cut
	concurrentKeys = 12
)

// access is an operation on one key, as the model checker sees it.
type access struct {
	key, value string // no value: the key is not there
	read       bool
}

var register = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range history {
			key := op.Input.(access).key
			byKey[key] = append(byKey[key], op)
		}
		var parts [][]porcupine.Operation
		for _, part := range byKey {
			parts = append(parts, part)
		}
		return parts
	},
	Init: func() any { return "" },
	Step: func(state, input, output any) (bool, any) {
		if in := input.(access); !in.read {
			return true, in.value
		}
		return state == output, state
	},
}

// However writes, syncs and rewrites meet, and whenever it ends: what is there afterwards is
// what writes one after the other would have left, all that were acknowledged among them.
func TestTorture_concurrent_writes_are_linearizable_across_crashes(t *testing.T) {
	t.Parallel()
	for seed := range uint64(rounds(200, 200, 5000)) {
		policy := dump.SyncNever
		if seed%2 == 0 {
			policy = dump.SyncAlways
		}
		c := crowd{T: t, random: rand.New(rand.NewPCG(seed, 6)), policy: policy}
		disk := newDisk(t, seed)
		for range lives {
			disk = c.live(disk)
		}
		c.read(disk)
		result := porcupine.CheckOperationsTimeout(register, c.history, time.Minute)
		require.Equal(t, porcupine.Ok, result, "seed %d", seed)
	}
}

// crowd is many clients of one dump.
type crowd struct {
	*testing.T
	random *rand.Rand
	policy dump.SyncPolicy
	clock  atomic.Int64
	writes atomic.Int64 // a number for each

	mu      sync.Mutex // guards history
	history []porcupine.Operation

	use   sync.RWMutex // held for writing to begin a rewrite
	keys  [concurrentKeys]sync.Mutex
	d     *dump.Dump[string, string]
	table sync.Map
}

// read looks at every key.
func (c *crowd) read(disk *dumptest.Disk) {
	call := c.clock.Add(1)
	d, table, err := found(disk, dump.Options{Name: "texts", Sync: c.policy})
	require.NoError(c, err)
	c.d = d
	c.table.Clear()
	if maps.Equal(table, absent) {
		table = nil
	}
	for key, value := range table {
		c.table.Store(key, value)
	}
	end := c.clock.Add(1)
	for i := range concurrentKeys {
		key := fmt.Sprint(i)
		c.history = append(c.history, porcupine.Operation{
			ClientId: clients, Input: access{key: key, read: true}, Call: call, Output: table[key], Return: end,
		})
	}
}

// live lets the clients use the dump, and returns the disk as it was at some moment.
func (c *crowd) live(disk *dumptest.Disk) *dumptest.Disk {
	c.read(disk)
	if c.d.Broken() != nil {
		require.NoError(c, c.rewrite())
	}
	var next *dumptest.Disk
	var began, ended int64
	ending := make(chan struct{})
	seed := c.random.Uint64()
	last := disk.Ops() + 20 + c.random.IntN(300)
	disk.Inject(func(op dumptest.Op) error {
		if op.N != last {
			return nil
		}
		began = c.clock.Add(1)
		if c.policy == dump.SyncAlways {
			next = disk.Crash(dumptest.Some(seed))
		} else {
			next = disk.Clone()
		}
		ended = c.clock.Add(1)
		close(ending)
		return nil
	})
	before := len(c.history)
	var wait sync.WaitGroup
	for client := range clients {
		random := rand.New(rand.NewPCG(c.random.Uint64(), uint64(client)))
		wait.Go(func() {
			for range opsPerClient / lives {
				c.use1(client, random)
			}
		})
	}
	stop := make(chan struct{})
	rewriter := async(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
				if err := c.rewrite(); err != nil {
					return err
				}
			}
		}
	})
	wait.Wait()
	close(stop)
	require.NoError(c, <-rewriter)
	require.NoError(c, c.d.Close())
	for {
		select {
		case <-ending:
			c.forget(before, began, ended)
			return next
		default: // the moment has not come yet
			_, _ = disk.Lstat(dumpPath)
		}
	}
}

// forget takes out of the history what came after the end. Whoever was told so only then does
// not know what became of a write: it may be found, or never.
func (c *crowd) forget(from int, began, ended int64) {
	kept := c.history[:from]
	for _, op := range c.history[from:] {
		if op.Call > ended {
			continue
		}
		if op.Return >= began {
			op.Return = math.MaxInt64
		}
		kept = append(kept, op)
	}
	c.history = kept
}

// use1 does one thing.
func (c *crowd) use1(client int, random *rand.Rand) {
	switch random.IntN(12) {
	case 0:
		require.NoError(c, c.d.Sync())
		return
	case 1:
		_ = c.d.Stats()
		_ = c.d.Overgrown()
		return
	}
	first := random.IntN(concurrentKeys)
	last := first
	if random.IntN(4) == 0 {
		last = min(first+random.IntN(3), concurrentKeys-1)
	}
	var changes []change
	for i := first; i <= last; i++ {
		made := change{key: fmt.Sprint(i), value: fmt.Sprint(c.writes.Add(1)), deleted: random.IntN(4) == 0}
		if made.deleted {
			made.value = ""
		}
		changes = append(changes, made)
	}

	call := c.clock.Add(1)
	c.write(first, last, changes)
	end := c.clock.Add(1)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, made := range changes {
		c.history = append(c.history, porcupine.Operation{
			ClientId: client, Input: access{key: made.key, value: made.value}, Call: call, Return: end,
		})
	}
}

// write is what an owner has to do: its table changes in the order of the file, and no rewrite
// begins between the two.
func (c *crowd) write(first, last int, changes []change) {
	c.use.RLock()
	defer c.use.RUnlock()
	for i := first; i <= last; i++ {
		c.keys[i].Lock()
		defer c.keys[i].Unlock()
	}
	k := keeper{d: c.d}
	if err := k.send(changes); err != nil {
		c.Errorf("write: %v", err)
		return
	}
	for _, made := range changes {
		if made.deleted {
			c.table.Delete(made.key)
		} else {
			c.table.Store(made.key, made.value)
		}
	}
}

func (c *crowd) rewrite() error {
	c.use.Lock()
	rewriting, err := c.d.BeginRewrite()
	c.use.Unlock()
	if err != nil {
		return err
	}
	_, err = rewriting.Run(context.Background(), dump.Snapshot[string, string]{
		Entries: func(yield func(dump.Entry[string, string]) bool) {
			c.table.Range(func(key, value any) bool {
				return yield(dump.Entry[string, string]{Key: key.(string), Value: value.(string)})
			})
		},
	})
	return err
}

func TestClose_meets_everything_else_halfway(t *testing.T) {
	t.Parallel()
	for range 100 {
		k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
		d := k.d
		var wait sync.WaitGroup
		var acked [4]int
		tolerate := func(err error) bool {
			if err != nil {
				require.ErrorIs(t, err, dump.ErrClosed)
			}
			return err == nil
		}
		for i := range acked {
			wait.Go(func() {
				for n := 1; tolerate(entry(d, fmt.Sprint(i), fmt.Sprint(n))); n++ {
					acked[i] = n
				}
			})
		}
		wait.Go(func() {
			for tolerate(d.Sync()) {
				_ = d.Stats()
			}
		})
		require.Eventually(t, func() bool { return d.Stats().Writes > 5 }, 10*time.Second, time.Microsecond)
		require.NoError(t, d.Close())
		require.NoError(t, d.Close(), "a second time")
		wait.Wait()
		_, table, err := found(disk.Crash(dumptest.Nothing), k.options)
		require.NoError(t, err)
		for i, n := range acked {
			if n > 0 {
				require.Equal(t, fmt.Sprint(n), table[fmt.Sprint(i)])
			}
		}
	}
}
