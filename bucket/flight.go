package bucket

import (
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// flight is one load of one key, from the moment somebody asks for it until it is
// over. There is at most one at a time for a key; whoever asks meanwhile joins it.
//
//	join ──▶ queue ──launch──▶ (goroutine) ──loaded──▶ land
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
	again bool // a refresh: the filter is asked, the held value compared
	save  bool // somebody wants the value saved

	worker *worker[K, V] // of a full refresh, that waits for a slot; the rest is unused then

	waiters crowd[K, V]
	seat    [1]*ask[K, V] // memory for the first of them
	edit    [1]edit[K, V] // and for what most flights save

	// What was asked after the flight had gone stale is for the flight after it.
	next      crowd[K, V]
	nextAgain bool

	together bool // it may travel with others, in one call of the loader
	waiting  bool // in the window, for company

	launched bool
	call     *call      // since it was launched, unless it rides
	trip     trip[K, V] // that, if it travels alone
	at       uint64     // run.now when it was launched
	riding   bool       // on the load of a full refresh, without a slot
	stale    bool
	landed   bool
	dropped  bool // nobody wants it any more
}

// newFlight begins a flight for the key of an ask.
func (r *run[K, V]) newFlight(a *ask[K, V], again bool) *flight[K, V] {
	f := a.spare
	a.spare = nil
	if f == nil {
		f = &flight[K, V]{}
	}
	f.run, f.key, f.again = r, a.key, again
	f.waiters.asks = f.seat[:0]
	r.flights[f.key] = f
	return f
}

// join lets a wait for a load of its key.
func (r *run[K, V]) join(a *ask[K, V], again bool) {
	f := r.flights[a.key]
	if r.crowded(a, f == nil) {
		r.counters.busy.Add(1)
		a.reply(answer[V]{err: r.bucket.errorf("%w (%d): raise MaxWaiting, or ask less", ErrBusy, r.parked)})
		return
	}
	if f != nil {
		r.counters.coalesced.Add(1)
	}

	r.parked++
	switch {
	case f == nil:
		f = r.newFlight(a, again)
		f.board(a)
		r.place(f)
	case f.stale:
		f.next.join(a)
		f.nextAgain = f.nextAgain || again
	default:
		f.board(a)
		f.again = f.again || again && !f.launched
		if f.again && f.waiting { // a reload has no company to wait for
			r.window.leave(f)
			r.queue.push(f)
		}
		if a.many && f.waiting { // a FetchMany takes it along
			r.closeWindow()
		}
	}
	r.launch()
}

// board lets a wait for what the flight brings.
func (f *flight[K, V]) board(a *ask[K, V]) {
	f.waiters.join(a)
	f.save = f.save || !a.noSave
	f.together = f.together || f.run.mayTravel(a)
}

// crowded says whether one more caller would be one too many. Those whose load has a
// slot are being served; a caller who can have one does not wait either.
func (r *run[K, V]) crowded(a *ask[K, V], alone bool) bool {
	config := r.config.Load()
	room := config.MaxConcurrentLoads - r.flying
	if r.mayTravel(a) {
		room *= config.BatchSize
	}
	queued := r.queue.size() - r.dropped + r.window.waiting
	if alone && queued < room {
		return false
	}
	return r.parked-r.aloft-max(0, min(queued, room)) >= config.MaxWaiting
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
	if !f.launched && f.waiters.size()+f.next.size() == 0 {
		f.dropped = true
		delete(r.flights, f.key)
		if f.waiting {
			r.window.leave(f)
			return
		}
		if r.dropped++; 2*r.dropped > r.queue.size() {
			r.queue.keep(func(f *flight[K, V]) bool { return !f.dropped })
			r.dropped = 0
		}
	}
}

// launch gives free slots to the flights that have waited longest.
func (r *run[K, V]) launch() {
	if r.gathering || r.keeper != nil && r.keeper.closing {
		return
	}
	config := r.config.Load()
	for r.flying < config.MaxConcurrentLoads && r.queue.size() > 0 {
		f := r.queue.pop()
		switch {
		case f.worker != nil:
			r.queuedWorkers--
			if f.worker.seat() {
				r.flying++
			}
		case f.dropped:
			r.dropped--
		case !r.pass.claim(f.key):
			r.ride(f)
		case f.together && !f.again:
			r.beginMany(r.company(f, config.BatchSize), config.LoadTimeout)
		default:
			r.begin(f, config.LoadTimeout)
		}
	}
	r.pressed.Store(r.queue.size() > r.queuedWorkers)
}

// ride has a flight wait for the load that a full refresh has begun of its key. What was asked
// after a write that this load knows nothing of waits for the next.
func (r *run[K, V]) ride(f *flight[K, V]) {
	r.now.Add(1)
	// The load may have begun at any time since the refresh did.
	f.launched, f.riding, f.at = true, true, r.pass.at
	if f.stale = r.pass.askedAt[f.key] == byHand; !f.stale {
		return
	}
	f.nextAgain = f.again
	f.waiters.moveTo(&f.next)
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
	if f.riding {
		return
	}
	r.aloft--
	if f.call.aboard--; f.call.aboard > 0 {
		return
	}
	r.flying--
	r.giveUp(f.call)
	r.alarm.leave(&f.trip)
	r.counters.landings.Add(1)
	r.counters.loadTime.Add(int64(time.Since(f.call.started)))
}

func (r *run[K, V]) freeKey(f *flight[K, V]) {
	if r.flights[f.key] != f {
		return
	}
	delete(r.flights, f.key)
	if f.launched && !f.riding {
		r.releaseClaim(f.key)
	}
}

// takeOff starts the flight of those who asked after f had gone stale.
func (r *run[K, V]) takeOff(f *flight[K, V]) {
	if f.next.size() == 0 {
		return
	}
	next := r.newFlight(f.next.asks[0], f.nextAgain)
	for _, a := range f.next.asks {
		next.board(a)
	}
	f.next.asks = nil
	r.place(next)
}
