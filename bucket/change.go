package bucket

import (
	"time"

	"github.com/sirupsen/logrus"
)

// change is what one message does to the table, decided and not yet done. Without a file it
// is made at once; with one it is written first, together with those that come right
// behind it:
//
//	decide ──▶ stage ──▶ ... ──▶ write, sync ──▶ make ──▶ answer
//
// A caller's write that cannot be written is not made. What was loaded is: it can be had
// again, and the file is repaired later.
type change[K comparable, V any] struct {
	edits []edit[K, V]

	ask *ask[K, V] // of a caller's write; or

	flight *flight[K, V] // of a load
	got    answer[V]     // what those who wait for it get
	awaits bool          // somebody does
}

// edit replaces the record of one key.
type edit[K comparable, V any] struct {
	key     K
	next    *record[V] // nil removes it
	private bool       // nothing that the file would know of: the value is the same
	stays   bool       // nor anything that a refresh should: a load brought none
}

// commit makes a change, or has it made when it is written.
func (r *run[K, V]) commit(c *change[K, V]) {
	if r.keeper != nil {
		r.stage(*c)
		return
	}
	r.apply(c)
	r.conclude(c)
}

func (r *run[K, V]) apply(c *change[K, V]) {
	var changes []Change[K, V]
	for _, e := range c.edits {
		var old *record[V]
		if e.next == nil {
			old = r.table.remove(e.key)
		} else {
			old = r.table.replace(e.key, e.next)
		}
		r.noteTouched(e.key)
		// Both are asked only now: a worker that comes later, and a watcher that comes later,
		// find the new record.
		switch {
		case c.ask != nil:
			r.pass.noteWritten(e.key)
		case e.stays:
			r.pass.noteFailed(e.key, e.next.trouble, c.flight)
		default:
			r.pass.noteLoaded(e.key, c.flight.at)
		}
		if !r.feed.watched() {
			continue
		}
		if change, different := r.changed(e.key, old, e.next); different {
			changes = append(changes, change)
		}
	}
	r.feed.add(changes, r.table.generation)
	r.reindex()
}

// conclude tells those who wait for a change that was made.
func (r *run[K, V]) conclude(c *change[K, V]) {
	if c.flight != nil {
		r.arrive(c.flight, c.got)
		return
	}
	switch c.ask.op {
	case opSet:
		r.setDone(c.ask)
	default:
		r.deleteDone(c.ask)
	}
}

// saving is the edit that saves a value, unless it could never be found again.
func (r *run[K, V]) saving(key K, value V, source Source) (edit[K, V], bool) {
	if err := r.bucket.keys.check(key); err != nil {
		r.logUnsaved(source, err)
		return edit[K, V]{}, false
	}
	return edit[K, V]{key: key, next: new(r.newRecord(value, source, time.Now()))}, true
}

func (r *run[K, V]) newRecord(value V, source Source, now time.Time) record[V] {
	return record[V]{value: value, loadedAt: now.UnixNano(), stamp: newStamp(r.version.Add(1), source)}
}

func (r *run[K, V]) logUnsaved(source Source, reason error) {
	r.log(func(log logrus.FieldLogger) {
		log.WithFields(logrus.Fields{"source": source, "reason": reason}).Warn("entry not saved")
	})
}
