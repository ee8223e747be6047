package main

import (
	"context"

	"github.com/dgraph-io/ristretto/v2"
)

// ristrettoed is ristretto, which has no loading call: its Get is a plain look-up. Its
// settings are those that its documentation recommends, with metrics.
type ristrettoed[K key] struct {
	held *ristretto.Cache[K, value]
}

func openRistretto[K key](_ context.Context, keys []K, more int, _ loadFunc[K]) (store[K], error) {
	room := int64(len(keys) + more)
	held, err := ristretto.NewCache(&ristretto.Config[K, value]{
		NumCounters:        10 * room,
		MaxCost:            room,
		BufferItems:        64,
		Metrics:            true,
		IgnoreInternalCost: true,
	})
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		// A write that finds the buffer full is dropped.
		for !held.Set(key, valueAt(i), 1) {
			held.Wait()
		}
	}
	held.Wait()
	return &ristrettoed[K]{held}, nil
}

func (r *ristrettoed[K]) Get(_ context.Context, key K) (value, error) {
	v, ok := r.held.Get(key)
	if !ok {
		return v, errMissing
	}
	return v, nil
}

func (r *ristrettoed[K]) Set(_ context.Context, key K, v value) error {
	r.held.Set(key, v, 1)
	return nil
}

func (r *ristrettoed[K]) Close() error {
	r.held.Close()
	return nil
}
