package main

import (
	"context"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// refreshing is a bucket, and the way in which its source is asked by a full refresh.
type refreshing struct {
	way string
	*worker[string]
}

// The ways. The sources return at once, so that what is measured is the bucket.
const (
	oneByOne  = "one by one"
	inBatches = "in batches"
	inOneGo   = "in one go"
)

// startRefreshing starts a bucket that holds keys and is refreshed in that way.
func startRefreshing(ctx context.Context, way string, keys []string) (refreshing, error) {
	funcs := loader.Funcs[string, value]{
		LoadFunc: func(context.Context, string) (value, error) { return loaded, nil },
		InitFunc: func(context.Context) (map[string]value, error) { return allLoaded(keys), nil },
	}
	switch way {
	case inBatches:
		funcs.LoadBatchFunc = readyBatches()
	case inOneGo:
		all := allLoaded(keys)
		funcs.LoadAllFunc = func(context.Context) (map[string]value, error) { return all, nil }
	}
	w, err := startBucket(ctx, funcs)
	return refreshing{way, w}, err
}

// readyBatches is a source that has the answer to each batch ready from the second time on.
func readyBatches() func(context.Context, []string) (map[string]value, error) {
	var ready sync.Map
	return func(_ context.Context, keys []string) (map[string]value, error) {
		if answer, ok := ready.Load(keys[0]); ok && len(answer.(map[string]value)) == len(keys) {
			return answer.(map[string]value), nil
		}
		answer := allLoaded(keys)
		ready.Store(keys[0], answer)
		return answer, nil
	}
}

// refreshes measures a full refresh, against building a map of what it brings.
func refreshes(ctx context.Context, r *race) (tables []*table, err error) {
	const building = "building a map"
	took := &table{
		name: "refresh", title: "a full refresh of " + amount(r.entries) + " entries, from a source that returns at once",
		unit: "ns a key", base: building,
	}
	keys := hexKeys(0, r.entries)
	built := allLoaded(keys)
	turns := []turn{{building, func(context.Context, int) ([]float64, error) {
		began := time.Now()
		next := make(map[string]value, len(built))
		maps.Copy(next, built)
		return []float64{each(time.Since(began), len(keys))}, nil
	}}}
	for _, way := range []string{oneByOne, inBatches, inOneGo} {
		w, err := startRefreshing(ctx, way, keys)
		if err != nil {
			return nil, err
		}
		defer closeInto(&err, w)
		again := func(ctx context.Context, _ int) ([]float64, error) {
			began := time.Now()
			report, err := w.held.Refresh(ctx)
			return []float64{each(time.Since(began), len(keys))}, allOf(report, err, len(keys))
		}
		if _, err := again(ctx, 0); err != nil { // has the batches made ready
			return nil, err
		}
		turns = append(turns, turn{way, again})
	}
	return []*table{took}, r.alternate(ctx, r.slow, turns, took)
}

// allOf is the error of a refresh that has not loaded all keys.
func allOf(report bucket.Report, err error, keys int) error {
	if err == nil && report.Loaded != keys {
		err = fmt.Errorf("refresh: loaded %d keys, want %d", report.Loaded, keys)
	}
	return err
}

// each is the time of one of n equal steps, in nanoseconds.
func each(total time.Duration, n int) float64 { return float64(total.Nanoseconds()) / float64(n) }

// closeInto closes at the end of a function whose error it becomes if there is none.
func closeInto(err *error, what interface{ Close() error }) {
	if closed := what.Close(); *err == nil {
		*err = closed
	}
}
