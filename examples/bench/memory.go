package main

import (
	"context"
	"fmt"
	"runtime"

	"github.com/dataworker-go/dataworker/loader"
)

// memory is what a contestant keeps in memory for an entry.
func memory(ctx context.Context, r *race) ([]*table, error) {
	kept := &table{
		name: "memory", title: amount(r.entries) + " entries, string keys, values of 16 bytes", unit: "bytes an entry", base: bareMap,
		notes: []string{"Heap in use after a collection. The bytes of the keys are shared by all, and not counted."},
	}
	of := stringContestants()
	if r.guard {
		of = those(of, isOursOrMap)
	}
	keys := hexKeys(0, r.entries)
	var turns []turn
	for _, c := range of {
		turns = append(turns, turn{c.name, func(ctx context.Context, _ int) ([]float64, error) {
			bytes, err := footprint(ctx, c, keys)
			return []float64{bytes / float64(len(keys))}, err
		}})
	}
	return []*table{kept}, r.alternate(ctx, r.slow, turns, kept)
}

// footprint is how much more heap is in use once a contestant holds keys.
func footprint(ctx context.Context, c contestant[string], keys []string) (float64, error) {
	before := heapInUse()
	s, err := c.open(ctx, keys, 0, neverLoad)
	if err != nil {
		return 0, err
	}
	after := heapInUse()
	if _, err := s.Get(ctx, keys[0]); err != nil {
		return 0, fmt.Errorf("key %s: %w", keys[0], err)
	}
	runtime.KeepAlive(keys)
	return after - before, s.Close()
}

// The rows of the garbage table.
const (
	atFirst  = "at the start"
	inTheEnd = "after the refreshes"
)

// mebibyte is what heaps are told in.
const mebibyte = 1 << 20

// garbage is what many refreshes in which nothing changes leave in memory.
func garbage(ctx context.Context, r *race) (tables []*table, err error) {
	kept := &table{
		name: "garbage", title: fmt.Sprintf("heap in use before and after %d refreshes of %s unchanged entries", r.reloads, amount(r.entries)),
		unit: "MiB", base: atFirst,
	}
	keys := hexKeys(0, r.entries)
	w, err := startBucket(ctx, loader.Funcs[string, value]{
		LoadFunc: func(context.Context, string) (value, error) { return loaded, nil },
		InitFunc: func(context.Context) (map[string]value, error) { return allLoaded(keys), nil },
	})
	if err != nil {
		return nil, err
	}
	defer func() {
		if stopped := w.Close(); err == nil {
			err = stopped
		}
	}()

	kept.add(atFirst, heapInUse()/mebibyte)
	for i := range r.reloads {
		r.tell(fmt.Sprintf("garbage, refresh %d of %d", i+1, r.reloads))
		report, err := w.held.Refresh(ctx)
		if err != nil {
			return nil, err
		}
		if report.Unchanged != len(keys) {
			return nil, fmt.Errorf("refresh: got %d unchanged keys, want %d", report.Unchanged, len(keys))
		}
	}
	kept.add(inTheEnd, heapInUse()/mebibyte)
	runtime.KeepAlive(keys)
	kept.settle()
	return []*table{kept}, nil
}

// allLoaded is the map of keys with the value that a load returns: a refresh changes nothing.
func allLoaded(keys []string) map[string]value {
	held := make(map[string]value, len(keys))
	for _, key := range keys {
		held[key] = loaded
	}
	return held
}
