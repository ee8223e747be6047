package bucket

import (
	"math"
	"slices"
	"time"

	"github.com/sirupsen/logrus"
	"golang.org/x/time/rate"

	"github.com/dataworker-go/dataworker/actor"
)

// sweep is one full refresh: every key that the bucket held when it began is loaded
// again, a few at a time.
//
//	refresher ──refreshDue──▶ bucket ── advance ──▶ flights, RefreshConcurrency at a time
//	                          bucket ◀──loaded── each; advance again, until none is left
//	asker ◀──Refreshed── bucket ──Refreshed──▶ event stream
//
// Each key is replaced as its load lands. Building the next generation beside the
// current one, the loaders of batches and of everything, and the gate between the
// last load and the publication, belong in here: advance feeds a generation instead
// of the table, and finish publishes it.
type sweep[K comparable, V any] struct {
	keys   []K // those to come
	flying int
	done   map[K]struct{} // brought by a related load of this sweep
	askers crowd[K, V]
	report Report
	began  time.Time

	limiter *rate.Limiter // nil without a RefreshRate
	pace    *actor.Timer  // what the limiter waits for
}

// refresh starts a full refresh, or joins the one under way. a is nil when it was the
// clock that asked.
func (r *run[K, V]) refresh(a *ask[K, V]) {
	if r.phase() != phaseReady {
		return
	}
	if r.table.bypass {
		if a != nil {
			a.reply(answer[V]{report: &Report{Generation: r.vitals.Load().generation}})
		}
		return
	}
	if r.sweep == nil {
		r.sweep = r.newSweep()
	}
	if a != nil {
		r.sweep.askers.join(a)
	}
	r.advance()
}

func (r *run[K, V]) newSweep() *sweep[K, V] {
	s := &sweep[K, V]{keys: r.bucket.Keys(), done: make(map[K]struct{}), began: time.Now()}
	if perSecond := r.config.Load().RefreshRate; perSecond > 0 {
		// A permit for each hundredth of a second at least: finer timers cost more than
		// they smooth.
		s.limiter = rate.NewLimiter(rate.Limit(perSecond), max(1, int(math.Ceil(perSecond/100))))
	}
	return s
}

// advance keeps the sweep's share of the slots busy, and ends it after the last key.
func (r *run[K, V]) advance() {
	s := r.sweep
	if s == nil || r.phase() != phaseReady {
		return
	}
	config := r.config.Load()
	for s.flying < config.RefreshConcurrency && len(s.keys) > 0 {
		key := s.keys[0]
		if r.spared(s, key) {
			s.keys = s.keys[1:]
			continue
		}
		if !r.permitted(s) {
			break
		}
		s.keys = s.keys[1:]

		r.board(s, key)
		s.flying++
	}
	r.launch()
	if s.flying == 0 && len(s.keys) == 0 {
		r.finish(s)
	}
}

// board puts a key of the sweep on a flight: on the one that is under way, on the one after
// it if that has gone stale, or on a new one.
func (r *run[K, V]) board(s *sweep[K, V], key K) {
	f := r.flights[key]
	switch {
	case f == nil:
		f = r.newFlight(key, true)
	case f.stale:
		f.nextSweep, f.nextAgain = s, true
		return
	case !f.launched:
		f.again = true
	}
	f.save, f.sweep = true, s
}

// disembark takes a key that was deleted off the sweep, unless its load is under way: the
// sweep loads again what is held, and must not bring it back.
func (r *run[K, V]) disembark(f *flight[K, V]) {
	if s := f.nextSweep; s != nil {
		f.nextSweep = nil
		s.flying--
	}
	if s := f.sweep; s != nil && !f.launched {
		f.sweep = nil
		s.flying--
		f.save = slices.ContainsFunc(f.waiters.asks, func(a *ask[K, V]) bool { return !a.noSave })
		r.dropIdle(f)
	}
}

// spared says whether key needs no load of its own: a related load brought it, or it
// was deleted after the sweep began.
func (r *run[K, V]) spared(s *sweep[K, V], key K) bool {
	_, done := s.done[key]
	_, held := r.table.get(key)
	return done || !held
}

// permitted asks the rate limiter, and sets the timer for the answer no.
func (r *run[K, V]) permitted(s *sweep[K, V]) bool {
	if s.limiter == nil {
		return true
	}
	if s.limiter.Allow() {
		return true
	}
	permit := s.limiter.Reserve()
	delay := permit.Delay()
	permit.Cancel() // the timer's tick asks again
	s.pace.Stop()
	s.pace = actor.After(r.system, r.self, delay, actor.Tick{Incarnation: r.incarnation, Message: paced{}})
	return false
}

// tally counts a flight that has landed into its sweep.
func (r *run[K, V]) tally(f *flight[K, V], part Report) {
	if f.sweep == nil {
		return
	}
	f.sweep.flying--
	f.sweep.report.add(part)
	f.sweep = nil
}

func (r *run[K, V]) finish(s *sweep[K, V]) {
	now := time.Now()
	r.sweep = nil
	report := s.report
	report.Took = now.Sub(s.began)
	answered := report.Loaded+report.Unchanged+report.Removed > 0
	r.changeVitals(func(v *vitals) {
		v.generation++
		report.Generation = v.generation
		v.refreshes++
		v.last = report
		if answered {
			v.initFailed = nil
		}
		if answered || report.Failed == 0 {
			v.completedAt = now
		}
	})

	r.setClock(now)
	r.renewFile()
	defer s.askers.dismiss(answer[V]{report: &report}) // last: who hears of it finds it logged and published
	r.logSweep(report)
	r.publish(Refreshed{Bucket: r.bucket.name, Report: report})
}

// logSweep writes one line for a refresh, however many keys failed.
func (r *run[K, V]) logSweep(report Report) {
	r.log(func(log logrus.FieldLogger) {
		log = log.WithFields(logrus.Fields{
			"loaded": report.Loaded, "unchanged": report.Unchanged, "added": report.Added,
			"changed": report.Changed, "removed": report.Removed, "failed": report.Failed,
			"took": report.Took.Round(time.Microsecond),
		})
		if report.Failed > 0 {
			log.WithError(report.Failures[0]).Warn("refreshed; keys that failed keep their values")
			return
		}
		log.Info("refreshed")
	})
}
