package bucket

import (
	"context"
	"maps"
	"time"
)

// set saves a value that a caller gives. A load of the key that is under way is
// overtaken: those who wait for it get this value.
func (r *run[K, V]) set(a *ask[K, V]) {
	c := change[K, V]{ask: a, awaits: true}
	if e, ok := r.saving(a.key, a.value, SourceSet); ok {
		c.edits = []edit[K, V]{e}
	}
	r.commit(&c)
}

// setAtOnce is a DirectSet in the actor's place. That costs a tenth of a message and its answer, and
// is not for a bucket where more than the table is concerned: the file, somebody who waits, or a
// watcher, for whom values are compared by what may be the user's code.
func (b *Bucket[K, V]) setAtOnce(ctx context.Context, key K, value V) bool {
	if ctx != nil && ctx.Err() != nil || b.keys.check(key) != nil {
		return false
	}
	return b.turn.Try(func() bool {
		r := b.run.Load()
		if r == nil || r.phase() != phaseReady || r.keeper != nil || r.feed.watched() || r.flights[key] != nil {
			return false
		}
		r.table.replace(key, new(r.newRecord(value, SourceSet, time.Now())))
		r.noteTouched(key)
		r.pass.noteWritten(key)
		if r.feed.watched() { // by somebody who came just now, and may have seen the old value
			r.feed.lose(r.table.generation)
		}
		r.counters.sets.Add(1)
		r.touch(key)
		r.reindex()
		return true
	})
}

func (r *run[K, V]) setDone(a *ask[K, V]) {
	r.counters.sets.Add(1)
	r.touch(a.key)
	if f := r.flights[a.key]; f != nil {
		f.stale = f.launched
		got := answer[V]{value: a.value}
		r.dismiss(&f.waiters, got)
		r.dismiss(&f.next, got)
		r.dropIdle(f)
	}
	a.reply(answer[V]{})
}

// delete removes a key. A load that is under way began before, so it is not saved.
func (r *run[K, V]) delete(a *ask[K, V]) {
	r.commit(&change[K, V]{ask: a, awaits: true, edits: []edit[K, V]{{key: a.key}}})
}

func (r *run[K, V]) deleteDone(a *ask[K, V]) {
	r.counters.deletes.Add(1)
	r.touch(a.key)
	if f := r.flights[a.key]; f != nil {
		f.stale = f.launched
	}
	a.reply(answer[V]{})
}

// touch marks a key as written by a caller, now.
func (r *run[K, V]) touch(key K) {
	r.mark(key, r.now.Add(1))
}

// mark remembers how old what a key holds is: as old as the write, or as the beginning of
// the load that brought it. It is for loads under way that began before and may bring the
// key as a related one:
//
//	load of a   begins                         brings a and b   <- b is older than what is held
//	load of b             begins  brings b
//
// A load without relations brings its own key only, and the flight knows of writes to it.
func (r *run[K, V]) mark(key K, at uint64) {
	if r.bucket.companions.RelatedLoader == nil {
		return
	}
	if r.flying == 0 { // loads to come are younger than all that is written
		clear(r.written)
		r.pruneAt = minPrune
		return
	}
	r.written[key] = at
	if len(r.written) >= r.pruneAt {
		r.prune()
	}
}

// overtaken says whether what is known of a key is younger than a load that began at that time:
// written since, or brought by a load that began later and brought the key without being asked.
func (r *run[K, V]) overtaken(key K, began uint64) bool {
	if _, but := r.allBut[key]; began < r.allAt && !but {
		return true
	}
	return r.origins.of(key) > began || r.written[key] > began
}

// minPrune keeps pruning cheap: a map that small is not worth a look at every flight.
const minPrune = 1024

// prune forgets the writes that are older than every load under way.
func (r *run[K, V]) prune() {
	oldest := r.now.Load()
	if r.pass != nil && r.pass.reading {
		oldest = r.pass.at
	}
	for _, f := range r.flights {
		if f.launched {
			oldest = min(oldest, f.at)
		}
	}
	maps.DeleteFunc(r.written, func(_ K, at uint64) bool { return at <= oldest })
	r.pruneAt = max(minPrune, 2*len(r.written))
}
