package main

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// loadTime is how long a load of a herd takes.
const loadTime = 10 * time.Millisecond

// loaded is what every loader of this program returns for a key that is not held.
var loaded = value{A: 1, B: 2}

// herd has a crowd ask for a key that nobody holds: how many loads does it take, and how
// long until all have the answer?
func herd(ctx context.Context, r *race) (tables []*table, err error) {
	took := &table{
		name: "herd", title: amount(r.crowd) + " callers of one cold key, whose load takes " + loadTime.String(),
		unit: "ms until all are answered", base: dataWorker,
		notes: []string{"The source itself takes 10 ms.", noLoadingCall},
	}
	counted := &table{name: "herd-loads", title: took.title, unit: "loads"}

	var loads atomic.Int64
	slow := func(context.Context, string) (value, error) {
		loads.Add(1)
		time.Sleep(loadTime)
		return loaded, nil
	}
	of := those(stringContestants(), canLoad)
	held := hexKeys(0, r.few)
	stores, closeAll, err := openAll(ctx, r, of, held, r.rounds, slow)
	if err != nil {
		return nil, err
	}
	defer closeAll(&err)

	cold := hexKeys(r.few, r.rounds)
	var turns []turn
	for i, s := range stores {
		turns = append(turns, turn{of[i].name, func(ctx context.Context, round int) ([]float64, error) {
			before := loads.Load()
			elapsed, err := stampede(ctx, s, cold[round], r.crowd)
			return []float64{elapsed.Seconds() * 1000, float64(loads.Load() - before)}, err
		}})
	}
	return []*table{took, counted}, r.alternate(ctx, r.rounds, turns, took, counted)
}

// stampede has n callers ask for key at once and returns when the last has its answer.
func stampede(ctx context.Context, s store[string], key string, n int) (time.Duration, error) {
	var (
		callers sync.WaitGroup
		failure atomic.Pointer[error]
		begin   = make(chan struct{})
	)
	for range n {
		callers.Go(func() {
			<-begin
			got, err := s.Get(ctx, key)
			if err == nil && got != loaded {
				err = fmt.Errorf("key %s: got %v, want %v", key, got, loaded)
			}
			if err != nil {
				failure.Store(&err)
			}
		})
	}
	began := time.Now()
	close(begin)
	callers.Wait()
	elapsed := time.Since(began)
	if err := failure.Load(); err != nil {
		return 0, *err
	}
	return elapsed, nil
}
