package bucket

import (
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// table is what readers share. Any goroutine may read it at any time without
// waiting; only the bucket's actor writes it. It outlives the actor's
// incarnations, not the stop of the bucket.
//
//	key ── index ──▶ slot: key, record      keys that were known when the table was made
//	key ── extra ────────▶ record           keys that came later
//
// The record that a table was made with lies in the slot, beside its key, so that a look-up goes to
// one place in memory. A later one takes its turn in the slot. A key that was removed keeps its slot
// until there is a new index.
type table[K comparable, V any] struct {
	index[K]
	slots []slot[K, V] // by the index
	extra *xsync.Map[K, *record[V]]

	// bypass: the cache is disabled, so only the direct methods read the table.
	bypass bool

	hits *hitCounter // the run's
	gone *record[V]  // stands in the slot of a key that was removed
	*tableCounts

	generation uint64 // its number
	oldest     int64  // when the oldest record was loaded that it was made with, as loadedAt; 0 if there was none
}

// slot is a key of the index with its record.
type slot[K comparable, V any] struct {
	key   K
	later atomic.Pointer[record[V]] // in place of the first, if it is not nil
	first record[V]                 // not changed once the table is published
}

// tableCounts are apart from what readers need: each write would cost them a look into memory.
type tableCounts struct {
	entries, failing atomic.Int64 // records; and those in trouble

	// Of whoever writes the table.
	loose int // keys in extra
	worn  int // slots whose first record is not served
}

// index says which slot a key has, if it has one. It is never changed, and tables with the same keys
// share it.
type index[K comparable] struct {
	seed maphash.Seed
	perfectHash
}

func newTable[K comparable, V any](bypass bool, hits *hitCounter) *table[K, V] {
	t := &table[K, V]{
		extra:       xsync.NewMap[K, *record[V]](),
		bypass:      bypass,
		hits:        hits,
		gone:        new(record[V]),
		tableCounts: &tableCounts{},
	}
	t.seed = maphash.MakeSeed()
	t.perfectHash, _, _ = newPerfectHash(nil)
	return t
}

// slotOf returns the slot of key, if it has one.
func (t *table[K, V]) slotOf(key K) (uint32, bool) {
	place := t.place(maphash.Comparable(t.seed, key))
	if place < uint64(len(t.slots)) && t.slots[place].key == key {
		return uint32(place), true
	}
	return 0, false
}

// held returns the record of a slot; nil if its key has been removed.
func (s *slot[K, V]) held() *record[V] {
	held := s.later.Load()
	if held == nil {
		held = &s.first
	}
	if held.stamp == 0 {
		return nil
	}
	return held
}

// get is slotOf and held in one, which the compiler would not make of them.
func (t *table[K, V]) get(key K) (*record[V], bool) {
	place := t.place(maphash.Comparable(t.seed, key))
	if place < uint64(len(t.slots)) {
		if slot := &t.slots[place]; slot.key == key {
			held := slot.held()
			return held, held != nil
		}
	}
	return t.extra.Load(key)
}

func (t *table[K, V]) len() int { return int(t.entries.Load()) }

// each gives every entry to yield, until that returns false.
func (t *table[K, V]) each(yield func(key K, held *record[V]) bool) {
	for i := range t.slots {
		slot := &t.slots[i]
		if held := slot.held(); held != nil && !yield(slot.key, held) {
			return
		}
	}
	t.extra.Range(yield)
}

// replace swaps the record of key for next, and returns the old one; nil is none.
func (t *table[K, V]) replace(key K, next *record[V]) (old *record[V]) {
	if slot, ok := t.slotOf(key); ok {
		old = t.exchange(slot, next)
	} else {
		var held bool
		if old, held = t.extra.LoadAndStore(key, next); !held {
			old = nil // it is next otherwise
			t.loose++
		}
	}
	t.count(old, next)
	return old
}

func (t *table[K, V]) remove(key K) (old *record[V]) {
	if slot, ok := t.slotOf(key); ok {
		old = t.exchange(slot, t.gone)
	} else {
		var held bool
		if old, held = t.extra.LoadAndDelete(key); held {
			t.loose--
		}
	}
	t.count(old, nil)
	return old
}

// exchange swaps the record of a slot for next, and returns the old one; nil is none.
func (t *table[K, V]) exchange(at uint32, next *record[V]) (old *record[V]) {
	slot := &t.slots[at]
	old = slot.held()
	if old == &slot.first {
		t.worn++
	}
	slot.later.Store(next)
	return old
}

// count notes that one record has taken the place of another; nil is none.
func (t *table[K, V]) count(old, next *record[V]) {
	entries, failing := next.weight()
	oldEntries, oldFailing := old.weight()
	if entries != oldEntries {
		t.entries.Add(entries - oldEntries)
	}
	if failing != oldFailing {
		t.failing.Add(failing - oldFailing)
	}
}

// older is when the older was loaded of what was loaded at oldest, if that is not 0, and next.
func older[V any](oldest int64, next *record[V]) int64 {
	if next != nil && (oldest == 0 || next.loadedAt < oldest) {
		return next.loadedAt
	}
	return oldest
}

// oldestTime returns when the oldest record was loaded; t may be nil.
func (t *table[K, V]) oldestTime() time.Time {
	if t == nil || t.oldest == 0 {
		return time.Time{}
	}
	return time.Unix(0, t.oldest)
}

// countFailing returns how many records are in trouble; t may be nil.
func (t *table[K, V]) countFailing() int {
	if t == nil {
		return 0
	}
	return int(t.failing.Load())
}
