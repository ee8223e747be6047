package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"runtime/metrics"
	"time"
)

// pace is how large things are, and how long and how often they are measured.
type pace struct {
	rounds  int           // of what is over soon
	slow    int           // rounds of what takes seconds
	turn    time.Duration // of one contestant in one round of reads
	window  time.Duration // of one measurement of latencies
	entries int           // the centre, which the scenarios vary around
	few     int           // entries
	some    int           // entries
	many    int           // entries
	crowd   int           // callers of a herd
	misses  int           // in a round
	reloads int           // refreshes that must leave no garbage
}

func usual() pace {
	return pace{
		rounds: 11, slow: 5, turn: 100 * time.Millisecond, window: 2 * time.Second,
		entries: 1_000_000, few: 1_000, some: 100_000, many: 10_000_000,
		crowd: 1_000, misses: 10_000, reloads: 20,
	}
}

func quick() pace {
	return pace{
		rounds: 5, slow: 3, turn: 20 * time.Millisecond, window: 200 * time.Millisecond,
		entries: 200_000, few: 1_000, some: 20_000, many: 500_000,
		crowd: 1_000, misses: 2_000, reloads: 5,
	}
}

// race runs scenarios.
type race struct {
	pace
	guard    bool   // only what the figures need
	scenario string // the name of the one that runs
	tell     func(step string)
}

// A turn measures one row of some tables once.
type turn struct {
	name string

	// run returns one sample for each table.
	run func(ctx context.Context, round int) ([]float64, error)
}

// alternate has all turns taken in each round, in an order of the round's own, and adds
// what they measure to the tables.
func (r *race) alternate(ctx context.Context, rounds int, turns []turn, tables ...*table) error {
	for round := range rounds {
		r.tell(fmt.Sprintf("%s, round %d of %d", tables[0].name, round+1, rounds))
		for _, i := range rand.New(rand.NewPCG(seedOf, uint64(round))).Perm(len(turns)) {
			if err := once(ctx, turns[i], round, tables); err != nil {
				return fmt.Errorf("%s: %s: %w", tables[0].name, turns[i].name, err)
			}
		}
	}
	for _, t := range tables {
		t.settle()
	}
	return nil
}

// once has one turn taken.
func once(ctx context.Context, t turn, round int, tables []*table) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	clearUp()
	samples, err := t.run(ctx, round)
	if err != nil {
		return err
	}
	for i, sample := range samples {
		tables[i].add(t.name, sample)
	}
	return nil
}

// litter is how much may lie about before a turn.
const litter = 16 << 20

// clearUp collects what the turns before have thrown away, so that nobody is interrupted
// for the garbage of another. What a turn throws away itself it is interrupted for, if it
// is enough.
func clearUp() {
	var before runtime.MemStats
	runtime.ReadMemStats(&before)
	if before.HeapAlloc > heapAfterLastGC()+litter {
		runtime.GC()
	}
}

// mallocs is how many allocations there have been so far.
func mallocs() uint64 {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.Mallocs
}

// heapInUse is how many bytes are reachable.
func heapInUse() float64 {
	runtime.GC()
	runtime.GC() // the second one sees what finalizers and pools have let go of
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// heapAfterLastGC is how many bytes the last collection has left.
func heapAfterLastGC() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/live:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}
