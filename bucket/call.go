package bucket

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// call is one call of the loader for callers: for one flight, or for several that travel together.
// It has one slot.
type call struct {
	started time.Time
	aboard  int // flights that have not landed
	fate    atomic.Int32
}

const (
	fateRunning int32 = iota
	fateReturned
	fateAbandoned
)

// take takes a slot for a call.
func (r *run[K, V]) take(c *call, flights ...*flight[K, V]) {
	r.flying++
	r.aloft += len(flights)
	r.counters.loads.Add(1)
	now := r.now.Add(1)
	c.started, c.aboard = time.Now(), len(flights)
	for _, f := range flights {
		f.launched, f.call, f.at = true, c, now
	}
}

// giveUp counts a call that has not returned by now. It says false if it has, or was given up
// before.
func (r *run[K, V]) giveUp(c *call) bool {
	if !c.fate.CompareAndSwap(fateRunning, fateAbandoned) {
		return false
	}
	r.counters.abandoned.Add(1)
	return true
}

// returned is called by the call's own goroutine. It says false if the call was given up.
func (r *run[K, V]) returned(c *call) bool {
	if c.fate.Swap(fateReturned) == fateAbandoned {
		r.counters.abandoned.Add(-1)
		return false
	}
	return true
}

// company returns f, and those right behind it in the queue that can travel with it.
func (r *run[K, V]) company(f *flight[K, V], most int) []*flight[K, V] {
	flights := []*flight[K, V]{f}
	for len(flights) < most && r.queue.size() > 0 {
		next := r.queue.items[r.queue.head]
		if next.worker != nil || !next.dropped && (!next.together || next.again) {
			break
		}
		switch r.queue.pop(); {
		case next.dropped:
			r.dropped--
		case !r.pass.claim(next.key):
			r.ride(next)
		default:
			flights = append(flights, next)
		}
	}
	return flights
}

// beginMany has flights travel together. Each lands by itself.
func (r *run[K, V]) beginMany(flights []*flight[K, V], timeout time.Duration) {
	c := &call{}
	r.take(c, flights...)
	keys := make([]K, len(flights))
	for i, f := range flights {
		keys[i] = f.key
	}
	var at uint64
	loader.Go(r.ctx, timeout,
		func(ctx context.Context) ([]brought[V], error) {
			defer r.returned(c)
			at = r.now.Add(1)
			return r.loadMissing(ctx, keys), nil
		},
		func(answers []brought[V], err error) {
			all := classify(err)
			for i, f := range flights {
				note := &loaded[K, V]{flight: f, failure: all}
				if all == nil {
					note.at = at // that is, it has returned
					note.outcome, note.failure = outcome[K, V]{value: answers[i].value}, answers[i].failure
				}
				r.tell(note)
			}
		})
}
