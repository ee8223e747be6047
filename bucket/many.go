package bucket

import (
	"context"
	"errors"
	"runtime/debug"
	"slices"

	"github.com/dataworker-go/dataworker/loader"
)

// brought is what a load of many keys brought of one of them.
type brought[V any] struct {
	value   V
	verdict verdict
	same    bool // as outcome.same
	failure *failure
}

// manyTerms say how the answer to a load of many keys is taken.
type manyTerms[K comparable, V any] struct {
	keys  []K
	held  []*record[V] // of keys that are loaded again; nil if they are missing
	again bool         // the filter is asked
	into  []brought[V] // for the answers; has their length
}

// loadMany loads the slots that the worker has taken, in one go.
func (w *worker[K, V]) loadMany() bool {
	p := w.pass
	from, to := w.at, w.to
	w.at = to // one behind the last is lost with the worker, if it is
	terms := &w.many
	terms.again = true
	slots, held, keys := w.slots[:0], terms.held[:0], terms.keys[:0]
	for slot := from; slot < to; slot++ {
		if !p.claimSlot(slot) {
			continue
		}
		record, ok := p.held(slot)
		if !ok && p.all == nil { // removed; what the source gives in one go may bring it back
			p.emptied(&w.tally, slot)
			continue
		}
		slots, held, keys = append(slots, slot), append(held, record), append(keys, p.old.slots[slot].key)
	}
	w.slots, terms.held, terms.keys = slots, held, keys
	if len(slots) == 0 {
		return true
	}
	terms.into = slices.Grow(terms.into[:0], len(slots))[:len(slots)]
	ctx := w.begin()
	found := w.guardedMany(ctx, terms)
	if !w.end() {
		return false
	}
	w.tally.found += found
	for i, slot := range slots {
		answer := &terms.into[i]
		o := outcome[K, V]{value: answer.value, verdict: answer.verdict, same: answer.same}
		if held[i] != nil {
			o.against = held[i].stamp.version()
		}
		if _, still := p.held(slot); still || held[i] == nil {
			p.settle(&w.tally, slot, held[i], o, answer.failure)
		}
		p.filled(&w.tally, slot, o, answer.failure)
	}
	clear(terms.into)
	clear(held)
	return true
}

// guardedMany is a load of many keys that survives what it does, but for runtime.Goexit: then
// all of them have failed.
func (w *worker[K, V]) guardedMany(ctx context.Context, terms *manyTerms[K, V]) (found int) {
	defer func() {
		if p := recover(); p != nil {
			f := &failure{&loader.PanicError{Value: p, Stack: debug.Stack()}, panicked}
			for i := range terms.into {
				terms.into[i] = brought[V]{failure: f}
			}
		}
	}()
	if all := w.pass.all; all != nil {
		return w.pass.run.takeMany(ctx, terms, all, nil)
	}
	return w.pass.run.loadMany(ctx, terms)
}

// loadMissing loads keys that are missing, in one go.
func (r *run[K, V]) loadMissing(ctx context.Context, keys []K) []brought[V] {
	terms := &manyTerms[K, V]{keys: keys, into: make([]brought[V], len(keys))}
	r.loadMany(ctx, terms)
	return terms.into
}

func (r *run[K, V]) loadMany(ctx context.Context, terms *manyTerms[K, V]) (found int) {
	asked := slices.Clone(terms.keys) // a loader may keep what it is given, or change it
	values, err := r.bucket.companions.BatchLoader.LoadBatch(ctx, asked)
	if err != nil {
		err = loader.LateError(ctx, err)
	}
	return r.takeMany(ctx, terms, values, err)
}

// takeMany says what a load of many keys says of each of them. What is absent has failed with
// err; if there is none, it was not found.
func (r *run[K, V]) takeMany(ctx context.Context, terms *manyTerms[K, V], values map[K]V, err error) (found int) {
	if err == nil {
		err = loader.ErrNotFound
	}
	none := absenceFor[V](err)
	filter := r.bucket.companions.RefreshFilter
	for i, key := range terms.keys {
		value, ok := values[key]
		if ok {
			found++
		}
		var held *record[V]
		if terms.held != nil {
			held = terms.held[i]
		}
		var failed error
		switch {
		case terms.again && filter != nil && (ok || held != nil): // or there is nothing to ask about
			if !ok {
				failed = err
			}
			if value, failed = filter.FilterRefresh(ctx, key, value, failed); failed != nil {
				terms.into[i] = absenceFor[V](failed).of(held)
				continue
			}
		case !ok:
			terms.into[i] = none.of(held)
			continue
		}
		terms.into[i] = brought[V]{value: value, same: held != nil && r.equal(held.value, value)}
	}
	return found
}

// absence is what an error says of a key that a load of many keys did not bring.
type absence[V any] struct {
	unchanged bool
	failure   *failure
}

// absenceFor looks into err, whose methods may do what they like.
func absenceFor[V any](err error) absence[V] {
	return absence[V]{errors.Is(err, loader.ErrUnchanged), classify(err)}
}

func (a absence[V]) of(held *record[V]) brought[V] {
	switch {
	case a.unchanged && held != nil:
		return brought[V]{verdict: unchanged, value: held.value}
	case a.unchanged:
		return brought[V]{failure: classify(errNotHeld(a.failure.err))}
	default:
		return brought[V]{failure: a.failure}
	}
}

// loadAll loads everything in one go, and then has workers compare it with what is held. It
// says whether this one can go on.
func (w *worker[K, V]) loadAll() bool {
	p := w.pass
	if !w.yield() || !w.pace() {
		return false
	}
	w.slots, w.all = nil, true
	ctx := w.begin()
	p.allAt.Store(p.run.now.Add(1))
	all, nothing := w.guardedAll(ctx)
	if !w.end() {
		return false
	}
	w.all = false
	if all == nil {
		p.failAll(w, nothing)
		return true
	}
	p.whole, p.many, p.all, p.gaveAt = false, true, all, w.tally.ended
	p.run.tell(&keysMapped[K, V]{p}) // for more workers
	w.tally.filled++
	return true
}

// guardedAll is a load of everything that survives what it does, but for runtime.Goexit.
func (w *worker[K, V]) guardedAll(ctx context.Context) (all map[K]V, nothing absence[V]) {
	defer func() {
		if p := recover(); p != nil {
			all, nothing = nil, absenceFor[V](&loader.PanicError{Value: p, Stack: debug.Stack()})
		}
	}()
	all, err := w.pass.run.bucket.companions.AllLoader.LoadAll(ctx)
	switch {
	case err != nil:
		return nil, absenceFor[V](loader.LateError(ctx, err))
	case all == nil:
		return map[K]V{}, nothing
	default:
		return all, nothing
	}
}

// addRest adds what the source gave in one go and has no slot, as far as the filter lets it
// pass. If all keys of it have been found among the slots, there is nothing to look for.
func (p *pass[K, V]) addRest() {
	if p.all == nil || p.found == len(p.all) {
		return
	}
	type divided struct {
		rest map[K]V
		but  map[K]struct{} // refused by the filter
	}
	filter := p.run.bucket.companions.RefreshFilter
	found, err := loader.Call(p.ctx, p.config.LoadTimeout, func(ctx context.Context) (d divided, err error) {
		d = divided{rest: make(map[K]V, len(p.all)-p.found), but: make(map[K]struct{})}
		for key, value := range p.all {
			if _, ok := p.old.slotOf(key); ok {
				continue
			}
			var refused error
			if filter != nil {
				value, refused = filter.FilterRefresh(ctx, key, value, nil)
			}
			switch {
			case refused == nil:
				d.rest[key] = value
			case !errors.Is(refused, loader.ErrNotFound):
				d.but[key] = struct{}{}
			}
		}
		return d, nil
	})
	if err != nil { // of the filter
		p.refuse = err
		return
	}
	var t tally[K, V]
	for key, value := range found.rest {
		p.add(&t, key, value, p.gaveAt)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for key := range found.but {
		noteIn(&p.but, key, struct{}{})
	}
	p.report.add(t.report)
}

// failAll is for a load of everything that brought nothing. The source may say that nothing
// has changed; that there is nothing, it says with an empty map and not with an error.
func (p *pass[K, V]) failAll(w *worker[K, V], nothing absence[V]) {
	p.whole = false
	var o outcome[K, V]
	f := nothing.failure
	switch {
	case nothing.unchanged:
		o.verdict, f = unchanged, nil
	case f.kind == notFound:
		f = &failure{f.err, failed}
	}
	for slot := range uint32(len(p.claims)) { // whoever loads one of them wins
		held, ok := p.held(slot)
		if !ok {
			p.emptied(&w.tally, slot)
			continue
		}
		o.value = held.value
		p.settle(&w.tally, slot, held, o, f)
		p.filled(&w.tally, slot, o, f)
	}
	w.tally.filled++
}
