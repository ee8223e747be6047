package main

import (
	"context"
	"errors"
)

// key is what entries are held under.
type key interface{ string | int }

// value is what is held.
type value struct{ A, B uint64 }

// valueAt is the value of the key with the number i.
func valueAt(i int) value { return value{A: uint64(i), B: ^uint64(i)} }

// store is a contestant at work. The calls through it cost the same for all.
type store[K key] interface {
	// Get is the loading call, or the plain look-up of those that have none.
	Get(ctx context.Context, key K) (value, error)

	// Set replaces the value of a key.
	Set(ctx context.Context, key K, v value) error

	// Close stops what the contestant has started.
	Close() error
}

// loadFunc is what a loading call loads with.
type loadFunc[K key] func(ctx context.Context, key K) (value, error)

// contestant opens stores. Each store is sized so that it evicts nothing, and counts hits
// where its library can.
type contestant[K key] struct {
	name  string
	loads bool // has a loading call

	// open makes a store that holds keys, each with its valueAt, and has room for more of them.
	open func(ctx context.Context, keys []K, more int, load loadFunc[K]) (store[K], error)
}

// The names that figures and charts pick out.
const (
	dataWorker = "DataWorker"
	bareMap    = "bare map"
)

// errMissing is the answer of a look-up that cannot load.
var errMissing = errors.New("bench: key is not held")

// noLoadingCall is the note of tables in which only some can be.
const noLoadingCall = "Those without a loading call are left out."

// errReadOnly is the answer of the bare map to a write: it has no lock.
var errReadOnly = errors.New("bench: a bare map cannot be written while it is read")

// contestants are those that take keys of any type.
func contestants[K key]() []contestant[K] {
	return []contestant[K]{
		{bareMap, false, openBare[K]},
		{dataWorker, true, openDataWorker[K]},
		{"otter", true, openOtter[K]},
		{"theine", true, openTheine[K]},
		{"ristretto", false, openRistretto[K]},
		{"ttlcache", true, openTTLCache[K]},
		{"sync.Map", false, openSyncMap[K]},
		{"RWMutex map", false, openLocked[K]},
	}
}

// stringContestants are all of them; sturdyc has strings for keys.
func stringContestants() []contestant[string] {
	return append(contestants[string](), contestant[string]{"sturdyc", true, openSturdyc})
}

// those keeps the contestants that pick says yes to.
func those[K key](all []contestant[K], pick func(contestant[K]) bool) []contestant[K] {
	var picked []contestant[K]
	for _, c := range all {
		if pick(c) {
			picked = append(picked, c)
		}
	}
	return picked
}

func canLoad[K key](c contestant[K]) bool     { return c.loads }
func canBeSet[K key](c contestant[K]) bool    { return c.name != bareMap }
func isOurs[K key](c contestant[K]) bool      { return c.name == dataWorker }
func isOursOrMap[K key](c contestant[K]) bool { return isOurs(c) || c.name == bareMap }

// neverLoad is the loader where every key is held: a load would be a mistake.
func neverLoad[K key](_ context.Context, key K) (value, error) { return value{}, errMissing }
