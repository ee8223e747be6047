package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
)

// requestFuture is the row of an actor that only echoes: what a message there and back
// costs with protoactor, whatever the actor does.
const requestFuture = "RequestFuture to an echo actor"

// miss has one caller ask for keys that nobody holds, of a loader that returns at once.
func miss(ctx context.Context, r *race) (tables []*table, err error) {
	took := &table{
		name: "miss", title: "one caller misses, the loader returns at once", unit: "ns a miss", base: requestFuture,
		notes: []string{"The value is saved before it is returned.", noLoadingCall},
	}
	allocs := &table{name: "miss-allocs", title: took.title, unit: "allocations a miss"}

	load := canLoad[string]
	if r.guard {
		load = isOurs[string]
	}
	of := those(stringContestants(), load)
	instant := func(context.Context, string) (value, error) { return loaded, nil }
	stores, closeAll, err := openAll(ctx, r, of, hexKeys(0, r.some), r.rounds*r.misses, instant)
	if err != nil {
		return nil, err
	}
	defer closeAll(&err)

	cold := hexKeys(r.some, r.rounds*r.misses)
	ofRound := func(round int) []string { return cold[round*r.misses:][:r.misses] }
	var turns []turn
	for i, s := range stores {
		turns = append(turns, turn{of[i].name, func(ctx context.Context, round int) ([]float64, error) {
			return perKey(ofRound(round), func(key string) error {
				got, err := s.Get(ctx, key)
				if err == nil && got != loaded {
					err = fmt.Errorf("key %s: got %v, want %v", key, got, loaded)
				}
				return err
			})
		}})
	}
	e := startEcho()
	defer func() {
		if stopped := e.stop(context.WithoutCancel(ctx)); err == nil {
			err = stopped
		}
	}()
	turns = append(turns, turn{requestFuture, func(_ context.Context, round int) ([]float64, error) {
		return perKey(ofRound(round), e.ask)
	}})
	return []*table{took, allocs}, r.alternate(ctx, r.rounds, turns, took, allocs)
}

// perKey is how long one step takes, and how many allocations.
func perKey(keys []string, step func(key string) error) ([]float64, error) {
	before := mallocs()
	began := time.Now()
	for _, key := range keys {
		if err := step(key); err != nil {
			return nil, err
		}
	}
	took := time.Since(began)
	n := float64(len(keys))
	return []float64{float64(took.Nanoseconds()) / n, float64(mallocs()-before) / n}, nil
}

func (e echo) ask(key string) error {
	reply, err := e.system.Root.RequestFuture(e.pid, bucket.Fetch{Key: key}, time.Minute).Result()
	if err != nil {
		return err
	}
	if found, ok := reply.(bucket.Found); !ok || found.Value != key {
		return fmt.Errorf("echo of %s: got %v", key, reply)
	}
	return nil
}
