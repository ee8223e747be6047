package cluster

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"sync/atomic"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/extensions"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/supervisor"
)

// Placed is a bucket that has a place in a cluster: by [OneOwner], [Partitioned] or [Replicated]. It is
// an [Option]: a bucket that is placed is carried as well.
type Placed struct {
	carried Carried
	bucket  any // the *bucket.Bucket[K, V]
	err     error
	open    func(border *Border) place
}

// apply implements [Option].
func (p Placed) apply(s *settings) {
	p.carried.apply(s)
	s.placed = append(s.placed, p)
}

// place is a placed bucket in one member.
type place interface {
	kind() string
	// serve is what a grain of that identity is to run.
	serve(identity string) (*service, error)
}

// service is what a grain runs.
type service struct {
	name string
	pid  func() *protoactor.PID
	tree *supervisor.Supervisor
	run  uint64 // the name of this life of the bucket
	seq  func() uint64

	// prepare, if there is one, comes before the bucket is started.
	prepare func(ctx context.Context)

	// restore, if there is one, gives the bucket what its copies hold, before others may ask it.
	restore func(ctx context.Context) error

	// These are told when the bucket begins to serve, when it is to be stopped, and when it has been.
	began, ending, stopped func()

	// lead keeps a follower up to date, until ctx ends or it does not follow any more.
	// It says whether there will be no more.
	lead func(ctx context.Context, to *protoactor.PID, f follow, run uint64) bool
}

// placement is a place of a typed bucket.
type placement[K comparable, V any] struct {
	border *Border
	name   string
	parts  []part[K, V] // one, unless it is partitioned
	where  func(key K) (int, error)
	copies *copies[K, V] // of a replicated bucket, in this member
}

// part is what one grain runs: a bucket, or a share of one.
type part[K comparable, V any] struct {
	identity string
	bucket   *bucket.Bucket[K, V]
	options  []bucket.Option
	serving  *atomic.Bool // its owner is here, and ready
}

func newPart[K comparable, V any](identity string, b *bucket.Bucket[K, V], options []bucket.Option) part[K, V] {
	return part[K, V]{identity, b, slices.Concat(options, []bucket.Option{lastly(freshened)}), new(atomic.Bool)}
}

// kindOf is the kind of a bucket's grains. protoactor takes no slashes in it.
func kindOf(name string) string { return "dataworker." + url.PathEscape(name) }

func (p *placement[K, V]) kind() string { return kindOf(p.name) }

func (p *placement[K, V]) serve(identity string) (*service, error) {
	for _, part := range p.parts {
		if part.identity == identity {
			return p.service(part), nil
		}
	}
	return nil, fmt.Errorf("%w: %q is no part of bucket %q here, which has %d: place it in all members in the same way",
		ErrConfig, identity, p.name, len(p.parts))
}

func (p *placement[K, V]) service(part part[K, V]) *service {
	b := part.bucket
	s := &service{
		name: part.identity,
		pid:  b.PID,
		tree: supervisor.New(p.border.system, supervisor.Logger(p.border.log),
			supervisor.With(b.With(part.options...))),
		run: rand.Uint64(), //nolint:gosec // a name, and no secret
		seq: b.Seq,

		began:   func() { part.serving.Store(true) },
		ending:  func() { part.serving.Store(false) },
		stopped: func() {},

		lead: func(ctx context.Context, to *protoactor.PID, f follow, run uint64) bool {
			return lead(ctx, p.border, b, to, f, run)
		},
	}
	if p.copies != nil {
		s.prepare = p.copies.take
		s.restore = func(ctx context.Context) error { return p.copies.restore(ctx, b) }
		p.copies.serve(s, b)
	}
	return s
}

// freshened has a bucket that starts with a file ask its source at once: while it was elsewhere, its
// file has grown old here.
func freshened(c *bucket.Config) {
	if c.File != "" {
		c.RefreshAtStart = true
	}
}

// lastly has an option come behind those of OptionsFunc as well.
func lastly(option bucket.Option) bucket.Option {
	return func(c *bucket.Config) {
		option(c)
		if late := c.OptionsFunc; late != nil {
			c.OptionsFunc = func() ([]bucket.Option, error) {
				opts, err := late()
				return append(opts, option), err
			}
		}
	}
}

// Kinds are what protoactor's cluster has to know of the buckets that are placed. A member without
// them can ask, and has no bucket put into it.
//
//	config := protocluster.Configure("shop", provider, disthash.New(), remoteConfig,
//		protocluster.WithKinds(border.Kinds()...))
func (b *Border) Kinds() []*protocluster.Kind {
	var kinds []*protocluster.Kind
	for _, p := range b.settings.placed {
		pl := b.places[p.bucket]
		props := actor.Guard(func() protoactor.Actor { return &owner{border: b, place: pl} }, func(_ any, err error) any {
			return bucket.Failed{Err: fmt.Errorf("%w: %w", bucket.ErrNotRunning, err)}
		})
		kinds = append(kinds, protocluster.NewKind(pl.kind(), props))
	}
	return kinds
}

// openPlaces opens what is placed, each bucket once.
func (b *Border) openPlaces() error {
	b.places = map[any]place{}
	kinds := map[string]bool{}
	for _, p := range b.settings.placed {
		if p.err != nil {
			return p.err
		}
		pl := p.open(b)
		if kinds[pl.kind()] {
			return fmt.Errorf("%w: bucket %q is placed twice", ErrConfig, p.carried.bucket)
		}
		kinds[pl.kind()] = true
		b.places[p.bucket] = pl
	}
	return nil
}

// bordersID finds the border of a system.
var bordersID = extensions.NextExtensionID()

// ExtensionID is for protoactor: the border belongs to its system.
func (b *Border) ExtensionID() extensions.ExtensionID { return bordersID }

func borderOf(system *protoactor.ActorSystem) *Border {
	b, _ := system.Extensions.Get(bordersID).(*Border)
	return b
}

// keyCodec writes keys as the bucket's file does.
func keyCodec[K comparable, V any](b *bucket.Bucket[K, V]) (dump.Codec, error) {
	config, err := b.Config()
	if err != nil {
		return nil, err
	}
	return dump.CodecFor(reflect.TypeFor[K](), config.KeyCodec), nil
}
