package bucket

import (
	"maps"
	"math"
	"slices"
)

// meanwhile is what happens to keys while a pass loads them: callers write them, and loads of the
// actor's bring them. Of two words about a key the one counts that was asked for later:
//
//	the table's    what a caller wrote, or else a load that began at a time that was noted
//	the pass's     the load of its slot, or the one that brought it besides, or that of everything
//
// A key has one load at a time, so that of a slot and the actor's of the same key come one behind
// the other, and the claims tell which is the later one. It takes more only where a load brings
// keys that it was not asked for.
type meanwhile[K comparable] struct {
	askedAt map[K]uint64 // run.now when what the table has got for a key was asked for, or byHand
	failed  map[K]error  // a load of the actor's brought nothing of a key that the pass had loaded
}

// byHand is later than every load.
const byHand = math.MaxUint64

// origins say when the loads of a pass began, for sources that bring keys they were not asked for.
// They are numbers of run.now; zero is for a load that brought nothing.
type origins[K comparable] struct {
	slotOf func(K) (uint32, bool)
	slots  []uint64
	added  map[K]uint64 // of keys without a slot
	fresh  map[K]uint64 // the actor's, of keys whose slots are still to be loaded
}

// of returns when the load began that brought key; o may be nil.
func (o *origins[K]) of(key K) uint64 {
	if o == nil {
		return 0
	}
	if slot, ok := o.slotOf(key); ok {
		return o.slots[slot]
	}
	return o.added[key]
}

// set notes when the load of a slot began; o may be nil.
func (o *origins[K]) set(slot uint32, at uint64) {
	if o != nil {
		o.slots[slot] = at
	}
}

// answers says whether a pass brings nothing that is older than now: neither what its loads bring,
// nor what wins over that.
func (p *pass[K, V]) answers() bool { return !p.reading && len(p.askedAt) == 0 }

// noteWritten says that a caller has written a key.
func (p *pass[K, V]) noteWritten(key K) {
	if p != nil {
		p.askedAt[key] = byHand
	}
}

// noteLoaded says that a load of the actor's, which began at that time, has brought a key.
func (p *pass[K, V]) noteLoaded(key K, at uint64) {
	switch {
	case p == nil:
	case !p.loadsLater(key):
		p.askedAt[key] = max(p.askedAt[key], at)
	case p.origins != nil:
		p.mu.Lock()
		defer p.mu.Unlock()
		p.origins.fresh[key] = max(p.origins.fresh[key], at)
	}
}

// loadsLater says whether the pass will load key from now on.
func (p *pass[K, V]) loadsLater(key K) bool {
	if !p.reading || p.ofAll {
		return false
	}
	slot, ok := p.old.slotOf(key)
	if !ok {
		return false
	}
	switch p.claims[slot].Load() {
	case claimFree, claimFlying, claimAwaited:
		return true
	default:
		return false
	}
}

// noteMapped forgets loads of keys that turn out to have a slot.
func (p *pass[K, V]) noteMapped() {
	maps.DeleteFunc(p.askedAt, func(key K, at uint64) bool { return at != byHand && p.loadsLater(key) })
}

// noteFailed says that a load of the actor's has brought nothing of a key that is held. If the pass
// has loaded it before, that stays, and is in trouble; t is nil if it is not.
func (p *pass[K, V]) noteFailed(key K, t *trouble, f *flight[K, V]) {
	if p == nil || !p.reading || f.riding || p.ofAll && f.at < p.allAt.Load() {
		return
	}
	slot, ok := p.old.slotOf(key)
	switch {
	case !ok || p.claims[slot].Load() != claimDone:
	case t == nil:
		delete(p.failed, key)
	default:
		p.failed[key] = t.err
	}
}

// keeps says whether the table's word about a key is later than the pass's, or the pass has none.
func (p *pass[K, V]) keeps(key K, at uint64) bool {
	if p.all == nil {
		return at > p.origins.of(key)
	}
	_, but := p.but[key]
	return but || at > p.allAt.Load()
}

// noteIn puts something into a map that is made when it is needed.
func noteIn[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}

// keepUp does to the next generation what the table has seen since the pass began. What wins is
// marked byHand.
func (p *pass[K, V]) keepUp() {
	for key, at := range p.askedAt {
		if !p.keeps(key, at) {
			continue
		}
		p.askedAt[key] = byHand
		delete(p.failed, key)
		if held, ok := p.run.table.get(key); ok {
			p.next.replace(key, held)
		} else {
			p.next.remove(key)
		}
	}
	for key, err := range p.failed {
		if held, ok := p.next.get(key); ok {
			p.next.replace(key, new(held.failed(err)))
		}
	}
}

// news are the changes from what the table holds to the next generation. What the table has seen
// since the pass began has been told.
func (p *pass[K, V]) news() []Change[K, V] {
	if len(p.askedAt) == 0 {
		return p.changes
	}
	changes := slices.DeleteFunc(p.changes, func(c Change[K, V]) bool {
		_, touched := p.askedAt[c.Key]
		return touched
	})
	for key, at := range p.askedAt {
		if at == byHand {
			continue
		}
		held, _ := p.run.table.get(key)
		brought, _ := p.next.get(key)
		if change, different := p.run.changed(key, held, brought); different {
			changes = append(changes, change)
		}
	}
	return changes
}
