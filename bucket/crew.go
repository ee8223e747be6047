package bucket

import (
	"context"
	"time"
)

// The crew of a pass are the workers that may be at work. One whose call of the loader does not
// return in time is lost, and another takes its place.

// strike ends a worker's membership of the crew.
func (p *pass[K, V]) strike(w *worker[K, V]) {
	p.mu.Lock()
	delete(p.crew, w)
	p.mu.Unlock()
	p.addUp(w)
}

// replace puts another worker in the place of one that is lost, with the slot that it had.
func (p *pass[K, V]) replace(lost *worker[K, V]) {
	p.mu.Lock()
	for slot := lost.at + 1; slot < lost.to; slot++ {
		p.again = append(p.again, slot)
	}
	p.mu.Unlock()
	p.strike(lost)
	w := p.newWorker()
	w.place.Store(placeWaiting)
	w.seat()
	go w.work()
}

// abandon gives up that call of a worker's, if it is at work. What the worker was to do is from now
// on the affair of whoever has abandoned it.
func (w *worker[K, V]) abandon(call uint64) bool {
	if call&callState != callAtWork || !w.call.CompareAndSwap(call, call-callAtWork+callAbandoned) {
		return false
	}
	w.pass.run.counters.abandoned.Add(1)
	w.landed()
	return true
}

// watch sets the alarm for the first call.
func (p *pass[K, V]) watch(at time.Time) {
	if p.alarmed.Load() || !p.alarmed.CompareAndSwap(false, true) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() == nil { // or it would outlive the pass
		p.alarm = time.AfterFunc(time.Until(at), p.giveUpLate)
	}
}

// giveUpLate gives up the calls that have outlived their time, and sets the alarm for the next.
func (p *pass[K, V]) giveUpLate() {
	now := time.Now().UnixNano()
	next := now + int64(p.config.LoadTimeout)
	var late []*worker[K, V]
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		return
	}
	for w := range p.crew {
		call := w.call.Load()
		until := w.until.Load()
		switch {
		case call&callState != callAtWork:
		case until > now:
			next = min(next, until)
		case w.abandon(call):
			late = append(late, w)
		}
	}
	p.alarm.Reset(time.Duration(next - now))
	p.mu.Unlock()
	for _, w := range late {
		w.fail(context.DeadlineExceeded)
		p.replace(w)
	}
}

// addUp counts in what a worker has done. The last to do so says that all is done.
func (p *pass[K, V]) addUp(w *worker[K, V]) {
	filled := w.tally.filled
	if filled == 0 {
		return
	}
	p.mu.Lock()
	p.report.add(w.tally.report)
	p.found += w.tally.found
	for _, key := range w.tally.but {
		noteIn(&p.but, key, struct{}{})
	}
	p.changes = append(p.changes, w.tally.changes...)
	if oldest := w.tally.oldest; oldest != 0 && (p.next.oldest == 0 || oldest < p.next.oldest) {
		p.next.oldest = oldest
	}
	p.mu.Unlock()
	p.next.entries.Add(w.tally.entries)
	p.next.failing.Add(w.tally.failing)
	w.tally = tally[K, V]{}
	if p.left.Add(-filled) == 0 {
		p.complete()
		if p.refuse == nil {
			p.refuse = p.judge()
		}
		p.run.tell(&passed[K, V]{p})
	}
}
