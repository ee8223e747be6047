package bucket

import (
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// table is what readers share. Any goroutine may read it at any time without
// waiting; only the bucket's actor writes it. It outlives the actor's
// incarnations, not the stop of the bucket.
//
//	key ── index ──▶ slot ──▶ record      keys that were known when the table was made
//	key ── extra ──────────▶ record       keys that came later
//
// The index is a plain map that is never changed, so that to look into it costs what a map
// costs, and tables with the same keys share it. A record is replaced in its slot. A key that
// was removed stays in the index until there is a new one.
type table[K comparable, V any] struct {
	index[K]
	slots []atomic.Pointer[record[V]] // by the index; nil if the key has been removed
	extra *xsync.Map[K, *record[V]]

	entries atomic.Int64
	failing atomic.Int64 // records with trouble

	// bypass: the cache is disabled, so only the direct methods read the table.
	bypass bool

	generation uint64 // its number
	oldest     int64  // when the oldest record was loaded that it was made with, as loadedAt; 0 if there was none

	hits *xsync.Counter // the run's
}

// index says in which slot the record of a key is. It is never changed.
type index[K comparable] struct {
	slotOf map[K]uint32
	keys   []K // of the slots
}

func newTable[K comparable, V any](bypass bool, hits *xsync.Counter) *table[K, V] {
	return &table[K, V]{
		index:  index[K]{},
		extra:  xsync.NewMap[K, *record[V]](),
		bypass: bypass,
		hits:   hits,
	}
}

func (t *table[K, V]) get(key K) (*record[V], bool) {
	if slot, ok := t.slotOf[key]; ok {
		held := t.slots[slot].Load()
		return held, held != nil
	}
	return t.extra.Load(key)
}

func (t *table[K, V]) len() int { return int(t.entries.Load()) }

// each gives every entry to yield, until that returns false.
func (t *table[K, V]) each(yield func(key K, held *record[V]) bool) {
	for slot := range t.slots {
		if held := t.slots[slot].Load(); held != nil && !yield(t.keys[slot], held) {
			return
		}
	}
	t.extra.Range(yield)
}

// replace swaps the record of key for next, and returns the old one; nil is none.
func (t *table[K, V]) replace(key K, next *record[V]) (old *record[V]) {
	if slot, ok := t.slotOf[key]; ok {
		old = t.slots[slot].Swap(next)
	} else {
		var held bool
		if old, held = t.extra.LoadAndStore(key, next); !held {
			old = nil // it is next otherwise
		}
	}
	t.count(old, next)
	return old
}

func (t *table[K, V]) remove(key K) (old *record[V]) {
	if slot, ok := t.slotOf[key]; ok {
		old = t.slots[slot].Swap(nil)
	} else {
		old, _ = t.extra.LoadAndDelete(key)
	}
	t.count(old, nil)
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

func (r *record[V]) weight() (entries, failing int64) {
	switch {
	case r == nil:
		return 0, 0
	case r.trouble != nil:
		return 1, 1
	default:
		return 1, 0
	}
}

// tableMaker makes a table of many entries at once. It belongs to one goroutine.
type tableMaker[K comparable, V any] struct {
	index[K]
	slots []atomic.Pointer[record[V]]
}

func newTableMaker[K comparable, V any](entries int) *tableMaker[K, V] {
	return &tableMaker[K, V]{
		index: index[K]{slotOf: make(map[K]uint32, entries), keys: make([]K, 0, entries)},
		slots: make([]atomic.Pointer[record[V]], 0, entries),
	}
}

func (m *tableMaker[K, V]) put(key K, next *record[V]) {
	if slot, ok := m.slotOf[key]; ok {
		m.slots[slot].Store(next)
		return
	}
	slot := len(m.keys)
	m.slotOf[key] = uint32(slot)
	m.keys, m.slots = append(m.keys, key), append(m.slots, atomic.Pointer[record[V]]{})
	m.slots[slot].Store(next)
}

func (m *tableMaker[K, V]) remove(key K) {
	if slot, ok := m.slotOf[key]; ok {
		m.slots[slot].Store(nil)
	}
}

// table returns what was put. The maker must not be used any more.
func (m *tableMaker[K, V]) table(bypass bool, hits *xsync.Counter) *table[K, V] {
	t := newTable[K, V](bypass, hits)
	t.index, t.slots = m.index, m.slots
	for slot := range t.slots {
		made := t.slots[slot].Load()
		t.count(nil, made)
		t.oldest = older(t.oldest, made)
	}
	return t
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

// thin makes a new index when most keys of the present one have been removed: it holds on to
// them. A refresh and a rewrite of the file go by the table that they began with, so it does
// not while one is at work.
func (r *run[K, V]) thin() {
	t := r.table
	sparse := len(t.keys) > fewRemoved && 2*t.len() < len(t.keys)
	if !sparse || r.pass != nil || r.keeper != nil && r.keeper.rewriting {
		return
	}
	next := t.indexed()
	next.generation = t.generation
	r.table = next
	r.bucket.table.CompareAndSwap(t, next)
}

// fewRemoved is how many keys an index may hold on to.
const fewRemoved = 1024

// indexed returns t, or a table with the same entries that has them all in its index.
func (t *table[K, V]) indexed() *table[K, V] {
	if t.extra.Size() == 0 && 2*t.len() >= len(t.keys) {
		return t
	}
	m := newTableMaker[K, V](t.len())
	t.each(func(key K, held *record[V]) bool { m.put(key, held); return true })
	return m.table(t.bypass, t.hits)
}
