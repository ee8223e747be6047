package bucket

import "slices"

// meanwhile is what happens to keys while a pass loads them. The younger wins, as far as one can
// know: what callers write; what a load brought that began after the pass had begun its own of the
// key; and what has no slot, so that the pass does not load it.
//
// A load of everything knows of keys that have no slot, too. So a load of one key that began before
// it wins only if that load of everything fails.
type meanwhile[K comparable] struct {
	written map[K]struct{} // what the table holds for these keys wins
	landed  map[K]struct{} // loaded before the keys were mapped
	older   map[K]struct{} // loaded, by loads that began before that of everything
	failed  map[K]error    // the load of a caller, of a key that the pass had loaded
}

// answers says whether a pass brings nothing that is older than now: neither what its loads bring,
// nor what wins over that.
func (p *pass[K, V]) answers() bool {
	return !p.reading && len(p.written)+len(p.landed) == 0
}

// noteWritten says that a caller has written a key. That wins over what is loaded.
func (p *pass[K, V]) noteWritten(key K) {
	if p != nil {
		p.written[key] = struct{}{}
	}
}

// noteLoaded says that a load of the actor's, which began at that time, has brought a key. That
// wins if the pass had begun to load it before, or does not.
func (p *pass[K, V]) noteLoaded(key K, at uint64) {
	if p == nil {
		return
	}
	if !p.reading {
		p.landed[key] = struct{}{}
		return
	}
	slot, ok := p.slotOf[key]
	switch all := p.allAt.Load(); {
	case p.run.bucket.companions.AllLoader == nil && ok && p.toBeLoaded(slot):
	case p.run.bucket.companions.AllLoader != nil && (all == 0 || at < all):
		noteIn(&p.older, key, struct{}{})
	default:
		p.written[key] = struct{}{}
	}
}

// toBeLoaded says whether the load of a slot has not begun.
func (p *pass[K, V]) toBeLoaded(slot uint32) bool {
	switch p.claims[slot].Load() {
	case claimFree, claimFlying, claimAwaited:
		return true
	default:
		return false
	}
}

// noteFailed says that a load of the actor's has brought nothing of a key that is held. If the pass
// has loaded it before, that stays.
func (p *pass[K, V]) noteFailed(key K, t *trouble, f *flight[K, V]) {
	if p == nil || !p.reading || f.riding {
		return
	}
	slot, ok := p.slotOf[key]
	switch {
	case !ok || p.claims[slot].Load() != claimDone:
	case t == nil:
		delete(p.failed, key)
	default:
		noteIn(&p.failed, key, t.err)
	}
}

// noteIn puts something into a map that is made when it is needed.
func noteIn[K comparable, V any](m *map[K]V, key K, value V) {
	if *m == nil {
		*m = make(map[K]V)
	}
	(*m)[key] = value
}

// keepUp does to the next generation what the one before has seen since the pass began.
func (p *pass[K, V]) keepUp() {
	next := p.next
	for key, err := range p.failed {
		if held, ok := next.get(key); ok {
			next.replace(key, held.failed(err))
		}
	}
	if p.all == nil {
		p.keep(p.older)
	}
	p.keep(p.written)
}

// keep has the next generation hold what the one before does.
func (p *pass[K, V]) keep(keys map[K]struct{}) {
	for key := range keys {
		if held, ok := p.run.table.get(key); ok {
			p.next.replace(key, held)
		} else {
			p.next.remove(key)
		}
	}
}

// unwritten are the changes that the pass makes to what the table holds. Those of keys which were
// written meanwhile have been told.
func (p *pass[K, V]) unwritten() []Change[K, V] {
	if len(p.written)+len(p.older) == 0 {
		return p.changes
	}
	changes := slices.DeleteFunc(p.changes, func(c Change[K, V]) bool {
		_, written := p.written[c.Key]
		_, older := p.older[c.Key]
		return written || older
	})
	for key := range p.older { // one that was written, too, holds what it held
		held, _ := p.run.table.get(key)
		brought, _ := p.next.get(key)
		if change, different := p.run.changed(key, held, brought); different {
			changes = append(changes, change)
		}
	}
	return changes
}
