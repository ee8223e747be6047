package cluster

import (
	"context"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"github.com/dataworker-go/dataworker/bucket"
)

// owner is the grain of a bucket: a shell around a supervisor around the bucket. protoactor restarts
// its grains by a strategy of its own; the bucket is restarted by ours.
//
//	placement ──▶ owner ──▶ supervisor ──▶ bucket
//	asker ──Fetch──▶ owner ──Fetch, for the asker──▶ bucket ──Found──▶ asker
type owner struct {
	border *Border
	place  place

	*service // nil before it knows which
	cluster  *protocluster.Cluster
	identity *protocluster.ClusterIdentity
	self     *protoactor.PID
	child    *protoactor.PID
	ready    bool
	over     error // why it does not serve any more
	held     []*protoactor.MessageEnvelope

	starting context.Context // ends with it
	stop     context.CancelFunc
	sessions map[string]*leading // by who follows; they end when they have sent all
	timer    *time.Timer
}

// leading is the other end of a session.
type leading struct {
	session uint64
	stop    context.CancelFunc
}

// Notes of the owner to itself.
type (
	// prepared says that the bucket can be started.
	prepared struct{}

	// opened is the supervisor's word that the bucket runs, or does not.
	opened struct{ err error }

	// restored says that the bucket has what its copies held, or has not.
	restored struct{ err error }

	// check calls for a look at who is the owner, and checked is what was seen.
	check   struct{}
	checked struct{ owner *protoactor.PID }

	// sessionOver says that somebody follows no longer.
	sessionOver struct {
		to      string
		session uint64
	}
)

func (prepared) IgnoreDeadLetterLogging()    {}
func (opened) IgnoreDeadLetterLogging()      {}
func (restored) IgnoreDeadLetterLogging()    {}
func (check) IgnoreDeadLetterLogging()       {}
func (checked) IgnoreDeadLetterLogging()     {}
func (sessionOver) IgnoreDeadLetterLogging() {}

// Receive implements protoactor.Actor.
func (o *owner) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protocluster.ClusterInit:
		o.cluster, o.identity = msg.Cluster, msg.Identity
		o.start(ctx)
	case prepared:
		o.prepared(ctx)
	case opened:
		o.opened(ctx, msg.err)
	case restored:
		o.restored(ctx, msg.err)
	case check:
		o.check()
		o.checkLater()
	case checked:
		o.checked(ctx, msg.owner)
	case sessionOver:
		if s := o.sessions[msg.to]; s != nil && s.session == msg.session {
			delete(o.sessions, msg.to)
		}
	case *protoactor.Terminated:
		if o.ready && o.child.Equal(msg.Who) { // or its reason is on the way, and comes behind
			o.leave(ctx, o.errStopped())
		}
	case *protoactor.Stopping:
		o.stopping()
	case *protoactor.Stopped:
		o.gone()
	case *protoactor.Restarting: // there will be no Stopped
		o.stopping()
		o.gone()
	default:
		if plain(msg) {
			o.serve(ctx)
		}
	}
}

func (o *owner) start(ctx protoactor.Context) {
	o.starting, o.stop = context.WithCancel(context.Background())
	o.sessions = map[string]*leading{}
	var err error
	if o.service, err = o.place.serve(o.identity.GetIdentity()); err != nil {
		o.border.log.WithError(err).Error("another member places a bucket in another way")
		o.leave(ctx, err)
		return
	}
	o.self = ctx.Self()
	o.checkLater() // now: one that is not to be it may wait for the one that is
	if o.prepare == nil {
		o.prepared(ctx)
		return
	}
	self, starting, prepare, system := o.self, o.starting, o.prepare, o.border.system
	go func() {
		prepare(starting)
		system.Root.Send(self, prepared{})
	}()
}

func (o *owner) prepared(ctx protoactor.Context) {
	if o.over != nil {
		return
	}
	self, system := o.self, o.border.system
	o.child = ctx.Spawn(o.tree.Announce(func(err error) { system.Root.Send(self, opened{err}) }))
}

// opened goes on when the bucket runs.
func (o *owner) opened(ctx protoactor.Context, err error) {
	if err != nil || o.restore == nil {
		o.restored(ctx, err)
		return
	}
	self, starting, restore, system := o.self, o.starting, o.restore, o.border.system
	go func() { system.Root.Send(self, restored{restore(starting)}) }()
}

// restored serves those who came before the bucket was ready.
func (o *owner) restored(ctx protoactor.Context, err error) {
	if o.over != nil {
		return
	}
	if err != nil {
		o.leave(ctx, err)
		return
	}
	o.ready = true
	o.began()
	for _, envelope := range o.held {
		o.forward(ctx, envelope)
	}
	o.held = nil
}

// checkEvery is how often an owner looks whether it is the one.
const checkEvery = 500 * time.Millisecond

func (o *owner) checkLater() {
	self, system := o.self, o.border.system
	o.timer = time.AfterFunc(checkEvery, func() { system.Root.Send(self, check{}) })
}

// check asks the cluster who is the owner. protoactor starts a grain for whoever asks for it: a member
// that does not know yet who else there is may have made a second owner, and nobody would end that
// before members come or go. A look may take seconds, if it asks a member that was killed; it says nothing
// then, and the next does not wait for it.
func (o *owner) check() {
	c, identity, self := o.cluster, o.identity, o.self
	go func() {
		began := time.Now()
		who := c.Get(identity.GetIdentity(), identity.GetKind())
		if who != nil && time.Since(began) < checkEvery {
			c.ActorSystem.Root.Send(self, checked{who})
		}
	}()
}

func (o *owner) checked(ctx protoactor.Context, who *protoactor.PID) {
	if !who.Equal(o.self) {
		o.leave(ctx, o.errStopped())
	}
}

// stopping comes before the bucket is stopped.
func (o *owner) stopping() {
	if o.stop != nil {
		o.stop()
	}
	if o.timer != nil {
		o.timer.Stop()
	}
	if o.ready {
		o.ending()
	}
}

// gone comes when the bucket has stopped.
func (o *owner) gone() {
	if o.ready {
		o.ready = false
		o.stopped()
	}
}

// mostHeld bounds how many wait for the bucket to start.
const mostHeld = bucket.DefaultMaxWaiting

func (o *owner) serve(ctx protoactor.Context) {
	envelope := &protoactor.MessageEnvelope{Message: ctx.Message(), Sender: ctx.Sender()}
	switch {
	case o.over != nil:
		o.refuse(ctx, envelope, o.over)
	case o.ready:
		o.forward(ctx, envelope)
	case len(o.held) >= mostHeld:
		o.refuse(ctx, envelope, fmt.Errorf("%w (%d) for it to start", bucket.ErrBusy, mostHeld))
	default:
		o.held = append(o.held, envelope)
	}
}

// forward has the bucket answer the asker. One that has been given up by its supervisor does not come
// back; the grain goes, so that the next question makes a new one.
func (o *owner) forward(ctx protoactor.Context, envelope *protoactor.MessageEnvelope) {
	pid := o.pid()
	if pid == nil {
		o.leave(ctx, o.errStopped())
		o.refuse(ctx, envelope, o.over)
		return
	}
	switch msg := envelope.Message.(type) {
	case follow:
		o.lead(envelope.Sender, msg)
	case where:
		if envelope.Sender != nil {
			ctx.Send(envelope.Sender, position{Run: o.run, Seq: o.seq()})
		}
	default:
		ctx.Send(pid, envelope)
	}
}

// lead begins a session with who wants to follow, in place of the one before.
func (o *owner) lead(to *protoactor.PID, f follow) {
	if to == nil {
		return
	}
	name := to.String()
	if before := o.sessions[name]; before != nil {
		before.stop()
	}
	session, stop := context.WithCancel(context.Background())
	o.sessions[name] = &leading{f.Session, stop}
	service, system, self := o.service, o.border.system, o.self
	go func() {
		defer stop()
		if service.lead(session, to, f, service.run) {
			system.Root.Send(to, bucket.Failed{Err: bucket.ErrStopped})
		}
		system.Root.Send(self, sessionOver{name, f.Session})
	}()
}

func (o *owner) errStopped() error {
	return fmt.Errorf("%w (%w)", bucket.ErrStopped, bucket.ErrNotRunning)
}

// leave ends the grain, and answers what waits and what is still to come.
func (o *owner) leave(ctx protoactor.Context, err error) {
	if o.over != nil {
		return
	}
	o.over = err
	for _, envelope := range o.held {
		o.refuse(ctx, envelope, err)
	}
	o.held = nil
	ctx.Poison(ctx.Self())
}

func (o *owner) refuse(ctx protoactor.Context, envelope *protoactor.MessageEnvelope, err error) {
	if envelope.Sender != nil {
		ctx.Send(envelope.Sender, bucket.Failed{Err: fmt.Errorf("bucket %q: %w", o.nameOf(), err)})
	}
}

func (o *owner) nameOf() string {
	if o.service == nil {
		return o.place.kind()
	}
	return o.name
}
