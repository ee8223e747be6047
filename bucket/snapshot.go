package bucket

import "iter"

// Snapshot is a view of one generation of a bucket. It stays on it while the bucket goes on to
// the next: what a full refresh changes is seen whole, or not at all. What callers write, and
// what is loaded for them, may be seen for a while, at the longest until the next generation is
// published.
//
// It may be used by many goroutines, and needs no closing. It keeps its generation in memory.
type Snapshot[K comparable, V any] struct {
	table *table[K, V] // nil while the bucket did not run
	keys  keyRule[K]
}

// Snapshot returns a view of the present generation; an empty one if the bucket does not run.
// It costs nothing.
func (b *Bucket[K, V]) Snapshot() Snapshot[K, V] {
	return Snapshot[K, V]{table: b.table.Load(), keys: b.keys}
}

// Generation is the number of the generation: that of its [Report]; zero if the bucket did not run.
func (s Snapshot[K, V]) Generation() uint64 {
	if s.table == nil {
		return 0
	}
	return s.table.generation
}

// Len returns how many entries there are.
func (s Snapshot[K, V]) Len() int {
	if s.table == nil {
		return 0
	}
	return s.table.len()
}

// Get returns the value of key, if it is there. It never asks the loader.
func (s Snapshot[K, V]) Get(key K) (V, bool) {
	if held, ok := s.record(key); ok {
		return held.value, true
	}
	var none V
	return none, false
}

// Entry returns all that is known about key, if it is there.
func (s Snapshot[K, V]) Entry(key K) (Entry[V], bool) {
	if held, ok := s.record(key); ok {
		return held.entry(), true
	}
	return Entry[V]{}, false
}

// All iterates over the entries, in no particular order.
func (s Snapshot[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		if s.table != nil {
			s.table.each(func(key K, held *record[V]) bool { return yield(key, held.value) })
		}
	}
}

func (s Snapshot[K, V]) record(key K) (*record[V], bool) {
	if s.table == nil || !s.keys.hashable(key) {
		return nil, false
	}
	return s.table.get(key)
}
