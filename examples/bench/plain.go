package main

import (
	"context"
	"sync"
)

// What Go has by itself. None of it loads, none of it counts.

// bare is a map without a lock. It is the measure, and no peer: nobody can write it
// while it is read.
type bare[K key] struct{ held map[K]value }

func openBare[K key](_ context.Context, keys []K, _ int, _ loadFunc[K]) (store[K], error) {
	return bare[K]{mapOf(keys)}, nil
}

// mapOf is the map of keys with their values.
func mapOf[K key](keys []K) map[K]value {
	held := make(map[K]value, len(keys))
	for i, key := range keys {
		held[key] = valueAt(i)
	}
	return held
}

func (b bare[K]) Get(_ context.Context, key K) (value, error) {
	v, ok := b.held[key]
	if !ok {
		return v, errMissing
	}
	return v, nil
}

func (bare[K]) Set(context.Context, K, value) error { return errReadOnly }

func (bare[K]) Close() error { return nil }

// locked is a map behind a lock for many readers or one writer.
type locked[K key] struct {
	mu   sync.RWMutex
	held map[K]value // guarded by mu
}

func openLocked[K key](_ context.Context, keys []K, _ int, _ loadFunc[K]) (store[K], error) {
	return &locked[K]{held: mapOf(keys)}, nil
}

func (l *locked[K]) Get(_ context.Context, key K) (value, error) {
	l.mu.RLock()
	v, ok := l.held[key]
	l.mu.RUnlock()
	if !ok {
		return v, errMissing
	}
	return v, nil
}

func (l *locked[K]) Set(_ context.Context, key K, v value) error {
	l.mu.Lock()
	l.held[key] = v
	l.mu.Unlock()
	return nil
}

func (*locked[K]) Close() error { return nil }

// synced is a sync.Map.
type synced[K key] struct{ held sync.Map }

func openSyncMap[K key](_ context.Context, keys []K, _ int, _ loadFunc[K]) (store[K], error) {
	s := &synced[K]{}
	for i, key := range keys {
		s.held.Store(key, valueAt(i))
	}
	return s, nil
}

func (s *synced[K]) Get(_ context.Context, key K) (value, error) {
	v, ok := s.held.Load(key)
	if !ok {
		return value{}, errMissing
	}
	return v.(value), nil
}

func (s *synced[K]) Set(_ context.Context, key K, v value) error {
	s.held.Store(key, v)
	return nil
}

func (*synced[K]) Close() error { return nil }
