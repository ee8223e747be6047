package bucket

import (
	"math/rand/v2"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
)

// refresher is the bucket's child that owns the clock. It knows one thing: when the
// next full refresh is due. While it waits it costs a timer and no goroutine.
//
//	bucket ──setClock──▶ refresher ──(timer)──▶ refresher ──refreshDue──▶ bucket
//
// The bucket remembers the time, too, so that a crash does not put the refresh off:
// otherwise a bucket that crashed more often than it refreshes would grow old
// without a word.
type refresher struct {
	incarnation actor.Incarnation
	due         time.Time // what the first incarnation was given
	timer       *actor.Timer
}

// setClock tells a refresher when the next full refresh is due.
type setClock struct{ due time.Time }

// struck is the refresher's note to itself.
type struck struct{}

func newRefresher(due time.Time) *protoactor.Props {
	return actor.Guard(func() protoactor.Actor { return &refresher{due: due} }, nil)
}

func (f *refresher) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		f.incarnation = actor.NewIncarnation()
		f.set(ctx, f.due)
	case setClock:
		f.set(ctx, msg.due)
	case actor.Tick:
		if msg.Incarnation == f.incarnation {
			ctx.Send(ctx.Parent(), refreshDue{})
		}
	case *protoactor.Stopping, *protoactor.Restarting:
		f.timer.Stop()
	}
}

func (f *refresher) set(ctx protoactor.Context, due time.Time) {
	f.timer.Stop()
	f.timer = actor.After(ctx.ActorSystem(), ctx.Self(), time.Until(due),
		actor.Tick{Incarnation: f.incarnation, Message: struck{}})
}

// longestPause keeps the arithmetic of a pause that is meant to be for ever from
// overflowing.
const longestPause = 100 * 365 * 24 * time.Hour

// pause is how long to wait for the next refresh.
func (c *Config) pause() time.Duration {
	spread := 1 + c.Jitter*(2*rand.Float64()-1)
	return time.Duration(min(float64(c.RefreshEvery)*spread, float64(longestPause)))
}

func (c *Config) refreshes() bool { return c.RefreshEvery > 0 && c.CacheEnabled }

// clockRetry is how long a bucket waits before it replaces a refresher that it lost.
const clockRetry = time.Second

// spawnClock gives the bucket its refresher. Without one refreshing would stop in
// silence, so a failure is tried again for ever.
func (a *bucketActor[K, V]) spawnClock(ctx protoactor.Context) {
	r := a.run
	if !r.config.Load().refreshes() || r.clockRuns() {
		return
	}
	clock, err := actor.Spawn(ctx, "refresher", newRefresher(r.nextDue))
	if err != nil {
		r.log(func(log logrus.FieldLogger) { log.WithError(err).Error("no refresher; trying again") })
		a.respawnClock()
		return
	}
	r.clock = clock
}

func (r *run[K, V]) clockRuns() bool {
	if r.clock == nil {
		return false
	}
	_, alive := r.system.ProcessRegistry.Get(r.clock)
	return alive
}

// clockStopped replaces a refresher that its supervision has given up.
func (a *bucketActor[K, V]) clockStopped(ctx protoactor.Context, msg *protoactor.Terminated) {
	if a.run == nil || a.restarting || a.run.phase() != phaseReady || !msg.Who.Equal(a.run.clock) {
		return
	}
	a.run.log(func(log logrus.FieldLogger) { log.Error("the refresher stopped; replacing it") })
	a.respawnClock()
}

func (a *bucketActor[K, V]) respawnClock() {
	r := a.run
	r.clock = nil
	r.respawns.Stop()
	r.respawns = actor.After(r.system, r.self, clockRetry, actor.Tick{Incarnation: r.incarnation, Message: respawn{}})
}

// clockStruck starts the refresh that is due. One word too many comes when the bucket
// crashes in that very moment: the next incarnation's refresher finds the refresh due
// as well.
func (r *run[K, V]) clockStruck() {
	if r.pass == nil && time.Now().Before(r.nextDue) {
		r.tellClock()
		return
	}
	r.refresh(nil)
}

// setClock sets the time of the next refresh, counted from the end of the last.
func (r *run[K, V]) setClock(ended time.Time) {
	r.nextDue = ended.Add(r.config.Load().pause())
	r.tellClock()
}

func (r *run[K, V]) tellClock() {
	if r.clock != nil {
		r.send(r.clock, setClock{r.nextDue})
	}
}
