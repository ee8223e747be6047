package bucket

import (
	"errors"
	"maps"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/loader"
)

// land ends a flight: what it brought is saved, and then those who wait are answered.
func (r *run[K, V]) land(note *loaded[K, V]) {
	f := note.flight
	if f.run != r || f.landed || r.phase() == phaseOver {
		return
	}
	r.clearRunway()
	f.landed = true
	f.at = max(f.at, note.at)
	r.vacate(f)
	c := change[K, V]{flight: f, awaits: f.waiters.size() > 0, edits: f.edit[:0]}
	r.settle(&c, &note.outcome, note.failure)
	f.stale = true // who comes before it has arrived is for the next
	r.commit(&c)
}

// arrive is the end of a landing: what was brought is in the table.
func (r *run[K, V]) arrive(f *flight[K, V], got answer[V]) {
	r.freeKey(f)
	r.dismiss(&f.waiters, got)
	r.takeOff(f)
	r.launch()
}

// settle says what a load does to the table, and what those who wait for it get.
func (r *run[K, V]) settle(c *change[K, V], o *outcome[K, V], failed *failure) {
	f := c.flight
	if failed != nil {
		err := &loader.Error{Bucket: r.bucket.name, Key: f.key, Err: failed.err}
		c.got = answer[V]{loaded: true, err: err}
		r.settleFailure(c, err, failed.kind)
		return
	}

	c.got = answer[V]{value: o.value, loaded: true}
	held, ok := r.table.get(f.key)
	same := ok && held.stamp.version() == o.against // and not what came since
	r.counters.failedInARow.Store(0)
	save := f.save && r.config.Load().CacheEnabled
	current := !f.stale && !r.overtaken(f.key, f.at)
	switch {
	case !save:
	case o.verdict == unchanged:
		if current && same {
			r.mark(f.key, f.at)
			r.renew(c, f.key)
		}
	case o.bundled:
		r.settleRelated(c, o.related)
	case current:
		r.saveAgain(c, f.key, o.value, same && o.same)
	}
}

func (r *run[K, V]) settleFailure(c *change[K, V], err *loader.Error, kind failureKind) {
	f := c.flight
	if !f.riding { // or it was counted by the refresh
		r.counters.countFailure(kind, err)
	}
	r.logFailure(err, kind)
	if f.stale || r.overtaken(f.key, f.at) {
		return
	}

	held, ok := r.table.get(f.key)
	switch {
	case kind == notFound && ok && !r.table.bypass: // also if it has come since it was missed
		c.edits = append(c.edits, edit[K, V]{key: f.key})
		r.mark(f.key, f.at)
	case kind == notFound:
		r.mark(f.key, f.at)
		r.pass.noteLoaded(f.key, f.at) // that there is nothing
	case ok:
		c.edits = append(c.edits, edit[K, V]{key: f.key, next: new(held.failed(err)), private: true, stays: true})
	}
}

// settleRelated saves the pairs of a related load, but for those that were written, or
// loaded by a load that began later, since this one began.
func (r *run[K, V]) settleRelated(c *change[K, V], related map[K]V) {
	f := c.flight
	if _, ok := related[f.key]; !ok {
		r.settleKept(c)
	}
	maps.DeleteFunc(related, func(key K, _ V) bool { return r.overtaken(key, f.at) })
	for key, value := range related {
		held, ok := r.table.get(key)
		r.saveAgain(c, key, value, ok && f.again && r.equalSafely(held.value, value))
	}
}

// settleKept is for a key that a related load was asked for and did not bring a pair of:
// the load went well, and the value that is held, if any, stays as old as it is.
func (r *run[K, V]) settleKept(c *change[K, V]) {
	f := c.flight
	held, ok := r.table.get(f.key)
	if !ok || !f.again {
		return
	}
	if held.trouble != nil {
		kept := *held
		kept.trouble = nil
		c.edits = append(c.edits, edit[K, V]{key: f.key, next: &kept, private: true, stays: true})
	}
}

// saveAgain saves a value that was loaded, or renews the equal one that is held.
func (r *run[K, V]) saveAgain(c *change[K, V], key K, value V, same bool) {
	r.mark(key, c.flight.at)
	if same {
		r.renew(c, key)
		return
	}
	source := SourceLoad
	if c.flight.again {
		source = SourceRefresh
	}
	if e, ok := r.saving(key, value, source); ok {
		c.edits = append(c.edits, e)
	}
}

func (r *run[K, V]) renew(c *change[K, V], key K) {
	if held, ok := r.table.get(key); ok {
		c.edits = append(c.edits, edit[K, V]{key: key, next: new(held.renewed(time.Now())), private: true})
	}
}

// logFailure writes one line for a load, however many wait for it.
func (r *run[K, V]) logFailure(err *loader.Error, kind failureKind) {
	if kind == notFound && !r.debugging() {
		return
	}
	r.log(func(log logrus.FieldLogger) {
		log = log.WithError(err)
		switch kind {
		case notFound:
			log.Debug("key not found")
		case panicked:
			var panicError *loader.PanicError
			if errors.As(err, &panicError) {
				log = log.WithField("stack", string(panicError.Stack))
			}
			log.Error("loader panicked")
		default:
			log.Warn("load failed")
		}
	})
}
