package main

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// readers is a scenario of readers, and perhaps writers.
type readers[K key] struct {
	table      table
	of         []contestant[K]
	keys       func() []K
	order      func(keys []K) []K
	count      int  // of readers
	writeEvery int  // accesses, the last of which is a write; 0 is none
	apart      bool // one contestant beside the base at a time, because memory does not hold more
	allocs     bool // tell of allocations, too
}

// run measures the time of an access, and its allocations.
func (p readers[K]) run(ctx context.Context, r *race) ([]*table, error) {
	keys := p.keys()
	order := p.order(keys)
	took := &p.table
	allocs := &table{name: took.name + "-allocs", title: took.title, unit: "allocations an access"}
	told := []*table{took}
	if p.allocs {
		told = append(told, allocs)
	}
	if !p.apart {
		return told, p.race(ctx, r, p.of, keys, order, took, allocs)
	}
	took.apart = true
	for _, c := range p.of {
		if c.name == bareMap {
			continue
		}
		group, groupAllocs := *took, *allocs
		group.rows, groupAllocs.rows = nil, nil
		pair := those(p.of, func(other contestant[K]) bool { return other.name == bareMap || other.name == c.name })
		if err := p.race(ctx, r, pair, keys, order, &group, &groupAllocs); err != nil {
			return nil, err
		}
		took.take(&group)
		allocs.take(&groupAllocs)
	}
	return told, nil
}

func (p readers[K]) race(ctx context.Context, r *race, of []contestant[K], keys, order []K, tables ...*table) (err error) {
	stores, closeAll, err := openAll(ctx, r, of, keys, 0, neverLoad[K])
	if err != nil {
		return err
	}
	defer closeAll(&err)
	var turns []turn
	for i, s := range stores {
		if err := verify(ctx, s, keys); err != nil {
			return fmt.Errorf("%s: %w", of[i].name, err)
		}
		turns = append(turns, turn{of[i].name, func(ctx context.Context, round int) ([]float64, error) {
			return p.measure(ctx, s, order, round, r.turn)
		}})
	}
	runtime.GC() // what it took to fill them
	return r.alternate(ctx, r.rounds, turns, tables...)
}

// openAll fills the contestants, one after the other.
func openAll[K key](ctx context.Context, r *race, of []contestant[K], keys []K, more int, load loadFunc[K]) ([]store[K], func(*error), error) {
	var stores []store[K]
	closeAll := func(err *error) {
		for _, s := range stores {
			if e := s.Close(); *err == nil {
				*err = e
			}
		}
	}
	for _, c := range of {
		r.tell(fmt.Sprintf("filling %s with %s entries", c.name, amount(len(keys))))
		s, err := c.open(ctx, keys, more, load)
		if err != nil {
			closeAll(&err)
			return nil, nil, fmt.Errorf("%s: %w", c.name, err)
		}
		stores = append(stores, s)
	}
	return stores, closeAll, nil
}

// verify makes sure that a store holds what it should, and has it in the caches as far as
// they go.
func verify[K key](ctx context.Context, s store[K], keys []K) error {
	for i, key := range keys {
		got, err := s.Get(ctx, key)
		if err != nil {
			return fmt.Errorf("key %v: %w", key, err)
		}
		if got != valueAt(i) {
			return fmt.Errorf("key %v: got %v, want %v", key, got, valueAt(i))
		}
	}
	return nil
}

// batch is how many accesses there are between two looks at whether to stop.
const batch = 200

// measure lets all readers loose for a while. The time of an access is the time that has
// passed by the accesses of all, as in a parallel benchmark of Go.
func (p readers[K]) measure(ctx context.Context, s store[K], order []K, round int, window time.Duration) ([]float64, error) {
	walks := make([]walk[K], p.count)
	for i := range walks {
		walks[i] = walk[K]{store: s, order: order, at: (i*len(order)/p.count + round*7919) % len(order)}
	}
	// The contestant before has left its own entries in the caches.
	p.walk(ctx, walks, window/2)
	for i := range walks {
		walks[i].done = 0
	}
	took, allocated := p.walk(ctx, walks, window)

	done := 0
	for _, w := range walks {
		if w.err != nil {
			return nil, w.err
		}
		done += w.done
	}
	return []float64{float64(took.Nanoseconds()) / float64(done), float64(allocated) / float64(done)}, nil
}

// walk has all walkers go on until the window is over.
func (p readers[K]) walk(ctx context.Context, walks []walk[K], window time.Duration) (took time.Duration, allocated uint64) {
	var (
		crew  sync.WaitGroup
		stop  atomic.Bool
		begin = make(chan struct{})
	)
	for i := range walks {
		crew.Go(func() {
			<-begin
			w := walks[i] // a copy, with nobody else's writes near
			for !stop.Load() && w.err == nil {
				w.some(ctx, p.writeEvery)
			}
			walks[i] = w
		})
	}
	before := mallocs()
	began := time.Now()
	time.AfterFunc(window, func() { stop.Store(true) })
	close(begin)
	crew.Wait()
	return time.Since(began), mallocs() - before
}

// walk is one reader on its way through the order.
type walk[K key] struct {
	store store[K]
	order []K
	at    int
	done  int
	sum   uint64 // keeps the reads from being optimized away
	err   error
}

// some does a batch of accesses.
func (w *walk[K]) some(ctx context.Context, writeEvery int) {
	if writeEvery == 0 {
		w.read(ctx, batch)
		return
	}
	for range batch / writeEvery {
		if w.read(ctx, writeEvery-1); w.err != nil {
			return
		}
		w.write(ctx)
	}
}

func (w *walk[K]) read(ctx context.Context, n int) {
	s, order, at, sum := w.store, w.order, w.at, w.sum
	for range n {
		v, err := s.Get(ctx, order[at])
		if err != nil {
			w.err = err
			return
		}
		sum += v.A
		if at++; at == len(order) {
			at = 0
		}
	}
	w.at, w.sum = at, sum
	w.done += n
}

// write saves another value than before: to save the same one may be no work.
func (w *walk[K]) write(ctx context.Context) {
	w.err = w.store.Set(ctx, w.order[w.at], value{A: w.sum, B: uint64(w.done)})
	if w.at++; w.at == len(w.order) {
		w.at = 0
	}
	w.done++
}
