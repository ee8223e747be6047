package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// step is one operation on one key, for the checker. Values are unique; 0 is "not there".
type step struct {
	kind  string // write (a set, or with 0 a delete), read, load
	value int    // written, read, or loaded
	seen  int    // by a load: what the table held when it began
}

// register is a key whose last accepted write wins. A load is a compare-and-swap: it may
// replace what the table held when it began, and nothing that was written since. It need
// not, because a write and its undoing since are a reason to drop it, too.
var register = (&porcupine.NondeterministicModel{
	Init: func() []any { return []any{0} },
	Step: func(state, input, output any) []any {
		switch in := input.(step); in.kind {
		case "write":
			return []any{in.value}
		case "load":
			if state == in.seen {
				return []any{state, in.value}
			}
			return []any{state}
		default:
			if state == output.(step).value {
				return []any{state}
			}
			return nil
		}
	},
}).ToModel()

// TestBucket_is_linearizable lets sets, deletes, reads, loads and crashes collide on one
// key.
func TestBucket_is_linearizable(t *testing.T) {
	for seed := range uint64(30) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			history, _ := collide(t, fmt.Sprint("widgets", seed), seed)
			require.True(t, porcupine.CheckOperations(register, history))
		})
	}
}

// collision is a history in the making.
type collision struct {
	begun time.Time
	mu    sync.Mutex
	done  []porcupine.Operation
	loads map[int]*porcupine.Operation // by value; those that nobody has heard of yet
}

func (c *collision) now() int64 { return time.Since(c.begun).Nanoseconds() }

// record takes an operation into the history, unless it was refused: then it must have had
// no effect.
func (c *collision) record(client int, in step, do func() (out step, refused bool)) {
	call := c.now()
	out, refused := do()
	end := c.now()
	if refused {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done = append(c.done, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: end})
}

func (c *collision) loadBegins(client int, call int64, in step) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.loads[in.value] = &porcupine.Operation{ClientId: client, Input: in, Call: call, Output: step{}}
}

// loadEnds takes a load into the history that somebody was given the value of. One whose
// value nobody was given was overtaken by a set, so it must have had no effect.
func (c *collision) loadEnds(value int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if load, ok := c.loads[value]; ok {
		load.Return = c.now()
		c.done = append(c.done, *load)
		delete(c.loads, value)
	}
}

func collide(t *testing.T, name string, seed uint64, opts ...bucket.Option) ([]porcupine.Operation, map[string]int) {
	const clients, steps = 6, 80
	history := &collision{begun: time.Now(), loads: map[int]*porcupine.Operation{}}
	var table *bucket.Bucket[string, int]
	var loads atomic.Int64
	table = bucket.New(name, loader.Func(func(_ context.Context, key string) (int, error) {
		number := int(loads.Add(1))
		call := history.now()
		seen, _ := table.DirectGet(key)
		history.loadBegins(clients+number, call, step{kind: "load", value: -number, seen: seen})
		for range rand.IntN(200) {
			runtime.Gosched()
		}
		return -number, nil
	}), append([]bucket.Option{quiet(), bucket.RefreshEvery(0)}, opts...)...)
	system, _ := start(t, table)
	refused := func(err error) bool {
		if !errors.Is(err, bucket.ErrPersist) {
			assert.NoError(t, err)
		}
		return err != nil
	}

	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			random := rand.New(rand.NewPCG(seed, uint64(client)))
			for i := range steps {
				switch random.IntN(8) {
				case 0, 1:
					value := 1 + client*steps + i
					history.record(client, step{kind: "write", value: value}, func() (step, bool) {
						return step{}, refused(table.DirectSet(context.Background(), "a", value))
					})
				case 2:
					history.record(client, step{kind: "write"}, func() (step, bool) {
						return step{}, refused(table.Delete(context.Background(), "a"))
					})
				case 3, 4:
					value, err := table.RefreshKey(context.Background(), "a")
					assert.NoError(t, err)
					history.loadEnds(value)
				case 5:
					if i%10 == 0 {
						system.Root.Send(table.PID(), bucket.Crash{Reason: "drill"})
					}
				default:
					history.record(client, step{kind: "read"}, func() (step, bool) {
						value, _ := table.DirectGet("a")
						return step{value: value}, false
					})
				}
			}
		})
	}
	all.Wait()
	return history.done, tableOf(table)
}
