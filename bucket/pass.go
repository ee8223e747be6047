package bucket

import (
	"context"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"
)

// pass is one full refresh. All that the bucket holds is loaded again, beside all that goes
// on, into a table that nobody sees before it is published as the next generation:
//
//	actor ── beginPass ──▶ (goroutine) a slot for each key ──mapped──▶ actor
//	actor ── a slot of MaxConcurrentLoads each ──▶ workers: claim a key, load it, fill its slot
//	last worker ──passed──▶ actor: what was written meanwhile wins ── publish
//
// A key has one load at a time, also if the actor wants one of it: whoever comes first claims
// it. What the actor wants while a worker loads it gets what that brings.
type pass[K comparable, V any] struct {
	run    *run[K, V]
	ctx    context.Context // ends with the run, or with the pass
	cancel context.CancelFunc
	config *Config
	began  time.Time

	// The actor's.
	askers  crowd[K, V]
	watched bool   // the workers write changes down
	reading bool   // mapped: loads may have begun
	at      uint64 // run.now when its loads began
	meanwhile[K]
	workers  int // that have a slot, or wait for one
	watchdog watchdog

	ofAll bool // the source is to give everything in one go

	// Fixed when it is mapped.
	old     *table[K, V]      // what it began with
	fresh   *reindexing[K, V] // that makes old, if the table was not whole
	before  int               // entries of that
	next    *table[K, V]      // what is to be published, with the same index
	claims  []atomic.Uint32   // of the slots
	left    atomic.Int64      // slots to be filled
	cursor  atomic.Int64      // of the slots that no worker has come to
	limit   *rate.Limiter     // nil without a RefreshRate
	origins *origins[K]       // nil if loads bring only what they are asked for

	// Of a source that gives everything. The first worker asks it, alone; what it gives is fixed
	// before there are others.
	whole  bool          // it has yet to be asked
	allAt  atomic.Uint64 // run.now when it was
	all    map[K]V       // what it gave; nil if that was nothing
	gaveAt time.Time
	many   bool // keys are loaded in batches, or looked up in all

	mu      sync.Mutex // guards what follows, and origins.added and origins.fresh
	report  Report
	found   int              // keys with a slot, of what the source gave in one go
	but     map[K]struct{}   // keys of which that brought nothing
	added   map[K]*record[V] // of keys without a slot
	changes []Change[K, V]   // for the watchers
	refuse  error            // why it must not be published
	again   []uint32         // slots that were not free when a worker came to them
	crew    map[*worker[K, V]]struct{}
	alarm   *time.Timer // for loads that outlive their time; it is set once alarmed is true

	alarmed atomic.Bool
}

// The states of a claim.
const (
	claimFree    uint32 = iota
	claimLoading        // by a worker
	claimWanted         // by a worker, and the actor wants to know
	claimFlying         // by the actor
	claimAwaited        // by the actor, and a worker came to it
	claimDone           // its slot is filled
)

// refresh starts a full refresh, or has its asker wait for one that begins after it was asked
// for. a is nil when it was the clock that asked.
func (r *run[K, V]) refresh(a *ask[K, V]) {
	if r.phase() != phaseReady {
		return
	}
	if r.table.bypass {
		if a != nil {
			a.reply(answer[V]{report: &Report{Generation: r.vitals.Load().generation}})
		}
		return
	}
	if r.pass == nil {
		r.beginPass()
	}
	switch {
	case a == nil:
	case !r.pass.answers():
		r.nextAskers.join(a)
	default:
		r.pass.askers.join(a)
	}
}

func (r *run[K, V]) beginPass() {
	config := r.config.Load()
	p := &pass[K, V]{
		run: r, config: config, began: time.Now(), old: r.table, before: r.table.len(),
		meanwhile: meanwhile[K]{askedAt: make(map[K]uint64), failed: make(map[K]error)},
		ofAll:     r.bucket.companions.AllLoader != nil,
		crew:      make(map[*worker[K, V]]struct{}), added: make(map[K]*record[V]),
	}
	p.ctx, p.cancel = context.WithCancel(r.ctx)
	if perSecond := config.RefreshRate; perSecond > 0 {
		// A permit for each hundredth of a second at least: finer timers cost more than
		// they smooth.
		p.limit = rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond/100))))
	}
	r.pass = p
	r.stopReindexing() // it is for nothing
	if !r.table.whole() {
		p.fresh = r.beginReindexing()
	}
	r.guard(p)
	go func() {
		p.mapKeys()
		r.tell(&keysMapped[K, V]{p})
	}()
}

// mapKeys sees to it that each key has a slot, and makes room for the next generation.
func (p *pass[K, V]) mapKeys() {
	if p.fresh != nil {
		p.fresh.made = p.old.remade()
		p.old = p.fresh.made
	}
	p.next = p.old.successor()
	p.claims = make([]atomic.Uint32, len(p.old.slots))
	p.left.Store(int64(len(p.old.slots)))
	companions := &p.run.bucket.companions
	if companions.RelatedLoader != nil {
		p.origins = &origins[K]{
			slotOf: p.old.slotOf, slots: make([]uint64, len(p.claims)), added: make(map[K]uint64), fresh: make(map[K]uint64),
		}
	}
	switch {
	case p.ofAll:
		p.whole = true
		p.left.Add(1)
	case companions.BatchLoader != nil:
		p.many = true
	}
}

// mapped lets the workers begin.
func (r *run[K, V]) mapped(p *pass[K, V]) {
	if r.pass != p || r.phase() != phaseReady {
		return
	}
	if p.reading {
		r.staff(p)
		return
	}
	if p.fresh != nil {
		r.adopt(p.fresh)
	}
	p.reading, p.at, p.watched = true, r.now.Add(1), r.feed.watched()
	r.reading.Store(p)
	p.noteMapped()
	for key, f := range r.flights {
		if slot, ok := p.old.slotOf(key); ok && f.launched && !p.ofAll {
			p.claims[slot].Store(claimFlying)
		}
	}
	switch {
	case p.whole:
		r.hire(p)
		r.launch()
	case len(p.claims) == 0:
		r.tell(&passed[K, V]{p})
	default:
		r.staff(p)
	}
}

// staff gives a pass all the workers that it can use.
func (r *run[K, V]) staff(p *pass[K, V]) {
	loads := len(p.claims)
	if p.many {
		loads = (loads + p.config.BatchSize - 1) / p.config.BatchSize
	}
	for p.workers < min(p.config.RefreshConcurrency, loads) {
		r.hire(p)
	}
	r.launch()
}

// claim says whether a load of key may begin. Otherwise a worker is loading it, and will tell
// what that brought. A load of everything is none of a key.
func (p *pass[K, V]) claim(key K) bool {
	if p == nil || !p.reading || p.ofAll {
		return true
	}
	slot, ok := p.old.slotOf(key)
	if !ok {
		return true
	}
	for claim := &p.claims[slot]; ; {
		switch was := claim.Load(); was {
		case claimFree:
			if claim.CompareAndSwap(was, claimFlying) {
				return true
			}
		case claimLoading:
			if claim.CompareAndSwap(was, claimWanted) {
				return false
			}
		case claimWanted:
			return false
		default:
			return true
		}
	}
}

// releaseClaim gives back a claim of the actor's, when its load is over.
func (r *run[K, V]) releaseClaim(key K) {
	p := r.pass
	if p == nil || !p.reading {
		return
	}
	slot, ok := p.old.slotOf(key)
	if !ok || p.claims[slot].CompareAndSwap(claimFlying, claimFree) {
		return
	}
	if p.claims[slot].CompareAndSwap(claimAwaited, claimFree) {
		p.mu.Lock()
		p.again = append(p.again, slot)
		p.mu.Unlock()
		if p.workers < p.config.RefreshConcurrency {
			r.hire(p)
		}
	}
}

// hire gives a pass one more worker, as soon as there is a slot for its loads.
func (r *run[K, V]) hire(p *pass[K, V]) {
	w := p.newWorker()
	w.place.Store(placeWaiting)
	p.workers++
	r.enqueue(w)
	go w.work()
}

// enqueue has a worker wait for a slot, behind those who wait already.
func (r *run[K, V]) enqueue(w *worker[K, V]) {
	r.queuedWorkers++
	r.queue.push(&flight[K, V]{run: r, worker: w})
}

// shift is a worker's word about its slot.
func (r *run[K, V]) shift(note *shift[K, V]) {
	w := note.worker
	if w.pass.run != r || note.taken || r.phase() == phaseOver {
		return
	}
	note.taken = true
	if note.back {
		r.flying--
	}
	switch {
	case note.want:
		r.enqueue(w)
	case note.over:
		w.pass.workers--
		if p := r.pass; p == w.pass && p.hasMore() {
			r.hire(p)
		}
	}
	r.launch()
}

func (p *pass[K, V]) hasMore() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.again) > 0
}

// rode ends a flight that waited for a worker's load.
func (r *run[K, V]) rode(note *rode[K, V]) {
	f := r.flights[note.key]
	switch {
	case note.pass != r.pass || f == nil || !f.riding || f.landed:
	case note.nothing:
		r.dismount(f)
	default:
		r.land(&loaded[K, V]{flight: f, outcome: note.outcome, failure: note.failure})
	}
}

// dismount has those who rode on a load that did not come wait for one of their own.
func (r *run[K, V]) dismount(f *flight[K, V]) {
	f.landed = true
	r.freeKey(f)
	f.nextAgain = f.nextAgain || f.again
	f.waiters.moveTo(&f.next)
	r.takeOff(f)
	r.launch()
}

// endPass lets go of the refresh under way, if any. Its loads see their context end.
func (r *run[K, V]) endPass(err error) {
	if p := r.pass; p != nil {
		p.stop()
		p.askers.dismiss(answer[V]{err: err})
	}
	r.nextAskers.dismiss(answer[V]{err: err})
	r.pass = nil
	r.stopReindexing()
	r.reading.Store(nil)
}
