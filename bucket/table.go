package bucket

import (
	"sync/atomic"

	"github.com/puzpuzpuz/xsync/v4"
)

// table is what readers share. Any goroutine may read it at any time without
// waiting; only the bucket's actor writes it. It outlives the actor's
// incarnations, not the stop of the bucket.
//
// Records are replaced one by one. This is the place where whole generations come
// in: a full refresh then fills a table beside this one and swaps the pointer in
// Bucket.table.
type table[K comparable, V any] struct {
	records *xsync.Map[K, *record[V]]

	// bypass: the cache is disabled, so only the direct methods read the table.
	bypass bool

	hits *xsync.Counter // the run's

	failing atomic.Int64 // records with trouble
	version uint64       // of the last value saved; the actor's
}

func newTable[K comparable, V any](bypass bool, hits *xsync.Counter) *table[K, V] {
	return &table[K, V]{
		records: xsync.NewMap[K, *record[V]](),
		bypass:  bypass,
		hits:    hits,
	}
}

func (t *table[K, V]) get(key K) (*record[V], bool) { return t.records.Load(key) }

func (t *table[K, V]) len() int { return t.records.Size() }

// replace swaps the record of key for next.
func (t *table[K, V]) replace(key K, next *record[V]) {
	old, held := t.records.LoadAndStore(key, next)
	t.countTrouble(old, held, -1)
	t.countTrouble(next, true, +1)
}

func (t *table[K, V]) remove(key K) {
	old, held := t.records.LoadAndDelete(key)
	t.countTrouble(old, held, -1)
}

func (t *table[K, V]) countTrouble(r *record[V], held bool, by int64) {
	if held && r.trouble != nil {
		t.failing.Add(by)
	}
}
