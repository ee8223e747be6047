package cluster

import (
	"errors"
	"fmt"
	"net/url"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

// Placed is a bucket that has a place in a cluster; see [OneOwner]. It is an [Option]: a bucket that
// is placed is carried as well.
type Placed struct {
	carried Carried
	kind    string
	make    func(b *Border) protoactor.Actor
}

// apply implements [Option].
func (p Placed) apply(s *settings) {
	p.carried.apply(s)
	s.placed = append(s.placed, p)
}

// OneOwner has a bucket live once in the cluster, in the member that protoactor's lookup chooses. It
// is started there when it is first asked for, under a supervisor of its own, with these options
// besides its own; when that member leaves, another one takes it over. All members name it.
//
// Two members may take themselves for the owner for a moment, while members come and go: then both
// load. A file must not be shared between them unless it is on a disk where locks hold: the second
// one does not start then.
func OneOwner[K comparable, V any](b *bucket.Bucket[K, V], opts ...bucket.Option) Placed {
	return Placed{
		carried: Carry(b),
		kind:    kindOf(b.Name()),
		make: func(border *Border) protoactor.Actor {
			return &owner{
				border: border,
				name:   b.Name(),
				pid:    b.PID,
				tree: supervisor.New(border.system, supervisor.Logger(border.log),
					supervisor.With(b.With(opts...))),
			}
		},
	}
}

// kindOf is the kind of a bucket's grains. protoactor takes no slashes in it.
func kindOf(name string) string { return "dataworker." + url.PathEscape(name) }

// Kinds are what protoactor's cluster has to know of the buckets that are placed.
//
//	config := protocluster.Configure("shop", provider, disthash.New(), remoteConfig,
//		protocluster.WithKinds(border.Kinds()...))
func (b *Border) Kinds() []*protocluster.Kind {
	var kinds []*protocluster.Kind
	for _, p := range b.settings.placed {
		props := actor.Guard(func() protoactor.Actor { return p.make(b) }, func(_ any, err error) any {
			return bucket.Failed{Err: fmt.Errorf("%w: %w", bucket.ErrNotRunning, err)}
		})
		kinds = append(kinds, protocluster.NewKind(p.kind, props))
	}
	return kinds
}

// owner is the grain of a bucket: a shell around a supervisor around the bucket. protoactor restarts
// its grains by a strategy of its own; the bucket is restarted by ours.
//
//	placement ──▶ owner ──▶ supervisor ──▶ bucket
//	asker ──Fetch──▶ owner ──Fetch, for the asker──▶ bucket ──Found──▶ asker
type owner struct {
	border *Border
	name   string
	pid    func() *protoactor.PID
	tree   *supervisor.Supervisor

	child *protoactor.PID
	ready bool
	over  error // why it does not serve any more
	held  []*protoactor.MessageEnvelope
}

// opened is the supervisor's word that the bucket runs, or does not.
type opened struct{ err error }

func (opened) IgnoreDeadLetterLogging() {}

// Receive implements protoactor.Actor.
func (o *owner) Receive(ctx protoactor.Context) {
	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		self := ctx.Self()
		o.child = ctx.Spawn(o.tree.Announce(func(err error) { o.border.system.Root.Send(self, opened{err}) }))
	case opened:
		o.opened(ctx, msg.err)
	case *protoactor.Terminated:
		if o.child.Equal(msg.Who) {
			o.leave(ctx, fmt.Errorf("bucket %q: %w (%w)", o.name, bucket.ErrStopped, bucket.ErrNotRunning))
		}
	default:
		if plain(msg) {
			o.serve(ctx)
		}
	}
}

// opened serves those who came before the bucket was ready.
func (o *owner) opened(ctx protoactor.Context, err error) {
	if err != nil {
		o.leave(ctx, err)
		return
	}
	o.ready = true
	for _, envelope := range o.held {
		o.forward(ctx, envelope)
	}
	o.held = nil
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
		o.refuse(ctx, envelope, fmt.Errorf("bucket %q: %w (%d) for it to start", o.name, bucket.ErrBusy, mostHeld))
	default:
		o.held = append(o.held, envelope)
	}
}

// forward has the bucket answer the asker. One that has been given up by its supervisor does not come
// back; the grain goes, so that the next question makes a new one.
func (o *owner) forward(ctx protoactor.Context, envelope *protoactor.MessageEnvelope) {
	if pid := o.pid(); pid != nil {
		ctx.Send(pid, envelope)
		return
	}
	o.leave(ctx, fmt.Errorf("bucket %q: %w (%w)", o.name, bucket.ErrStopped, bucket.ErrNotRunning))
	o.refuse(ctx, envelope, o.over)
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
		ctx.Send(envelope.Sender, bucket.Failed{Err: err})
	}
}

// again says that a question was not served, and that another member, or this one in a moment, will.
func again(err error) bool {
	return errors.Is(err, bucket.ErrNotRunning) || errors.Is(err, bucket.ErrAlreadyRunning) ||
		errors.Is(err, bucket.ErrNameTaken) || errors.Is(err, actor.ErrNoActor)
}
