package bucket

import (
	"context"
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
	next    crowd[K, V] // asked after the flight had gone stale

	launched bool
	started  time.Time // zero until launched
	at       uint64    // run.touches at that moment
	stale    bool
	landed   bool
	dropped  bool // nobody wants it any more
}

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
		f.again = f.again || again && !f.launched
	}

	r.parked++
	if f.stale {
		f.next.join(a)
	} else {
		f.waiters.join(a)
		f.save = f.save || !a.noSave
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
	}
}

// launch gives free slots to the flights that have waited longest.
func (r *run[K, V]) launch() {
	config := r.config.Load()
	for r.flying < config.MaxConcurrentLoads && r.queue.size() > 0 {
		if f := r.queue.pop(); !f.dropped {
			r.begin(f, config.LoadTimeout)
		}
	}
}

func (r *run[K, V]) begin(f *flight[K, V], timeout time.Duration) {
	r.flying++
	r.counters.loads.Add(1)
	f.launched, f.started, f.at = true, time.Now(), r.touches
	var held *record[V]
	if f.again {
		held, _ = r.table.get(f.key)
	}
	loader.Go(r.ctx, timeout,
		func(ctx context.Context) (outcome[K, V], error) {
			return r.bucket.load(ctx, f.key, f.again, held)
		},
		func(o outcome[K, V], err error) { r.tell(loaded[K, V]{f, o, classify(err)}) })
}

// land ends a flight: what it brought is saved, and then those who wait are answered.
func (r *run[K, V]) land(f *flight[K, V], o outcome[K, V], failed *failure) {
	if f.run != r || f.landed || r.phase() == phaseOver {
		return
	}
	f.landed = true
	r.vacate(f)

	var part Report
	got := r.settle(f, o, failed, &part)
	r.parked -= f.waiters.dismiss(got)
	r.tally(f, part)
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
	failure := &loader.Error{Bucket: r.bucket.name, Key: f.key, Err: crash}
	r.parked -= f.waiters.dismiss(answer[V]{err: failure})
	var part Report
	part.addFailure(failure)
	r.tally(f, part)
	r.takeOff(f)
	// The next incarnation launches what waits.
}

// vacate frees the slot and the key.
func (r *run[K, V]) vacate(f *flight[K, V]) {
	r.flying--
	r.counters.landings.Add(1)
	r.counters.loadTime.Add(int64(time.Since(f.started)))
	if r.flights[f.key] == f {
		delete(r.flights, f.key)
	}
}

// takeOff starts the flight of those who asked after f had gone stale.
func (r *run[K, V]) takeOff(f *flight[K, V]) {
	if f.next.size() == 0 {
		return
	}
	next := r.newFlight(f.key, false)
	for _, a := range f.next.asks {
		next.waiters.join(a)
		next.save = next.save || !a.noSave
	}
	f.next.asks = nil
}

// settle saves what a load brought and says what those who wait for it get.
func (r *run[K, V]) settle(f *flight[K, V], o outcome[K, V], failed *failure, report *Report) answer[V] {
	if failed != nil {
		err := &loader.Error{Bucket: r.bucket.name, Key: f.key, Err: failed.err}
		r.settleFailure(f, err, failed.kind, report)
		return answer[V]{loaded: true, err: err}
	}

	save := f.save && !f.stale && r.config.Load().CacheEnabled
	switch {
	case o.bundled:
		r.settleRelated(f, o.related, save, report)
	case !save:
	case o.verdict == unchanged:
		r.renew(f.key, report)
	default:
		report.Loaded++
		r.saveAgain(f, f.key, o.value, o.same, report)
	}
	return answer[V]{value: o.value, loaded: true}
}

func (r *run[K, V]) settleFailure(f *flight[K, V], err *loader.Error, kind failureKind, report *Report) {
	r.counters.countFailure(kind)
	if f.sweep == nil {
		r.logFailure(err, kind)
	}
	if f.stale {
		return
	}

	held, ok := r.table.get(f.key)
	switch {
	case kind == notFound && ok && f.again:
		r.remove(f.key)
		report.Removed++
	case kind == notFound:
	case ok:
		r.table.replace(f.key, held.failed(err))
		report.addFailure(err)
	default:
		report.addFailure(err)
	}
}

// settleRelated saves the pairs of a related load, but for those that were written
// after the load began.
func (r *run[K, V]) settleRelated(f *flight[K, V], related map[K]V, save bool, report *Report) {
	// With a stale flight only the flight's own key is too old to be saved.
	if !f.save || !r.config.Load().CacheEnabled {
		return
	}
	for key, value := range related {
		if r.overtaken(key, f.at) || key == f.key && !save {
			continue
		}
		held, ok := r.table.get(key)
		report.Loaded++
		r.saveAgain(f, key, value, ok && f.again && r.bucket.equal(held.value, value), report)
		if f.sweep != nil {
			f.sweep.done[key] = struct{}{}
		}
	}
}

// saveAgain saves a value that was loaded, or renews the equal one that is held.
func (r *run[K, V]) saveAgain(f *flight[K, V], key K, value V, same bool, report *Report) {
	_, held := r.table.get(key)
	switch {
	case held && same:
		r.renew(key, report)
		return
	case held:
		report.Changed++
	default:
		report.Added++
	}
	source := SourceLoad
	if f.again {
		source = SourceRefresh
	}
	r.save(key, value, source, time.Now())
}

func (r *run[K, V]) renew(key K, report *Report) {
	if held, ok := r.table.get(key); ok {
		r.table.replace(key, held.renewed(time.Now()))
		report.Unchanged++
	}
}

// logFailure writes one line for a load, however many wait for it.
func (r *run[K, V]) logFailure(err *loader.Error, kind failureKind) {
	log := r.log().WithError(err)
	switch kind {
	case notFound:
		log.Debug("key not found")
	case panicked:
		if panicError, ok := err.Err.(*loader.PanicError); ok { //nolint:errorlint // an As method is the user's, and may panic
			log = log.WithField("stack", string(panicError.Stack))
		}
		log.Error("loader panicked")
	default:
		log.Warn("load failed")
	}
}

// save writes a value into the table, unless it could never be found again.
func (r *run[K, V]) save(key K, value V, source Source, now time.Time) {
	if err := r.bucket.keys.check(key); err != nil {
		r.log().WithFields(logrus.Fields{"source": source, "reason": err}).Warn("entry not saved")
		return
	}
	r.table.put(key, value, source, now)
}
