package bucket

import (
	"context"
	"maps"
	"runtime"
	"runtime/debug"
	"sync/atomic"
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// worker loads keys of a full refresh, one call of the loader after the other, in a goroutine
// of its own. It has one of the bucket's slots for loads while it is at work, and gives it up
// when callers wait for one, or its rate tells it to wait.
//
// A call that outlives its time, or does not return at all, takes the goroutine with it: then
// another worker takes its place.
type worker[K comparable, V any] struct {
	pass   *pass[K, V]
	place  atomic.Uint32
	resume chan struct{} // it is seated
	tally  tally[K, V]

	// The call at work. Its number and state are one word, so that a call which is abandoned
	// is not taken for the next one.
	call  atomic.Uint64
	until atomic.Int64 // its deadline, in unix nanoseconds
	slots []uint32     // what it is to fill; not changed before it is over
	all   bool         // it is to fill all
	ended *deadline

	at, to uint32          // where it is in the slots that it has taken
	many   manyTerms[K, V] // of its last load of many keys, for the next
}

const (
	callState = 3 // of worker.call; the rest is the number

	callNone      = 0
	callAtWork    = 1
	callAbandoned = 2
	callNumber    = 4
)

// Where a worker is, as far as its slot is concerned.
const (
	placeNone    uint32 = iota
	placeWaiting        // for a slot
	placeSeated         // it has one
	placeGone           // it does not want one any more
)

func (p *pass[K, V]) newWorker() *worker[K, V] {
	w := &worker[K, V]{pass: p, resume: make(chan struct{}, 1)}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.crew[w] = struct{}{}
	return w
}

// seat gives a worker a slot, if it still wants one.
func (w *worker[K, V]) seat() bool {
	if !w.place.CompareAndSwap(placeWaiting, placeSeated) {
		return false
	}
	w.resume <- struct{}{}
	return true
}

// await waits to be seated.
func (w *worker[K, V]) await() bool {
	select {
	case <-w.resume:
		return true
	case <-w.pass.ctx.Done():
		w.place.CompareAndSwap(placeWaiting, placeGone)
		return false
	}
}

// work fills slots until there are none left, or the pass or a call of the worker's has been
// given up.
func (w *worker[K, V]) work() {
	p := w.pass
	defer func() {
		switch w.call.Load() & callState {
		case callAtWork: // the loader called runtime.Goexit
			if w.end() {
				w.fail(loader.ErrGoexit)
				p.replace(w)
				return
			}
			fallthrough
		case callAbandoned: // another is in its place, and has its slot
			p.run.counters.abandoned.Add(-1)
		default:
			p.strike(w)
			w.place.CompareAndSwap(placeWaiting, placeGone)
			p.run.tell(&shift[K, V]{worker: w, back: w.place.Load() == placeSeated, over: true})
		}
	}()
	if !w.await() {
		return
	}
	if p.whole && !w.loadAll() {
		return
	}
	for {
		if w.at, w.to = p.take(); w.at == w.to {
			return
		}
		for ; w.at < w.to; w.at++ {
			if !w.step(w.at) {
				return
			}
			if w.tally.ended.Sub(w.tally.began) > worthAddingUp {
				p.addUp(w)
			}
		}
		p.addUp(w)
		runtime.Gosched() // a source that answers at once would keep the processors from those who read
	}
}

// worthAddingUp is how long a load takes after which it costs nothing to count it at once, for
// those who follow the progress. Others are counted together.
const worthAddingUp = time.Millisecond

// step fills a slot, and perhaps those behind it, and says whether the worker can go on.
func (w *worker[K, V]) step(slot uint32) bool {
	p := w.pass
	switch {
	case p.ctx.Err() != nil || !w.yield():
		return false
	case !p.many && p.claims[slot].Load() == claimDone:
		return true
	case p.all == nil && !w.pace(): // to look into that is no load
		return false
	case p.many:
		return w.loadMany()
	case !p.claimSlot(slot):
		return true
	}
	return w.load(slot)
}

// claimSlot claims a slot for a load, unless another load brings it, or the actor has it: then the
// actor gives it back when its load is over.
func (p *pass[K, V]) claimSlot(slot uint32) bool {
	for claim := &p.claims[slot]; ; {
		switch was := claim.Load(); was {
		case claimFree:
			if claim.CompareAndSwap(was, claimLoading) {
				return true
			}
		case claimFlying:
			if claim.CompareAndSwap(was, claimAwaited) {
				return false
			}
		default:
			return false
		}
	}
}

// yield lets callers have the slot who wait for one.
func (w *worker[K, V]) yield() bool {
	if !w.pass.run.pressed.Load() {
		return true
	}
	w.leave(&shift[K, V]{worker: w, back: true, want: true})
	return w.await()
}

// leave gives up the slot.
func (w *worker[K, V]) leave(note *shift[K, V]) {
	w.pass.addUp(w)
	w.place.Store(placeNone)
	if note.want {
		w.place.Store(placeWaiting)
	}
	w.pass.run.tell(note)
}

// pace waits until the rate permits another load, without a slot.
func (w *worker[K, V]) pace() bool {
	p := w.pass
	if p.limit == nil {
		return true
	}
	pause := p.limit.Reserve().Delay()
	if pause <= 0 {
		return true
	}
	w.leave(&shift[K, V]{worker: w, back: true})
	select {
	case <-time.After(pause):
	case <-p.ctx.Done():
		return false
	}
	w.leave(&shift[K, V]{worker: w, want: true})
	return w.await()
}

// load calls the loader for a slot that is claimed.
func (w *worker[K, V]) load(slot uint32) bool {
	p := w.pass
	key := p.old.slots[slot].key
	held, ok := p.held(slot)
	if !ok { // removed since the pass began
		p.emptied(&w.tally, slot)
		return true
	}
	w.slots = append(w.slots[:0], slot)
	ctx := w.begin()
	o, failure := w.guarded(ctx, key, held)
	if !w.end() {
		return false
	}
	if _, still := p.held(slot); still {
		p.settle(&w.tally, slot, held, o, failure)
	}
	p.filled(&w.tally, slot, o, failure)
	return true
}

// guarded is a call of the loader that survives what it does, but for runtime.Goexit.
func (w *worker[K, V]) guarded(ctx context.Context, key K, held *record[V]) (o outcome[K, V], f *failure) {
	defer func() {
		if p := recover(); p != nil {
			o, f = outcome[K, V]{}, &failure{&loader.PanicError{Value: p, Stack: debug.Stack()}, panicked}
		}
	}()
	o, err := w.pass.run.load(ctx, key, true, held)
	if err != nil {
		return outcome[K, V]{}, classify(loader.LateError(ctx, err))
	}
	o.unchanged = w.pass.compare(o.related)
	return o, nil
}

// begin notes the beginning of a call, and returns its context.
func (w *worker[K, V]) begin() context.Context {
	p := w.pass
	now := time.Now()
	w.tally.began = now
	if p.all == nil { // to look into that is no load
		p.run.counters.loads.Add(1)
	}
	if p.origins != nil {
		w.tally.at = p.run.now.Add(1)
		for _, slot := range w.slots {
			p.origins.set(slot, w.tally.at)
		}
	}
	ctx := p.ctx
	w.ended = nil
	if timeout := p.config.LoadTimeout; timeout > 0 {
		at := now.Add(timeout)
		w.until.Store(at.UnixNano())
		w.ended = &deadline{Context: p.ctx, at: at}
		ctx = w.ended
	}
	w.call.Add(callNumber + callAtWork)
	if w.ended != nil {
		p.watch(w.ended.at)
	}
	return ctx
}

// end notes the end of a call. It says false if the call has been given up: what it brought is
// worth nothing, and the worker has been replaced.
func (w *worker[K, V]) end() bool {
	if w.ended != nil {
		w.ended.end()
	}
	call := w.call.Load()
	if call&callState != callAtWork || !w.call.CompareAndSwap(call, call-callAtWork) {
		return false
	}
	w.landed()
	return true
}

func (w *worker[K, V]) landed() {
	counters := &w.pass.run.counters
	w.tally.ended = time.Now()
	if w.pass.all != nil {
		w.tally.ended = w.pass.gaveAt // what it says is as old as that
		return
	}
	took := w.tally.ended.Sub(w.tally.began)
	counters.landings.Add(1)
	counters.loadTime.Add(int64(took))
	if report := &w.tally.report; report.slowerThan(took) {
		report.addSlow(w.slowLoad(took))
	}
}

func (w *worker[K, V]) slowLoad(took time.Duration) SlowLoad {
	if w.all {
		return SlowLoad{Keys: len(w.pass.claims), Took: took}
	}
	return SlowLoad{Key: w.pass.old.slots[w.slots[0]].key, Keys: len(w.slots), Took: took}
}

// fail fills the slots of a call that brought nothing.
func (w *worker[K, V]) fail(err error) {
	p, f := w.pass, classify(err)
	if w.all {
		p.failAll(w, absence[V]{failure: f})
	}
	for _, slot := range w.slots {
		if held, ok := p.held(slot); ok {
			p.settle(&w.tally, slot, held, outcome[K, V]{}, f)
		}
		p.filled(&w.tally, slot, outcome[K, V]{}, f)
	}
}

// held is what the table holds now for the key of a slot.
func (p *pass[K, V]) held(slot uint32) (*record[V], bool) {
	held := p.old.slots[slot].held()
	return held, held != nil
}

// take gives a worker slots that none has come to, or one that was not free when one did.
func (p *pass[K, V]) take() (from, to uint32) {
	all := int64(len(p.claims))
	rest := all - p.cursor.Load()
	if rest <= 0 {
		return p.takeAgain()
	}
	const most = 64 // the cursor is shared, and not to be fought for
	n := max(1, min(most, rest/int64(8*p.config.RefreshConcurrency)))
	if p.many {
		n = int64(p.config.BatchSize)
	}
	end := p.cursor.Add(n)
	if end-n >= all {
		return p.takeAgain()
	}
	return uint32(end - n), uint32(min(end, all))
}

func (p *pass[K, V]) takeAgain() (from, to uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	last := len(p.again) - 1
	if last < 0 {
		return 0, 0
	}
	from = p.again[last]
	p.again = p.again[:last]
	return from, from + 1
}

// filled notes that a slot needs no load any more. What the actor wants to know it is told.
func (p *pass[K, V]) filled(t *tally[K, V], slot uint32, o outcome[K, V], f *failure) {
	t.filled++
	if p.claims[slot].Swap(claimDone) == claimWanted {
		o.related = maps.Clone(o.related)
		p.run.tell(&rode[K, V]{pass: p, key: p.old.slots[slot].key, outcome: o, failure: f})
	}
}

// emptied notes that there is nothing to load for a slot: its key has been removed.
func (p *pass[K, V]) emptied(t *tally[K, V], slot uint32) {
	t.filled++
	if p.claims[slot].Swap(claimDone) == claimWanted {
		p.run.tell(&rode[K, V]{pass: p, key: p.old.slots[slot].key, nothing: true})
	}
}
