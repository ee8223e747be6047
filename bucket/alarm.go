package bucket

import (
	"context"
	"time"
)

// alarm gives up the trips of a run that outlive their time, with one timer for all of them. They
// have the same LoadTimeout, so the one that was launched first is the first that is late:
//
//	begin ──▶ later ─ ... ─ earlier     whoever lands leaves
//	                           ▲
//	                the timer rings for it, or for one that has left
//
// Most trips land long before the timer rings, and cost it nothing.
type alarm[K comparable, V any] struct {
	timer       *time.Timer // nil before the first trip
	set         bool        // it will ring
	first, last *trip[K, V]
}

// alarmRang says that a trip may be late.
type alarmRang struct{}

func (alarmRang) IgnoreDeadLetterLogging() {}

// watch gives up t when it is late.
func (r *run[K, V]) watch(t *trip[K, V]) {
	a := &r.alarm
	if t.earlier = a.last; a.last != nil {
		a.last.later = t
	} else {
		a.first = t
	}
	a.last = t
	r.setAlarm()
}

// leave is for a trip that is over. It does no harm if it is not watched.
func (a *alarm[K, V]) leave(t *trip[K, V]) {
	switch {
	case t.earlier != nil:
		t.earlier.later = t.later
	case a.first == t:
		a.first = t.later
	default:
		return
	}
	if t.later != nil {
		t.later.earlier = t.earlier
	} else {
		a.last = t.earlier
	}
	t.earlier, t.later = nil, nil
}

// setAlarm sets the timer for the first trip, unless it is set: then it rings earlier.
func (r *run[K, V]) setAlarm() {
	a := &r.alarm
	if a.set || a.first == nil {
		return
	}
	a.set = true
	pause := time.Until(a.first.until.at)
	if a.timer == nil {
		a.timer = time.AfterFunc(pause, func() { r.tell(alarmRang{}) })
		return
	}
	a.timer.Reset(pause)
}

// giveUpLate gives up the trips that are late. One that has returned meanwhile has told so.
func (r *run[K, V]) giveUpLate() {
	if r.phase() == phaseOver {
		return
	}
	a := &r.alarm
	a.set = false
	now := time.Now()
	for a.first != nil && !now.Before(a.first.until.at) {
		late := a.first
		a.leave(late)
		if r.giveUp(&late.call) {
			r.tell(&loaded[K, V]{flight: late.note.flight, failure: classify(context.DeadlineExceeded)})
		}
	}
	r.setAlarm()
}

// stop is for the end of the run.
func (a *alarm[K, V]) stop() {
	if a.timer != nil {
		a.timer.Stop()
	}
}
