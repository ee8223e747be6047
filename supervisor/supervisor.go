package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
)

// Supervisor starts, watches and stops its children. All methods may be called at any
// time by many goroutines; those that start and stop something take turns. They
// block, so an actor must not call them in its Receive.
type Supervisor struct {
	system   *protoactor.ActorSystem
	settings settings
	invalid  error // what is wrong with the options

	turn chan struct{} // holds a token while nobody starts or stops anything
	tree atomic.Pointer[tree]
}

// New makes a supervisor in system. It never fails: a bad option is the error of the
// start.
func New(system *protoactor.ActorSystem, opts ...Option) *Supervisor {
	s := &Supervisor{system: system, turn: make(chan struct{}, 1)}
	s.settings, s.invalid = newSettings(opts)
	if system == nil {
		s.invalid = errors.Join(s.invalid, fmt.Errorf("%w: the actor system is nil", ErrConfig))
	}
	s.turn <- struct{}{}
	return s
}

// Start is [New] without options, and [Supervisor.Start].
func Start(ctx context.Context, system *protoactor.ActorSystem, children ...Child) (*Supervisor, error) {
	s := New(system)
	if err := s.Start(ctx, children...); err != nil {
		return nil, err
	}
	return s, nil
}

// Start starts the children of [With] and then these, in order, each ready before the
// next begins. A supervisor that runs already, by an earlier Start or because its
// [Supervisor.Props] were spawned, goes on and adds these.
//
// If a child does not start, or ctx ends first, the children that this call has
// started have stopped again, in reverse, when it returns; so has the supervisor, if
// this call has started it. The error is a [*StartError], or an [ErrConfig].
func (s *Supervisor) Start(ctx context.Context, children ...Child) error {
	if s.invalid != nil {
		return s.invalid
	}
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()

	t := s.running()
	if t == nil {
		return s.startTree(ctx, children)
	}
	if err := t.awaitBoot(ctx); err != nil {
		return err
	}
	return t.addAll(ctx, children)
}

// startTree spawns the supervisor as a root actor.
func (s *Supervisor) startTree(ctx context.Context, children []Child) error {
	name := "supervisor" + s.system.ProcessRegistry.NextId()
	pid, err := actor.Start(ctx, s.system, name, s.Announce)
	if err != nil {
		return err
	}
	t := s.running()
	if t == nil {
		return ErrNotRunning // stopped by somebody else in this very moment
	}
	if err = t.addAll(ctx, children); err != nil {
		undo, cancel := undoContext(ctx)
		defer cancel()
		err = errors.Join(err, s.stopTree(undo, pid))
	}
	return err
}

// Add starts one more child. The error is that of [Supervisor.Start], or
// [ErrNotRunning].
func (s *Supervisor) Add(ctx context.Context, child Child) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()

	t := s.running()
	if t == nil {
		return ErrNotRunning
	}
	return t.addAll(ctx, []Child{child})
}

// Remove stops the child of that name, waits until it has stopped, and forgets it. The
// error wraps [ErrUnknownChild], [ErrNotRunning], or ctx's: the child has then been
// told to stop.
func (s *Supervisor) Remove(ctx context.Context, name string) error {
	release, err := s.takeTurn(ctx)
	if err != nil {
		return err
	}
	defer release()

	t := s.running()
	if t == nil {
		return ErrNotRunning
	}
	return t.remove(ctx, name)
}

// Stop stops the children in reverse, each gone before the next is told, and then the
// supervisor; it can be started again afterwards. A supervisor that does not run has
// stopped already.
//
// If ctx ends first, its error is wrapped and the stop goes on without the caller, also
// when ctx has ended before.
func (s *Supervisor) Stop(ctx context.Context) error {
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop(context.WithoutCancel(ctx)) }()
	select {
	case err := <-stopped:
		return err
	case <-ctx.Done():
		var names []string
		for _, child := range s.Status() {
			names = append(names, child.Name)
		}
		return fmt.Errorf("supervisor: still stopping %q: %w", names, ctx.Err())
	}
}

// stop is Stop for a caller who waits as long as it takes.
func (s *Supervisor) stop(ctx context.Context) error {
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	if t := s.running(); t != nil {
		return s.stopTree(ctx, t.self)
	}
	return nil
}

func (s *Supervisor) stopTree(ctx context.Context, pid *protoactor.PID) error {
	var errs []error
	if t := s.running(); t != nil {
		for _, name := range slices.Backward(t.names()) {
			if err := t.remove(ctx, name); err != nil && !errors.Is(err, ErrUnknownChild) && !errors.Is(err, ErrNotRunning) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(append(errs, actor.Stop(ctx, s.system, pid))...)
}

// Children returns the children that were added and not removed, in the order of
// their start, those that are given up included.
func (s *Supervisor) Children() []Child {
	var children []Child
	if t := s.running(); t != nil {
		for _, member := range *t.roll.Load() {
			children = append(children, member.child)
		}
	}
	return children
}

// Status returns how the children are, in the order of their start. It never blocks.
func (s *Supervisor) Status() []ChildStatus {
	var all []ChildStatus
	if t := s.running(); t != nil {
		for _, member := range *t.roll.Load() {
			all = append(all, *member.status.Load())
		}
	}
	return all
}

// PID returns the supervisor's own PID, or nil while it does not run.
func (s *Supervisor) PID() *protoactor.PID {
	if t := s.running(); t != nil {
		return t.self
	}
	return nil
}

// Props returns what it takes to spawn the supervisor as a child of an actor of your
// own. It starts the children of [With] by itself; if one of them does not start, it
// logs that and stops. [Supervisor.Start], called from outside the actor after the spawn,
// waits for them and adds more; before the spawn it would make a root supervisor. Children that were added are lost when your actor restarts.
//
// When your actor stops, the children are stopped together rather than in reverse.
// A supervisor runs once at a time: a second spawn stops at once.
func (s *Supervisor) Props() *protoactor.Props { return s.Announce(func(error) {}) }

// Announce is [Supervisor.Props] for a starter who wants to know when the children of
// [With] are ready.
func (s *Supervisor) Announce(report actor.Report) *protoactor.Props {
	return actor.Guard(
		func() protoactor.Actor { return &treeActor{supervisor: s, report: report} },
		answerFor,
		protoactor.WithOnInit(func(ctx protoactor.Context) {
			if t := s.tree.Load(); t == nil || t.isOver() {
				s.tree.CompareAndSwap(t, newTree(s, ctx.ActorSystem(), ctx.Self()))
			}
		}),
	)
}

// answerFor speaks for an actor that cannot.
func answerFor(_ any, err error) any {
	if errors.Is(err, actor.ErrStopped) {
		return done{ErrNotRunning}
	}
	return done{fmt.Errorf("supervisor: %w", err)}
}

// running returns the tree that runs, or nil.
func (s *Supervisor) running() *tree {
	if t := s.tree.Load(); t != nil && !t.isOver() {
		return t
	}
	return nil
}

func (s *Supervisor) takeTurn(ctx context.Context) (release func(), err error) {
	if ctx.Err() != nil {
		return nil, fmt.Errorf("supervisor: %w", ctx.Err())
	}
	select {
	case <-s.turn:
		return func() { s.turn <- struct{}{} }, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("supervisor: busy starting or stopping: %w", ctx.Err())
	}
}

// log lets write write a line. Hooks, formatters and the methods of a child's error are
// other people's code: when they panic, that costs the line and nothing else.
func (s *Supervisor) log(write func(logrus.FieldLogger)) {
	defer func() { _ = recover() }()
	write(s.settings.logger)
}
