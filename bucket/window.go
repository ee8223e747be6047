package bucket

import "time"

// window is where misses wait for company, so that they travel in one call of the loader.
//
//	Fetch ──▶ window ──(BatchWindow is over, or a batch is full, or a FetchMany comes)──▶ queue
type window[K comparable, V any] struct {
	flights []*flight[K, V] // those that have left included
	waiting int
	timer   *time.Timer // of the first of them
}

func (w *window[K, V]) join(f *flight[K, V]) {
	f.waiting = true
	w.waiting++
	w.flights = append(w.flights, f)
}

func (w *window[K, V]) leave(f *flight[K, V]) {
	f.waiting = false
	w.waiting--
}

// windowOver says that misses have waited long enough.
type windowOver struct{}

func (windowOver) IgnoreDeadLetterLogging() {}

// mayTravel says whether the miss of a can be loaded together with others: those of its own
// FetchMany, or any, where there is a BatchWindow. A miss by itself is for the RelatedLoader, if
// there is one.
func (r *run[K, V]) mayTravel(a *ask[K, V]) bool {
	companions := &r.bucket.companions
	if companions.BatchLoader == nil || a.op != opFetch {
		return false
	}
	return a.many || r.config.Load().BatchWindow > 0 && companions.RelatedLoader == nil
}

// place has a flight wait for a slot; before that for company, if it is to have any and none is
// there.
func (r *run[K, V]) place(f *flight[K, V]) {
	config := r.config.Load()
	switch {
	case config.BatchWindow <= 0 || !f.together || f.again:
		r.queue.push(f)
	case f.waiters.asks[0].many:
		r.closeWindow()
		r.queue.push(f)
	default:
		r.window.join(f)
		if r.window.waiting >= config.BatchSize {
			r.closeWindow()
		} else if r.window.timer == nil {
			r.window.timer = time.AfterFunc(config.BatchWindow, func() { r.tell(windowOver{}) })
		}
	}
}

// closeWindow has those who wait for company wait for a slot.
func (r *run[K, V]) closeWindow() {
	if r.window.timer != nil {
		r.window.timer.Stop()
		r.window.timer = nil
	}
	for _, f := range r.window.flights {
		if f.waiting {
			r.window.leave(f)
			r.queue.push(f)
		}
	}
	r.window.flights = nil
}
