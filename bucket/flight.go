package bucket

import (
	"context"
	"errors"
	"maps"
	"sync/atomic"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/loader"
)

// flight is one load of one key, from the moment somebody asks for it until it is
// over. There is at most one at a time for a key; whoever asks meanwhile joins it.
//
//	join ──▶ queue ──launch──▶ loader.Go ──loaded──▶ land
//
// A write that comes between launch and land makes the flight stale: what it
// brings is older than the write and is not saved.
//
//	Fetch       launch
//	Set         answers those who wait; the flight is stale
//	Delete      the flight is stale; those who wait get what it brings
//	Fetch       (after the Delete) waits for the next flight, which starts when
//	            this one has landed: never two loads of a key at a time
//	loaded      not saved
type flight[K comparable, V any] struct {
	run   *run[K, V]
	key   K
	again bool         // a refresh: the filter is asked, the held value compared
	save  bool         // somebody wants the value saved
	sweep *sweep[K, V] // the full refresh that counts this load

	waiters crowd[K, V]

	// What was asked after the flight had gone stale is for the flight after it.
	next      crowd[K, V]
	nextAgain bool
	nextSweep *sweep[K, V]

	launched bool
	started  time.Time // zero until launched
	at       uint64    // run.now at that moment
	stale    bool
	landed   bool
	dropped  bool // nobody wants it any more

	fate atomic.Int32 // of the call of the loader
}

const (
	fateRunning int32 = iota
	fateReturned
	fateAbandoned
)

func (r *run[K, V]) newFlight(key K, again bool) *flight[K, V] {
	f := &flight[K, V]{run: r, key: key, again: again}
	r.flights[key] = f
	r.queue.push(f)
	return f
}

// join lets a wait for a load of its key.
func (r *run[K, V]) join(a *ask[K, V], again bool) {
	f := r.flights[a.key]
	if r.crowded(f == nil) {
		r.counters.busy.Add(1)
		a.reply(answer[V]{err: r.bucket.errorf("%w (%d): raise MaxWaiting, or ask less", ErrBusy, r.parked)})
		return
	}
	if f == nil {
		f = r.newFlight(a.key, again)
	} else {
		r.counters.coalesced.Add(1)
	}

	r.parked++
	if f.stale {
		f.next.join(a)
		f.nextAgain = f.nextAgain || again
	} else {
		f.waiters.join(a)
		f.save = f.save || !a.noSave
		f.again = f.again || again && !f.launched
	}
	r.launch()
}

// crowded says whether one more caller would be one too many. Those whose load has a
// slot are being served; a caller who can have one does not wait either.
func (r *run[K, V]) crowded(alone bool) bool {
	config := r.config.Load()
	if alone && r.flying < config.MaxConcurrentLoads && r.queue.size() == 0 {
		return false
	}
	return r.parked-r.flying >= config.MaxWaiting
}

// forget lets a caller go who has stopped waiting. A load that nobody else wants
// and that has not begun is not begun.
func (r *run[K, V]) forget(a *ask[K, V]) {
	if a.answered {
		return
	}
	a.answered = true
	if a.crowd == nil {
		if r.phase() == phaseStarting {
			r.release()
		}
		return
	}
	a.crowd.leave(a)
	if a.op == opRefresh {
		return
	}
	r.parked--
	if f := r.flights[a.key]; f != nil {
		r.dropIdle(f)
	}
}

func (r *run[K, V]) dropIdle(f *flight[K, V]) {
	if !f.launched && f.sweep == nil && f.waiters.size()+f.next.size() == 0 {
		f.dropped = true
		delete(r.flights, f.key)
		if r.dropped++; 2*r.dropped > r.queue.size() {
			r.queue.keep(func(f *flight[K, V]) bool { return !f.dropped })
			r.dropped = 0
		}
	}
}

// launch gives free slots to the flights that have waited longest.
func (r *run[K, V]) launch() {
	if r.keeper != nil && r.keeper.closing {
		return
	}
	config := r.config.Load()
	for r.flying < config.MaxConcurrentLoads && r.queue.size() > 0 {
		f := r.queue.pop()
		if f.dropped {
			r.dropped--
			continue
		}
		r.begin(f, config.LoadTimeout)
	}
}

func (r *run[K, V]) begin(f *flight[K, V], timeout time.Duration) {
	r.flying++
	r.counters.loads.Add(1)
	r.now++
	f.launched, f.started, f.at = true, time.Now(), r.now
	// The load gets copies: f itself belongs to the actor's turn.
	key, again := f.key, f.again
	var held *record[V]
	if again {
		held, _ = r.table.get(key)
	}
	loader.Go(r.ctx, timeout,
		func(ctx context.Context) (outcome[K, V], error) {
			defer r.returned(f)
			return r.bucket.load(ctx, key, again, held)
		},
		func(o outcome[K, V], err error) { r.tell(&loaded[K, V]{f, o, classify(err)}) })
}

// land ends a flight: what it brought is saved, and then those who wait are answered.
func (r *run[K, V]) land(note *loaded[K, V]) {
	f := note.flight
	if f.run != r || f.landed || r.phase() == phaseOver {
		return
	}
	r.clearRunway()
	f.landed = true
	r.vacate(f)
	c := change[K, V]{flight: f, awaits: f.waiters.size() > 0}
	r.settle(&c, note.outcome, note.failure)
	f.stale = true // who comes before it has arrived is for the next
	r.commit(c)
}

// arrive is the end of a landing: what was brought is in the table.
func (r *run[K, V]) arrive(f *flight[K, V], got answer[V], report Report) {
	r.freeKey(f)
	r.dismiss(&f.waiters, got)
	r.tally(f, report)
	r.takeOff(f)
	r.launch()
	r.advance()
}

// abandon is land for a flight whose landing the actor did not survive. It may have
// got any part of the way.
func (r *run[K, V]) abandon(f *flight[K, V], crash error) {
	if f.run != r || r.phase() == phaseOver {
		return
	}
	if !f.landed {
		f.landed = true
		r.vacate(f)
	}
	r.freeKey(f)
	failure := &loader.Error{Bucket: r.bucket.name, Key: f.key, Err: crash}
	r.dismiss(&f.waiters, answer[V]{err: failure})
	var part Report
	part.addFailure(failure)
	r.tally(f, part)
	r.takeOff(f)
	// The next incarnation launches what waits.
}

// dismiss answers everybody who waits in a flight.
func (r *run[K, V]) dismiss(c *crowd[K, V], got answer[V]) {
	for c.size() > 0 {
		r.parked--
		c.pop().reply(got)
	}
}

// vacate frees the slot. The key stays taken until what was loaded is in the table: two
// flights of one key would not know of each other.
func (r *run[K, V]) vacate(f *flight[K, V]) {
	r.flying--
	r.giveUp(f)
	r.counters.landings.Add(1)
	r.counters.loadTime.Add(int64(time.Since(f.started)))
}

func (r *run[K, V]) freeKey(f *flight[K, V]) {
	if r.flights[f.key] == f {
		delete(r.flights, f.key)
	}
}

// giveUp counts a load that has not returned by now.
func (r *run[K, V]) giveUp(f *flight[K, V]) {
	if f.fate.CompareAndSwap(fateRunning, fateAbandoned) {
		r.counters.abandoned.Add(1)
	}
}

// returned is called by the load's own goroutine.
func (r *run[K, V]) returned(f *flight[K, V]) {
	if f.fate.Swap(fateReturned) == fateAbandoned {
		r.counters.abandoned.Add(-1)
	}
}

// takeOff starts the flight of those who asked after f had gone stale.
func (r *run[K, V]) takeOff(f *flight[K, V]) {
	if f.next.size() == 0 && f.nextSweep == nil {
		return
	}
	next := r.newFlight(f.key, f.nextAgain)
	next.sweep, next.save = f.nextSweep, f.nextSweep != nil
	for _, a := range f.next.asks {
		next.waiters.join(a)
		next.save = next.save || !a.noSave
	}
	f.next.asks, f.nextSweep = nil, nil
}

// settle says what a load does to the table, and what those who wait for it get.
func (r *run[K, V]) settle(c *change[K, V], o outcome[K, V], failed *failure) {
	f := c.flight
	if failed != nil {
		err := &loader.Error{Bucket: r.bucket.name, Key: f.key, Err: failed.err}
		c.got = answer[V]{loaded: true, err: err}
		r.settleFailure(c, err, failed.kind)
		return
	}

	c.got = answer[V]{value: o.value, loaded: true}
	r.counters.failedInARow.Store(0)
	save := f.save && r.config.Load().CacheEnabled
	current := !f.stale && !r.overtaken(f.key, f.at)
	switch {
	case !save:
	case o.verdict == unchanged:
		if current {
			r.mark(f.key, f.at)
			r.renew(c, f.key)
		}
	case o.bundled:
		r.settleRelated(c, o.related)
	case current:
		c.report.Loaded++
		r.saveAgain(c, f.key, o.value, o.same)
	}
}

func (r *run[K, V]) settleFailure(c *change[K, V], err *loader.Error, kind failureKind) {
	f := c.flight
	r.counters.countFailure(kind, err)
	if f.sweep == nil {
		r.logFailure(err, kind)
	}
	if f.stale || r.overtaken(f.key, f.at) {
		return
	}

	held, ok := r.table.get(f.key)
	switch {
	case kind == notFound && ok && f.again:
		c.edits = append(c.edits, edit[K, V]{key: f.key})
		r.mark(f.key, f.at)
		c.report.Removed++
	case kind == notFound:
		r.mark(f.key, f.at)
	case ok:
		c.edits = append(c.edits, edit[K, V]{key: f.key, next: held.failed(err), private: true})
		c.report.addFailure(err)
	default:
		c.report.addFailure(err)
	}
}

// settleRelated saves the pairs of a related load, but for those that were written, or
// loaded by a load that began later, since this one began.
func (r *run[K, V]) settleRelated(c *change[K, V], related map[K]V) {
	f := c.flight
	if _, ok := related[f.key]; !ok {
		r.settleKept(c)
	}
	maps.DeleteFunc(related, func(key K, _ V) bool { return r.overtaken(key, f.at) })
	for key, value := range related {
		held, ok := r.table.get(key)
		c.report.Loaded++
		r.saveAgain(c, key, value, ok && f.again && r.bucket.equal(held.value, value))
		if f.sweep != nil {
			f.sweep.done[key] = struct{}{}
		}
	}
}

// settleKept is for a key that a related load was asked for and did not bring a pair of:
// the load went well, and the value that is held, if any, stays as old as it is.
func (r *run[K, V]) settleKept(c *change[K, V]) {
	f := c.flight
	held, ok := r.table.get(f.key)
	if !ok || !f.again {
		return
	}
	c.report.Unchanged++
	if held.trouble != nil {
		kept := *held
		kept.trouble = nil
		c.edits = append(c.edits, edit[K, V]{key: f.key, next: &kept, private: true})
	}
}

// saveAgain saves a value that was loaded, or renews the equal one that is held.
func (r *run[K, V]) saveAgain(c *change[K, V], key K, value V, same bool) {
	_, held := r.table.get(key)
	r.mark(key, c.flight.at)
	switch {
	case held && same:
		r.renew(c, key)
		return
	case held:
		c.report.Changed++
	default:
		c.report.Added++
	}
	source := SourceLoad
	if c.flight.again {
		source = SourceRefresh
	}
	if e, ok := r.saving(key, value, source); ok {
		c.edits = append(c.edits, e)
	}
}

func (r *run[K, V]) renew(c *change[K, V], key K) {
	if held, ok := r.table.get(key); ok {
		c.edits = append(c.edits, edit[K, V]{key: key, next: held.renewed(time.Now()), private: true})
		c.report.Unchanged++
	}
}

// logFailure writes one line for a load, however many wait for it.
func (r *run[K, V]) logFailure(err *loader.Error, kind failureKind) {
	r.log(func(log logrus.FieldLogger) {
		log = log.WithError(err)
		switch kind {
		case notFound:
			log.Debug("key not found")
		case panicked:
			var panicError *loader.PanicError
			if errors.As(err, &panicError) {
				log = log.WithField("stack", string(panicError.Stack))
			}
			log.Error("loader panicked")
		default:
			log.Warn("load failed")
		}
	})
}
