package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// The rows of the latency tables.
const (
	idle         = "idle"
	idleWithFile = "idle, with a file"
	whileOne     = "full refreshes, one by one"
	whileBatches = "full refreshes, in batches"
	whileHung    = "a load hangs"
	whileDumping = "full refreshes written to the file"
	mapIdle      = "a bare map, idle"
	mapBeside    = "a bare map, beside full refreshes"
)

// latencyNote says what the numbers are.
const latencyNote = "One reader that sleeps between its reads, as a request handler is woken by its request; they come at random, " +
	"one each 100 µs on average. A read is timed from its call to its return, with the clock's own time in it; from-schedule adds " +
	"the time for which the reader was woken too late. What a bare map takes while the bucket is " +
	"refreshed beside it, one by one, is the machine's part."

// latencies measures single reads while something else goes on.
func latencies(ctx context.Context, r *race) (tables []*table, err error) {
	title := "one read of " + amount(r.entries) + " entries, while something goes on"
	for _, name := range []string{"latency-p50", "latency-p99", "latency-p99.9", "latency-p99.9-from-schedule"} {
		tables = append(tables, &table{name: name, title: title, unit: "ns", base: idle})
	}
	tables[0].notes = []string{latencyNote}

	directory, err := os.MkdirTemp("", "dataworker-bench-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(directory) }() // what stays is a temporary file
	keys := hexKeys(0, r.entries)
	order := uniform(keys)
	single, err := startRefreshing(ctx, oneByOne, keys)
	if err != nil {
		return nil, err
	}
	defer closeInto(&err, single)
	batches, err := startRefreshing(ctx, inBatches, keys)
	if err != nil {
		return nil, err
	}
	defer closeInto(&err, batches)
	hanging, err := startHanging(ctx, keys)
	if err != nil {
		return nil, err
	}
	defer closeInto(&err, hanging)
	filed, err := startFiled(ctx, filepath.Join(directory, "bench.dump"), keys)
	if err != nil {
		return nil, err
	}
	defer closeInto(&err, filed)

	while := func(name string, of store[string], busy func(context.Context) error) turn {
		return turn{name, func(ctx context.Context, round int) ([]float64, error) {
			return during(ctx, busy, func() (paced, error) { return readPaced(ctx, of, order, round*7919, r.window) })
		}}
	}
	plain := bare[string]{mapOf(keys)}
	turns := []turn{
		while(idle, single, nothing),
		while(whileOne, single, single.again),
		while(whileBatches, batches, batches.again),
		while(mapBeside, plain, single.again),
		while(idleWithFile, filed, nothing),
		while(whileDumping, filed, filed.again),
	}
	if !r.guard { // no figure is about it
		turns = append(turns, while(whileHung, hanging, hanging.wait), while(mapIdle, plain, nothing))
	}
	return tables, r.alternate(ctx, r.rounds, turns, tables...)
}

// nothing goes on.
func nothing(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// again refreshes until ctx ends.
func (w refreshing) again(ctx context.Context) error {
	for ctx.Err() == nil {
		report, err := w.held.Refresh(context.WithoutCancel(ctx)) // a half refresh would go on into the next turn
		if err := allOf(report, err, w.held.Len()); err != nil {
			return err
		}
	}
	return nil
}

// hanging is a bucket with a key whose load never returns.
type hanging struct{ *worker[string] }

const hungKey = "never"

func startHanging(ctx context.Context, keys []string) (hanging, error) {
	w, err := startBucket(ctx, loader.Funcs[string, value]{
		LoadFunc: func(ctx context.Context, _ string) (value, error) {
			<-ctx.Done() // so that its goroutine does not outlive the program's tests
			return value{}, ctx.Err()
		},
		InitFunc: func(context.Context) (map[string]value, error) { return allLoaded(keys), nil },
	}, bucket.LoadTimeout(time.Hour))
	return hanging{w}, err
}

// wait asks for the key until ctx ends. The load goes on until the bucket stops.
func (h hanging) wait(ctx context.Context) error {
	if _, err := h.held.Fetch(ctx, hungKey); ctx.Err() == nil {
		return fmt.Errorf("a load that hangs has returned: %w", err)
	}
	return nil
}

// startFiled starts a bucket with a file, whose source has other values each time: each
// refresh has the whole file written.
func startFiled(ctx context.Context, path string, keys []string) (refreshing, error) {
	odd, even := mapOf(keys), allLoaded(keys)
	w, err := startBucket(ctx, loader.Funcs[string, value]{
		LoadFunc: neverLoad[string],
		InitFunc: func(context.Context) (map[string]value, error) { return odd, nil },
		LoadAllFunc: func(context.Context) (map[string]value, error) {
			odd, even = even, odd // one refresh at a time
			return odd, nil
		},
	}, bucket.File(path))
	return refreshing{inOneGo, w}, err
}

// during measures while busy is at work, and has it at an end before it returns.
func during(ctx context.Context, busy func(context.Context) error, measure func() (paced, error)) ([]float64, error) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	over := make(chan error, 1)
	go func() { over <- busy(ctx) }()
	got, err := measure()
	stop()
	if failed := <-over; err == nil {
		err = failed
	}
	return got.samples(), err
}

// pause is the mean time from one read to the next.
const pause = 100 * time.Microsecond

// paced is what one reader has measured, in nanoseconds.
type paced struct{ fromCall, fromSchedule *hdrhistogram.Histogram }

func (p paced) samples() []float64 {
	if p.fromCall == nil {
		return nil
	}
	return []float64{
		float64(p.fromCall.ValueAtQuantile(50)),
		float64(p.fromCall.ValueAtQuantile(99)),
		float64(p.fromCall.ValueAtQuantile(99.9)),
		float64(p.fromSchedule.ValueAtQuantile(99.9)),
	}
}

// readPaced reads one key after the other, and sleeps in between: a reader that spins is put aside by
// the scheduler again and again while others have work, and what is measured is the state of the
// processor's caches at its return. The reads come at random, as those of independent callers do: at
// equal intervals they would fall in step with the ticks of the kernel, or not, for a whole round. A
// read whose time has come while the scheduler kept the reader is made at once. Its time from the call
// says nothing about that delay, and its time from the schedule has all of it.
func readPaced(ctx context.Context, s store[string], order []string, at int, window time.Duration) (paced, error) {
	p := paced{newHistogram(), newHistogram()}
	arrivals := rand.New(rand.NewPCG(uint64(at), 0))
	begin := time.Now()
	for due := time.Duration(0); due < window; due += time.Duration(arrivals.ExpFloat64() * float64(pause)) {
		time.Sleep(due - time.Since(begin))
		at++
		key := order[at%len(order)]
		called := time.Now()
		_, err := s.Get(ctx, key)
		done := time.Now()
		if err != nil {
			return paced{}, fmt.Errorf("key %s: %w", key, err)
		}
		record(p.fromCall, done.Sub(called))
		record(p.fromSchedule, done.Sub(begin)-due)
	}
	return p, nil
}

// slowest is more than any read takes: a longer one is counted as that long.
const slowest = 10 * time.Second

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(1, slowest.Nanoseconds(), 3)
}

func record(h *hdrhistogram.Histogram, took time.Duration) {
	_ = h.RecordValue(max(1, min(took, slowest).Nanoseconds())) // never out of its range
}
