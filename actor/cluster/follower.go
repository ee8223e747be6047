package cluster

import (
	"context"
	"math/rand/v2"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/bucket"
)

// follower is the actor that follows the owner of a part, whoever that is. What it hears goes to the
// mirror.
type follower struct {
	seat   *seat
	whole  bool
	mirror listener

	self     *protoactor.PID
	session  uint64
	next     uint64 // page
	seq      uint64
	leader   string // its address; empty before the first page
	heard    time.Time
	attempts context.Context // ends with the session
	stop     context.CancelFunc
	timer    *time.Timer
	restart  func() // begin
	pause    time.Duration
}

// listener is what a follower tells what it hears. It is called by one goroutine at a time.
type listener interface {
	// begun is called before the pages of a new session, or when there is nobody to follow: from now on,
	// what has been heard may lack something.
	begun()
	// hear takes a page. It says false if that cannot be.
	hear(p page) bool
}

const (
	// silence is how long a follower waits for a page before it looks for another leader.
	silence = 4 * heartbeat

	// lookEvery is how often a follower looks whether it was that long.
	lookEvery = heartbeat

	// firstPause is how long a follower waits after an owner has gone before it looks for the next one. The
	// pause doubles, up to the silence: one that does not start asks the source each time.
	firstPause = 20 * time.Millisecond
)

// Notes of the follower to itself.
type (
	look  struct{}
	lost  struct{ address string }
	retry struct{ session uint64 }
)

func (look) IgnoreDeadLetterLogging()  {}
func (lost) IgnoreDeadLetterLogging()  {}
func (retry) IgnoreDeadLetterLogging() {}

// Receive implements protoactor.Actor.
func (f *follower) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		f.self, f.restart = ctx.Self(), f.begin
		f.begin()
		f.lookLater()
	case look:
		if time.Since(f.heard) > silence {
			f.begin()
		}
		f.lookLater()
	case lost:
		if msg.address == f.leader {
			f.begin()
		}
	case page:
		if sender := ctx.Sender(); sender != nil {
			f.leader = sender.GetAddress()
			ctx.Respond(f.hear(msg))
		}
	case bucket.Failed, *protoactor.DeadLetterResponse: // it has stopped, or cannot be followed
		f.mirror.begun()
		f.beginLater()
	case retry:
		if msg.session == f.session {
			f.begin()
		}
	case *protoactor.Stopping, *protoactor.Restarting:
		f.stop()
		f.timer.Stop()
	}
}

func (f *follower) lookLater() {
	system, self := f.seat.cluster.ActorSystem, f.self
	f.timer = time.AfterFunc(lookEvery, func() { system.Root.Send(self, look{}) })
}

func (f *follower) beginLater() {
	f.pause = min(max(2*f.pause, firstPause), silence)
	system, self, session := f.seat.cluster.ActorSystem, f.self, f.session
	time.AfterFunc(f.pause, func() { system.Root.Send(self, retry{session}) })
}

// begin looks for the owner, and follows it.
func (f *follower) begin() {
	if f.stop != nil {
		f.stop()
		f.seat.owner.Store(nil) // it may be another one by now
	}
	f.attempts, f.stop = context.WithCancel(context.Background())
	f.session, f.next, f.leader, f.heard = rand.Uint64()|1, 0, "", time.Now() //nolint:gosec // a name, and no secret
	f.mirror.begun()
	ctx, s, self, ask := f.attempts, f.seat, f.self, follow{f.session, f.whole}
	go func() {
		root := s.cluster.ActorSystem.Root
		if who, err := s.find(ctx); err == nil {
			root.RequestWithCustomSender(who.pid, ask, self)
		} else if ctx.Err() == nil {
			root.Send(self, bucket.Failed{Err: err})
		}
	}()
}

// hear answers a page. One that does not come next ends the session: something is missing.
func (f *follower) hear(p page) heard {
	if p.Session != f.session {
		return heard{} // of a session that was given up
	}
	if p.Number < f.next {
		return heard{f.session} // again
	}
	if p.Number == 0 {
		f.seq = p.From
	}
	if p.Number != f.next || p.From != f.seq || !f.mirror.hear(p) {
		f.restart()
		return heard{}
	}
	f.next, f.seq, f.heard, f.pause = p.Number+1, p.To, time.Now(), 0
	return heard{f.session}
}
