package bucket

import (
	"slices"
	"sync"
	"sync/atomic"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/loader"
)

// Bucket is the declaration of a bucket and the handle to it in one. A variable
// of the package that owns the data is the normal use:
//
//	var Widgets = bucket.New("widgets", widgetLoader{}, bucket.RefreshEvery(time.Minute))
//
// It runs once a supervisor has started it or its Props have been spawned, one
// actor at a time; after its stop it can be started again, and is then empty. All
// methods may be called at any time by many goroutines.
//
// The zero value is a bucket that cannot be started; use [New].
type Bucket[K comparable, V any] struct {
	name       string
	loader     loader.Loader[K, V]
	companions loader.Companions[K, V]
	options    []Option
	keys       keyRule[K]
	equal      func(a, b V) bool // unless the options say otherwise

	// table is what readers read; nil unless the bucket is ready.
	table atomic.Pointer[table[K, V]]

	turn *actor.Turn // of its actor; apart from the table, because each message changes it

	mu  sync.Mutex // guards the step from one run to the next
	run atomic.Pointer[run[K, V]]
}

// New declares a bucket. It never panics and never fails: whatever is wrong with
// the name, the loader or an option is the error of the start.
func New[K comparable, V any](name string, l loader.Loader[K, V], opts ...Option) *Bucket[K, V] {
	b := &Bucket[K, V]{
		name:    name,
		loader:  l,
		options: slices.Clone(opts),
		keys:    newKeyRule[K](),
		turn:    new(actor.Turn),
		equal:   equality[V](),
	}
	if loader.Check(l) == nil {
		b.companions = loader.CompanionsOf(l)
	}
	return b
}

// Like returns another bucket of that name, declared as this one: with its loader, which wrap may
// replace in part, and its options, and more behind them. See [loader.FuncsOf] for wrap, which may be
// nil.
func (b *Bucket[K, V]) Like(
	name string, wrap func(loader.Loader[K, V]) loader.Loader[K, V], more ...Option,
) *Bucket[K, V] {
	l := b.loader
	if wrap != nil && loader.Check(l) == nil {
		l = wrap(l)
	}
	return New(name, l, slices.Concat(b.options, more)...)
}

// Name returns the bucket's name.
func (b *Bucket[K, V]) Name() string { return b.name }

// Config returns what the bucket runs with or, before it is ready, what is known without
// calling OptionsFunc: the defaults and the options of [New]. The error is an [ErrConfig]
// if something is wrong with them.
func (b *Bucket[K, V]) Config() (Config, error) {
	if r := b.run.Load(); r != nil && r.phase() != phaseOver {
		if config := r.config.Load(); config != nil {
			return *config, nil
		}
	}

	return b.staticConfig(nil)
}

// PID returns where to send messages, or nil while the bucket does not run: protoactor
// panics if a message is sent to that. The PID stays the same through restarts. After the
// stop a message to it is a dead letter.
func (b *Bucket[K, V]) PID() *protoactor.PID {
	if r := b.run.Load(); r != nil && r.phase() != phaseOver {
		return r.self
	}
	return nil
}

// Props returns what it takes to spawn the bucket by hand, anywhere in an actor
// tree. The bucket is usable as soon as the spawn returns: callers wait until it
// is ready. A bad option or a veto of Init ends the actor, with the reason in the
// log and in the errors that callers get.
//
// The actor that spawns it decides what happens when it panics, so it must not wait for
// the bucket in its Receive: a Fetch there may wait for a restart that the actor itself has
// to order. To be told when the bucket is ready, spawn what [Bucket.Announce] returns.
func (b *Bucket[K, V]) Props() *protoactor.Props { return b.props(nil, nil) }

// Announce is [Bucket.Props] for a starter who wants to know when the bucket is
// ready, or why it does not start. A supervisor uses it.
func (b *Bucket[K, V]) Announce(report actor.Report) *protoactor.Props { return b.props(nil, report) }

// Child is something that a supervisor can start. [Bucket] is one itself.
type Child interface {
	Name() string
	Props() *protoactor.Props
	Announce(report actor.Report) *protoactor.Props
}

// With returns the same bucket, to be started with more options than those that
// were given to [New].
func (b *Bucket[K, V]) With(opts ...Option) Child {
	return child[K, V]{Bucket: b, options: slices.Clone(opts)}
}

type child[K comparable, V any] struct {
	*Bucket[K, V]
	options []Option
}

func (c child[K, V]) Props() *protoactor.Props { return c.props(c.options, nil) }

func (c child[K, V]) Announce(report actor.Report) *protoactor.Props {
	return c.props(c.options, report)
}

func (b *Bucket[K, V]) props(more []Option, report actor.Report) *protoactor.Props {
	if report == nil {
		report = func(error) {}
	}
	return actor.GuardWithTurn(
		b.turn,
		func() protoactor.Actor { return &bucketActor[K, V]{bucket: b, options: more, report: report} },
		b.answerFor,
		protoactor.WithOnInit(func(ctx protoactor.Context) { b.claim(ctx) }),
	)
}

// claim makes the actor that is being spawned the bucket's, unless it has one. It
// runs in the spawner's goroutine, so callers find the bucket as soon as the spawn
// has returned. An actor that was too late finds out when it starts.
func (b *Bucket[K, V]) claim(ctx protoactor.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if r := b.run.Load(); r == nil || r.closed() {
		b.run.Store(newRun(b, ctx.ActorSystem(), ctx.Self()))
	}
}
