package bucket

import (
	"maps"
	"time"
)

// set saves a value that a caller gives. A load of the key that is under way is
// overtaken: those who wait for it get this value.
func (r *run[K, V]) set(a *ask[K, V]) {
	r.counters.sets.Add(1)
	r.save(a.key, a.value, SourceSet, time.Now())
	r.touch(a.key)
	if f := r.flights[a.key]; f != nil {
		f.stale = f.launched
		got := answer[V]{value: a.value}
		r.parked -= f.waiters.dismiss(got) + f.next.dismiss(got)
		r.dropIdle(f)
	}
	a.reply(answer[V]{})
}

// delete removes a key. A load that is under way began before, so it is not saved.
func (r *run[K, V]) delete(a *ask[K, V]) {
	r.counters.deletes.Add(1)
	r.remove(a.key)
	r.touch(a.key)
	if f := r.flights[a.key]; f != nil {
		f.stale = f.launched
	}
	a.reply(answer[V]{})
}

func (r *run[K, V]) remove(key K) { r.table.remove(key) }

// touch remembers when a key was written, for as long as a load is under way that
// began before and may bring the key as a related one.
func (r *run[K, V]) touch(key K) {
	r.touches++
	if r.bucket.companions.RelatedLoader == nil {
		return // a load brings its own key only, and the flight knows if it is stale
	}
	if r.flying == 0 {
		clear(r.touched)
		return
	}
	r.touched[key] = r.touches
	if len(r.touched) >= r.pruneAt {
		r.pruneTouched()
	}
}

// pruneTouched forgets the writes that are older than every load under way.
func (r *run[K, V]) pruneTouched() {
	oldest := r.touches
	for _, f := range r.flights {
		if f.launched {
			oldest = min(oldest, f.at)
		}
	}
	maps.DeleteFunc(r.touched, func(_ K, at uint64) bool { return at <= oldest })
	r.pruneAt = max(minPrune, 2*len(r.touched))
}

// minPrune keeps pruning cheap: a map that small is not worth a look at every flight.
const minPrune = 1024

// overtaken says whether key was written after a load had begun.
func (r *run[K, V]) overtaken(key K, began uint64) bool { return r.touched[key] > began }
