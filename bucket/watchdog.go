package bucket

import (
	"context"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"
)

// watchdog looks after one full refresh. Each of its loads has a deadline, and still it could
// stand still: a load without one hangs, or callers have all slots and do not get on. Then it is
// given up, with the loads that are in its way, and the next one begins:
//
//	beginPass ──▶ timer ──patrol──▶ actor: has anything happened? ── no, for StallTimeout ──▶ giveUpPass
//	                ▲                          │ yes
//	                └──────────────────────────┘
type watchdog struct {
	timer *time.Timer
	seen  footprint
	at    time.Time // when that was seen first
}

// footprint is different each time after a refresh has got on.
type footprint struct {
	reading bool
	left    int64
}

// patrolsPerStall is how often a refresh is looked at before it counts as stalled.
const patrolsPerStall = 4

// guard sets a watchdog on a refresh.
func (r *run[K, V]) guard(p *pass[K, V]) {
	pause := p.stallTimeout() / patrolsPerStall
	if pause <= 0 {
		return
	}
	p.watchdog.seen, p.watchdog.at = p.footprint(), time.Now()
	p.watchdog.timer = time.AfterFunc(pause, func() { r.tell(&patrol[K, V]{p}) })
}

// stallTimeout is for how long nothing may happen: a load that takes all of its time is no
// reason, nor is one that waits for the rate.
func (p *pass[K, V]) stallTimeout() time.Duration {
	timeout := p.config.StallTimeout
	if timeout <= 0 {
		return 0
	}
	timeout += p.config.LoadTimeout
	if perSecond := p.config.RefreshRate; perSecond > 0 {
		timeout += time.Duration(min(float64(time.Second)/perSecond, float64(longestPause)))
	}
	return timeout
}

func (p *pass[K, V]) footprint() footprint {
	return footprint{reading: p.reading, left: p.left.Load()}
}

func (r *run[K, V]) patrol(p *pass[K, V]) {
	if r.pass != p || r.phase() != phaseReady {
		return
	}
	dog := &p.watchdog
	now := time.Now()
	if seen := p.footprint(); seen != dog.seen {
		dog.seen, dog.at = seen, now
	}
	timeout := p.stallTimeout()
	if stood := now.Sub(dog.at); stood >= timeout {
		r.giveUpPass(p, stood)
		return
	}
	dog.timer.Reset(timeout / patrolsPerStall)
}

// giveUpPass abandons a refresh that stands still, and begins the next for those who wait for it.
// They asked before that one begins.
func (r *run[K, V]) giveUpPass(p *pass[K, V], stood time.Duration) {
	p.stop()
	r.flying -= p.abandonAll()
	r.pass = nil
	r.reading.Store(nil)
	r.clearWay(p.stallTimeout())
	r.beginPass()
	p.askers.moveTo(&r.pass.askers)
	r.nextAskers.moveTo(&r.pass.askers)

	done, total := 0, p.before
	if p.reading {
		done, total = p.progress()
	}
	r.changeVitals(func(v *vitals) {
		v.stalls++
		v.stalled = stood
	})
	r.log(func(log logrus.FieldLogger) {
		log.WithFields(logrus.Fields{"stood": stood, "done": done, "keys": total}).
			Error("the refresh stood still; it was given up, and begins anew")
	})
	r.publish(RefreshStalled{Bucket: r.bucket.name, Stood: stood, Done: done, Total: total})
	r.launch()
}

// clearWay takes off the flights that waited for a load of the refresh, and gives up those that have
// been in its way for too long: they have a slot, and no time-out.
func (r *run[K, V]) clearWay(most time.Duration) {
	var riders, stuck []*flight[K, V]
	for _, f := range r.flights {
		switch {
		case !f.launched || f.landed:
		case f.riding:
			riders = append(riders, f)
		case time.Since(f.call.started) >= most:
			stuck = append(stuck, f)
		}
	}
	for _, f := range riders {
		r.dismount(f)
	}
	for _, f := range stuck {
		r.land(&loaded[K, V]{flight: f, failure: &failure{errInTheWay, timedOut}})
	}
}

var errInTheWay = fmt.Errorf("%w: it took so long that a full refresh stood still", context.DeadlineExceeded)

// abandonAll gives up the loads at work of a pass that has been stopped, and says how many they
// were.
func (p *pass[K, V]) abandonAll() (abandoned int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for w := range p.crew {
		if w.abandon(w.call.Load()) {
			abandoned++
		}
	}
	return abandoned
}
