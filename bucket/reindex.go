package bucket

import (
	"context"
	"time"
)

// reindexing makes a table anew, with all its entries in its index, beside all that goes on. What is
// written meanwhile is written again when it is done:
//
//	actor ── beginReindexing ──▶ (goroutine) the same entries ──reindexed──▶ actor: and what was touched
type reindexing[K comparable, V any] struct {
	from, made *table[K, V]
	touched    map[K]struct{} // since it began; the actor's
	cancel     context.CancelFunc
}

const (
	// fewLoose is how many keys may come without a thought of a new index.
	fewLoose = 1024

	// reindexEvery is how long the table stays what it is: a small one would be made anew for each
	// write.
	reindexEvery = time.Second
)

// scattered says whether many keys are beside the index, or many slots hold on to keys and values that
// are not served any more. It is the case after a quarter of them at the earliest, so that each costs
// no more than a few times what it costs to make a table of it.
func (t *table[K, V]) scattered() bool {
	return t.loose > max(fewLoose, len(t.slots)/4) || t.worn > len(t.slots)/4
}

// whole says whether the index has all keys that the table holds, and not many that it does not.
func (t *table[K, V]) whole() bool { return t.loose == 0 && 2*t.len() >= len(t.slots) }

// reindex has the table made anew, soon, if it is scattered.
func (r *run[K, V]) reindex() {
	if r.reindexing != nil || r.pass != nil || !r.table.scattered() {
		return
	}
	x := r.beginReindexing()
	ctx, cancel := context.WithCancel(r.ctx)
	x.cancel = cancel
	pause := time.Until(r.reindexedAt.Add(reindexEvery))
	r.background.Go(func() {
		select {
		case <-time.After(pause):
			x.made = x.from.remade()
			r.tell(&reindexed[K, V]{x})
		case <-ctx.Done():
		}
	})
}

func (r *run[K, V]) beginReindexing() *reindexing[K, V] {
	r.reindexing = &reindexing[K, V]{from: r.table, touched: make(map[K]struct{}), cancel: func() {}}
	return r.reindexing
}

// stopReindexing lets go of the table that is being made, if any.
func (r *run[K, V]) stopReindexing() {
	if r.reindexing != nil {
		r.reindexing.cancel()
		r.reindexing = nil
	}
}

// adopt puts the table that was made in the place of the one that it was made from.
func (r *run[K, V]) adopt(x *reindexing[K, V]) {
	if r.reindexing != x || r.phase() != phaseReady {
		return
	}
	r.stopReindexing()
	for key := range x.touched {
		if held, ok := r.table.get(key); ok {
			x.made.replace(key, held)
		} else {
			x.made.remove(key)
		}
	}
	x.made.generation = r.table.generation
	r.table = x.made
	r.bucket.table.Store(x.made)
	r.reindexedAt = time.Now()
}

// noteTouched says that what the table holds of a key has changed.
func (r *run[K, V]) noteTouched(key K) {
	if r.reindexing != nil {
		r.reindexing.touched[key] = struct{}{}
	}
}
