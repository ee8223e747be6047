package bucket

import "hash/maphash"

// tableMaker makes a table of many entries at once. It belongs to one goroutine.
type tableMaker[K comparable, V any] struct{ slots []slot[K, V] }

func newTableMaker[K comparable, V any](entries int) *tableMaker[K, V] {
	return &tableMaker[K, V]{slots: make([]slot[K, V], 0, entries)}
}

// add adds an entry whose key has not come before, and returns where it is.
func (m *tableMaker[K, V]) add(key K, made record[V]) (at int) {
	at = len(m.slots)
	m.slots = append(m.slots, slot[K, V]{})
	m.slots[at].key, m.slots[at].first = key, made
	return at
}

// table returns what was added. The maker must not be used any more.
func (m *tableMaker[K, V]) table(bypass bool, hits *hitCounter) *table[K, V] {
	t := newTable[K, V](bypass, hits)
	t.slots = m.slots
	m.dropGone(t)
	hashes := make([]uint64, len(t.slots))
	for {
		for i := range t.slots {
			hashes[i] = maphash.Comparable(t.seed, t.slots[i].key)
		}
		placed, places, ok := newPerfectHash(hashes)
		if ok {
			t.perfectHash = placed
			t.arrange(places)
			return t
		}
		t.seed = maphash.MakeSeed() // once in some 100 000 tables of 10 million
	}
}

// dropGone closes the gaps of what was removed, and counts the rest.
func (m *tableMaker[K, V]) dropGone(t *table[K, V]) {
	kept := 0
	for i := range t.slots {
		from := &t.slots[i]
		if from.first.stamp == 0 {
			continue
		}
		t.count(nil, &from.first)
		t.oldest = older(t.oldest, &from.first)
		if to := &t.slots[kept]; i != kept {
			to.key, to.first = from.key, from.first
		}
		kept++
	}
	clear(t.slots[kept:])
	t.slots = t.slots[:kept:kept]
}

// arrange moves each slot to its place.
func (t *table[K, V]) arrange(places []uint32) {
	for i := range places {
		a := &t.slots[i]
		for place := places[i]; int(place) != i; place = places[i] {
			b := &t.slots[place]
			a.key, b.key = b.key, a.key
			a.first, b.first = b.first, a.first
			places[i], places[place] = places[place], place
		}
	}
}

// remade returns a table with the same entries that has them all in its slots, and no others.
func (t *table[K, V]) remade() *table[K, V] {
	m := newTableMaker[K, V](t.len())
	t.each(func(key K, held *record[V]) bool {
		m.add(key, *held)
		return true
	})
	return m.table(t.bypass, t.hits)
}

// successor returns an empty table with the same keys in its index.
func (t *table[K, V]) successor() *table[K, V] {
	next := newTable[K, V](t.bypass, t.hits)
	next.index = t.index
	next.slots = make([]slot[K, V], len(t.slots))
	for i := range next.slots {
		next.slots[i].key = t.slots[i].key
	}
	return next
}
