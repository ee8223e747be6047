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
	report Report
	awaits bool // somebody does
}

// edit replaces the record of one key.
type edit[K comparable, V any] struct {
	key     K
	next    *record[V] // nil removes it
	private bool       // nothing that the file would know of: the value is the same
}

// commit makes a change, or has it made when it is written.
func (r *run[K, V]) commit(c change[K, V]) {
	if r.keeper != nil {
		r.stage(c)
		return
	}
	r.apply(c.edits)
	r.conclude(&c)
}

func (r *run[K, V]) apply(edits []edit[K, V]) {
	for _, e := range edits {
		if e.next == nil {
			r.table.remove(e.key)
		} else {
			r.table.replace(e.key, e.next)
		}
	}
}

// conclude tells those who wait for a change that was made.
func (r *run[K, V]) conclude(c *change[K, V]) {
	if c.flight != nil {
		r.arrive(c.flight, c.got, c.report)
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
		r.log(func(log logrus.FieldLogger) {
			log.WithFields(logrus.Fields{"source": source, "reason": err}).Warn("entry not saved")
		})
		return edit[K, V]{}, false
	}
	r.table.version++
	next := &record[V]{value: value, loadedAt: time.Now().UnixNano(), version: r.table.version, source: source}
	return edit[K, V]{key: key, next: next}, true
}
