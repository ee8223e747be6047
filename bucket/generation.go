package bucket

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/loader"
)

// tally is what a worker has done since it was last added up.
type tally[K comparable, V any] struct {
	report           Report
	filled           int64          // slots
	entries, failing int64          // of the records in them
	began, ended     time.Time      // of the call
	at               uint64         // run.now when it began, if the pass has origins
	oldest           int64          // of the records, as table.oldest
	found            int            // of what the source gave in one go
	but              []K            // of which that brought nothing
	changes          []Change[K, V] // for the watchers
}

// put fills a slot of the next generation. One that is not filled stays empty.
func (p *pass[K, V]) put(t *tally[K, V], slot uint32, next record[V]) {
	made := &p.next.slots[slot].first
	*made = next
	entries, failing := made.weight()
	t.entries += entries
	t.failing += failing
	t.oldest = older(t.oldest, made)
}

// settle says what a load does to the next generation. Only the worker that claimed the slot
// may call it.
func (p *pass[K, V]) settle(t *tally[K, V], slot uint32, held *record[V], o outcome[K, V], f *failure) {
	counters := &p.run.counters
	switch {
	case f != nil:
		p.settleFailure(t, slot, held, f)
		return
	case counters.failedInARow.Load() != 0:
		counters.failedInARow.Store(0)
	}
	now := t.ended
	switch {
	case o.verdict == unchanged:
		t.report.Unchanged++
		p.put(t, slot, held.renewed(now))
	case o.bundled:
		p.settleRelated(t, slot, held, o, now)
	default:
		p.putValue(t, slot, held, o.value, o.same, now)
	}
}

func (p *pass[K, V]) putValue(t *tally[K, V], slot uint32, held *record[V], value V, same bool, now time.Time) {
	t.report.Loaded++
	switch {
	case held != nil && same:
		t.report.Unchanged++
		p.put(t, slot, held.renewed(now))
		return
	case held != nil:
		t.report.Changed++
	default:
		t.report.Added++
	}
	p.note(t, slot, held, &value)
	p.put(t, slot, p.run.newRecord(value, SourceRefresh, now))
}

// note writes down a change for the watchers, if there were any when the pass began.
func (p *pass[K, V]) note(t *tally[K, V], slot uint32, old *record[V], next *V) {
	if !p.watched {
		return
	}
	c := Change[K, V]{Kind: Changed, Key: p.old.slots[slot].key}
	if next == nil {
		c.Kind = Removed
	} else {
		c.New = *next
	}
	if old == nil {
		c.Kind = Added
	} else {
		c.Old = old.value
	}
	t.changes = append(t.changes, c)
}

func (p *pass[K, V]) settleFailure(t *tally[K, V], slot uint32, held *record[V], f *failure) {
	if held == nil { // and so it stays
		return
	}
	err := &loader.Error{Bucket: p.run.bucket.name, Key: p.old.slots[slot].key, Err: f.err}
	p.run.counters.countFailure(f.kind, err)
	if f.kind == notFound {
		t.report.Removed++
		p.note(t, slot, held, nil)
		return
	}
	t.report.addFailure(err)
	p.origins.set(slot, 0)
	if p.all != nil {
		t.but = append(t.but, p.old.slots[slot].key)
	}
	p.put(t, slot, held.failed(err))
}

// settleRelated saves the pairs of a related load whose keys no other load has brought, or is
// about to. A key that it was asked for and did not bring keeps its value: the load went well.
func (p *pass[K, V]) settleRelated(t *tally[K, V], slot uint32, held *record[V], o outcome[K, V], now time.Time) {
	if _, ok := o.related[p.old.slots[slot].key]; !ok {
		t.report.Unchanged++
		p.origins.set(slot, 0)
		kept := *held
		kept.trouble = nil
		p.put(t, slot, kept)
	}
	for key, value := range o.related {
		_, same := o.unchanged[key]
		other, ok := p.old.slotOf(key)
		switch {
		case !ok:
			p.add(t, key, value, now)
		case other == slot:
			p.putValue(t, slot, held, value, same, now)
		case p.takeRelated(t, other):
			old, _ := p.held(other)
			p.putValue(t, other, old, value, same, now)
			p.filled(t, other, outcome[K, V]{value: value}, nil)
		default:
			if _, held := p.held(other); !held {
				p.add(t, key, value, now)
			}
		}
	}
}

// takeRelated claims a slot for what the load of another brought, unless a younger load of the
// actor's has brought the key already: then it is to be loaded by itself.
func (p *pass[K, V]) takeRelated(t *tally[K, V], slot uint32) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.origins.fresh[p.old.slots[slot].key] > t.at || !p.claims[slot].CompareAndSwap(claimFree, claimLoading) {
		return false
	}
	p.origins.set(slot, t.at)
	return true
}

// add saves a key that has no slot. One that the table has got meanwhile was written, and wins.
func (p *pass[K, V]) add(t *tally[K, V], key K, value V, now time.Time) {
	t.report.Loaded++
	if err := p.run.bucket.keys.check(key); err != nil {
		p.run.logUnsaved(SourceRefresh, err)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, again := p.added[key]; !again {
		t.report.Added++
	}
	if p.origins != nil {
		if p.origins.added[key] > t.at {
			return
		}
		p.origins.added[key] = t.at
	}
	p.added[key] = new(p.run.newRecord(value, SourceRefresh, now))
}

// noteAdded writes down for the watchers what has no slot.
func (p *pass[K, V]) noteAdded() {
	if !p.watched {
		return
	}
	for key, added := range p.added {
		if _, held := p.old.get(key); !held {
			p.changes = append(p.changes, Change[K, V]{Kind: Added, Key: key, New: added.value})
		}
	}
}

// fewAdded is how many keys without a slot cost nothing.
const fewAdded = 1024

// complete adds what has no slot to the next generation, when all slots are filled: with an
// index of its own, if that is much.
func (p *pass[K, V]) complete() {
	p.addRest()
	p.noteAdded()
	p.next.worn = len(p.next.slots) - p.next.len() // nothing came of the others
	if len(p.added) < fewAdded || len(p.added) < len(p.claims)/8 {
		for key, added := range p.added {
			p.next.replace(key, added)
			p.next.oldest = older(p.next.oldest, added)
		}
		return
	}
	m := newTableMaker[K, V](p.next.len() + len(p.added))
	p.next.each(func(key K, made *record[V]) bool {
		m.add(key, *made)
		return true
	})
	for key, added := range p.added {
		m.add(key, *added)
	}
	p.next = m.table(p.next.bypass, p.next.hits)
}

// compare says which pairs of a related load are what is held already. It calls methods of the
// user's types.
func (p *pass[K, V]) compare(related map[K]V) map[K]struct{} {
	var unchanged map[K]struct{}
	for key, value := range related {
		if held, ok := p.old.get(key); ok && p.run.equal(held.value, value) {
			if unchanged == nil {
				unchanged = make(map[K]struct{}, len(related))
			}
			unchanged[key] = struct{}{}
		}
	}
	return unchanged
}

// passed publishes what a pass has made, in one step. What was written since it began wins.
func (r *run[K, V]) passed(p *pass[K, V]) {
	if r.pass != p || r.phase() != phaseReady {
		return
	}
	r.flush() // what is staged was written before
	r.pass = nil
	r.reading.Store(nil)
	defer r.endOf(p)
	p.stop()
	if p.refuse != nil {
		r.refused(p)
		return
	}
	next := p.next
	p.keepUp()
	changes := p.news()
	r.noteOrigins(p)
	next.generation = r.table.generation + 1
	r.table = next
	r.bucket.table.Store(next)
	r.reindex()
	if p.watched {
		r.feed.add(changes, next.generation)
	} else if r.feed.watched() { // somebody came when it was too late to write them down
		r.feed.lose(next.generation)
	}
	r.finish(p)
}

// noteOrigins remembers how old the generation is that a pass has made, for loads that began before
// and have not ended; see overtaken.
func (r *run[K, V]) noteOrigins(p *pass[K, V]) {
	if p.all != nil {
		r.allAt, r.allBut = p.allAt.Load(), p.but
	}
	r.origins = p.origins
	if r.aloft == 0 {
		r.origins, r.allBut = nil, nil
	}
}

// stop lets the workers of a pass end.
func (p *pass[K, V]) stop() {
	p.cancel()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.alarm != nil {
		p.alarm.Stop()
	}
	if p.watchdog.timer != nil {
		p.watchdog.timer.Stop()
	}
}

// endOf answers those who asked for a refresh, and begins the one that others have asked for
// meanwhile. It is last: who hears of a refresh finds it logged and published.
func (r *run[K, V]) endOf(p *pass[K, V]) {
	if r.nextAskers.size() > 0 {
		r.beginPass()
		r.nextAskers.moveTo(&r.pass.askers)
	}
	p.askers.dismiss(answer[V]{report: &p.report, err: p.report.Refused})
}

// refused tells of a generation that is not published.
func (r *run[K, V]) refused(p *pass[K, V]) {
	now := time.Now()
	report := &p.report
	report.Took = now.Sub(p.began)
	report.Generation = r.table.generation
	report.Refused = r.bucket.errorf("%w: %w", ErrRefused, p.refuse)
	r.changeVitals(func(v *vitals) {
		v.last, v.refused = *report, report.Refused
		v.refusals++
	})
	r.setClock(now)
	r.log(func(log logrus.FieldLogger) {
		log.WithError(safeError{p.refuse}).Error("the gate refused the new generation; the old one stays")
	})
	r.publish(RefreshRefused{Bucket: r.bucket.name, Report: *report})
}

// finish tells of a generation that was published.
func (r *run[K, V]) finish(p *pass[K, V]) {
	now := time.Now()
	report := &p.report
	report.Took = now.Sub(p.began)
	answered := report.Loaded+report.Unchanged+report.Removed > 0
	r.changeVitals(func(v *vitals) {
		report.Generation = r.table.generation
		v.generation = report.Generation
		v.refreshes++
		v.refreshTime += report.Took
		v.refused, v.stalled = nil, 0
		v.last = *report
		if answered {
			v.initFailed = nil
		}
		if answered || report.Failed == 0 {
			v.completedAt = now
		}
	})

	r.setClock(now)
	r.renewFile()
	r.logRefresh(*report)
	r.publish(Refreshed{Bucket: r.bucket.name, Report: *report})
}

// logRefresh writes one line for a refresh, however many keys failed.
func (r *run[K, V]) logRefresh(report Report) {
	r.log(func(log logrus.FieldLogger) {
		log = log.WithFields(logrus.Fields{
			"loaded": report.Loaded, "unchanged": report.Unchanged, "added": report.Added,
			"changed": report.Changed, "removed": report.Removed, "failed": report.Failed,
			"took": report.Took.Round(time.Microsecond),
		})
		if report.Failed > 0 {
			log.WithError(report.Failures[0]).Warn("refreshed; keys that failed keep their values")
			return
		}
		log.Info("refreshed")
	})
}
