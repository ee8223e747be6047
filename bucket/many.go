package bucket

import (
	"context"
	"errors"
	"runtime/debug"
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// manyLoader loads many keys in one go: a [loader.BatchLoader], or a look into what a
// [loader.AllLoader] gave.
type manyLoader[K comparable, V any] func(ctx context.Context, keys []K) (map[K]V, error)

// brought is what a load of many keys brought of one of them.
type brought[K comparable, V any] struct {
	outcome outcome[K, V]
	failure *failure
}

// loadMany loads the slots that the worker has taken, in one go.
func (w *worker[K, V]) loadMany() bool {
	p := w.pass
	from, to := w.at, w.to
	w.at = to // one behind the last is lost with the worker, if it is
	slots, held := w.slots[:0:0], make([]*record[V], 0, to-from)
	keys := make([]K, 0, to-from)
	for slot := from; slot < to; slot++ {
		if !p.claimSlot(slot) {
			continue
		}
		record, ok := p.held(slot)
		if !ok && p.all == nil { // removed; what the source gives in one go may bring it back
			p.emptied(&w.tally, slot)
			continue
		}
		slots, held, keys = append(slots, slot), append(held, record), append(keys, p.keys[slot])
	}
	if len(slots) == 0 {
		return true
	}
	w.slots = slots
	ctx := w.begin()
	answers, found := w.guardedMany(ctx, keys, held)
	if !w.end() {
		return false
	}
	w.tally.found += found
	for i, slot := range slots {
		if _, still := p.held(slot); still || held[i] == nil {
			p.settle(&w.tally, slot, held[i], answers[i].outcome, answers[i].failure)
		}
		p.filled(&w.tally, slot, answers[i].outcome, answers[i].failure)
	}
	return true
}

// guardedMany is a load of many keys that survives what it does, but for runtime.Goexit: then
// all of them have failed.
func (w *worker[K, V]) guardedMany(ctx context.Context, keys []K, held []*record[V]) (answers []brought[K, V], found int) {
	defer func() {
		if p := recover(); p != nil {
			f := &failure{&loader.PanicError{Value: p, Stack: debug.Stack()}, panicked}
			answers = make([]brought[K, V], len(keys))
			for i := range answers {
				answers[i].failure = f
			}
		}
	}()
	asked := keys
	if w.pass.all == nil { // a loader may keep what it is given, or change it
		asked = append([]K(nil), keys...)
	}
	values, err := w.pass.many(ctx, asked)
	if err != nil {
		err = loader.LateError(ctx, err)
	} else {
		err = loader.ErrNotFound // of what is absent
	}
	answers = make([]brought[K, V], len(keys))
	for i, key := range keys {
		value, ok := values[key]
		if ok {
			found++
		}
		answers[i] = w.answerOf(ctx, key, held[i], value, ok, err)
	}
	return answers, found
}

// answerOf is what a load of many keys says of one of them: that value, or that error.
func (w *worker[K, V]) answerOf(ctx context.Context, key K, held *record[V], value V, ok bool, absent error) (b brought[K, V]) {
	var err error
	if !ok {
		err = absent
	}
	bucket := w.pass.run.bucket
	if filter := bucket.companions.RefreshFilter; filter != nil {
		value, err = filter.FilterRefresh(ctx, key, value, err)
	}
	switch {
	case err == nil:
		b.outcome = outcome[K, V]{value: value, same: held != nil && bucket.equal(held.value, value)}
	case errors.Is(err, loader.ErrUnchanged) && held != nil:
		b.outcome = outcome[K, V]{verdict: unchanged, value: held.value}
	default:
		b.failure = classify(err)
	}
	return b
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
	all, err := w.guardedAll(ctx)
	if !w.end() {
		return false
	}
	w.all = false
	if err != nil {
		p.failAll(w, classify(err))
		return true
	}
	p.whole, p.all = false, all
	p.many = func(context.Context, []K) (map[K]V, error) { return all, nil }
	p.run.tell(&keysMapped[K, V]{p}) // for more workers
	w.tally.filled++
	return true
}

// guardedAll is a load of everything that survives what it does, but for runtime.Goexit.
func (w *worker[K, V]) guardedAll(ctx context.Context) (all map[K]V, err error) {
	defer func() {
		if p := recover(); p != nil {
			all, err = nil, &loader.PanicError{Value: p, Stack: debug.Stack()}
		}
	}()
	all, err = w.pass.run.bucket.companions.AllLoader.LoadAll(ctx)
	if err != nil {
		return nil, loader.LateError(ctx, err)
	}
	if all == nil {
		all = map[K]V{}
	}
	return all, nil
}

// addRest adds what the source gave in one go and has no slot, as far as the filter lets it
// pass. If all keys of it have been found among the slots, there is nothing to look for.
func (p *pass[K, V]) addRest() {
	if p.all == nil || p.found == len(p.all) {
		return
	}
	rest, err := loader.Call(p.ctx, p.config.LoadTimeout, func(ctx context.Context) (map[K]V, error) {
		rest := make(map[K]V, len(p.all)-p.found)
		for key, value := range p.all {
			if _, ok := p.slotOf[key]; !ok {
				rest[key] = value
			}
		}
		if filter := p.run.bucket.companions.RefreshFilter; filter != nil {
			rest = filterRelated(ctx, filter, rest)
		}
		return rest, nil
	})
	if err != nil { // of the filter
		p.refuse = err
		return
	}
	var t tally[K, V]
	now := time.Now()
	for key, value := range rest {
		p.add(&t, key, value, now)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.report.add(t.report)
}

// failAll is for a load of everything that brought nothing. The source may say that nothing
// has changed; that there is nothing, it says with an empty map and not with an error.
func (p *pass[K, V]) failAll(w *worker[K, V], f *failure) {
	p.whole = false
	var o outcome[K, V]
	switch {
	case isUnchanged(f.err):
		o.verdict, f = unchanged, nil
	case f.kind == notFound:
		f = &failure{f.err, failed}
	}
	for slot := range uint32(len(p.claims)) {
		if !p.claimSlot(slot) {
			continue
		}
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

// isUnchanged looks into an error, whose methods may panic.
func isUnchanged(err error) (is bool) {
	defer func() { _ = recover() }()
	return errors.Is(err, loader.ErrUnchanged)
}
