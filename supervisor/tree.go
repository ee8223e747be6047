package supervisor

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
)

// tree is one life of a supervisor, from its spawn to its stop, as seen from outside
// its actor. It outlives the actor's incarnations.
type tree struct {
	supervisor *Supervisor
	system     *protoactor.ActorSystem
	self       *protoactor.PID
	roll       atomic.Pointer[[]*rollEntry] // the children as they are now

	ctx    context.Context // lives as long as the tree; for the boot
	cancel context.CancelFunc

	booted  chan struct{} // closed when the children of With have started, or failed to
	bootErr error         // set before
}

// rollEntry is what the world sees of a child.
type rollEntry struct {
	child  Child
	status atomic.Pointer[ChildStatus]
}

// done answers every request to the supervisor's actor.
type done struct{ err error }

// What is asked of the supervisor's actor, in that life of it which is tree.
type (
	add struct {
		tree *tree
		spec *spec
	}

	remove struct {
		tree *tree
		name string
		spec *spec // if not nil: only the child that this one stands for
	}
)

func newTree(s *Supervisor, system *protoactor.ActorSystem, self *protoactor.PID) *tree {
	t := &tree{supervisor: s, system: system, self: self, booted: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.roll.Store(new([]*rollEntry))
	return t
}

func (t *tree) isOver() bool { return t.ctx.Err() != nil }

func (t *tree) names() []string {
	var names []string
	for _, entry := range *t.roll.Load() {
		names = append(names, entry.status.Load().Name)
	}
	return names
}

// boot starts the children of With. It runs in a goroutine of its own.
func (t *tree) boot(report actor.Report) {
	t.bootErr = t.addAll(t.ctx, t.supervisor.settings.children)
	if t.bootErr != nil && t.isOver() {
		t.bootErr = ErrNotRunning // the context that ended was ours, and nobody else's
	}
	close(t.booted)
	report(t.bootErr)
	if t.bootErr != nil && !t.isOver() {
		t.supervisor.log(func(logger logrus.FieldLogger) {
			logger.WithError(t.bootErr).Error("supervisor stops: a child did not start")
		})
		t.system.Root.Stop(t.self)
	}
}

func (t *tree) awaitBoot(ctx context.Context) error {
	select {
	case <-t.booted:
		return t.bootErr
	case <-ctx.Done():
		return fmt.Errorf("supervisor: starting its children: %w", ctx.Err())
	case <-t.ctx.Done():
		// A boot that failed has stopped the supervisor, and its error says more.
		select {
		case <-t.booted:
			return cmp.Or(t.bootErr, ErrNotRunning)
		default:
			return ErrNotRunning
		}
	}
}

// addAll adds children in order. If one fails, those before it are removed again, in
// reverse.
func (t *tree) addAll(ctx context.Context, children []Child) error {
	var added []*spec
	for _, child := range children {
		spec, err := newSpec(child)
		if err == nil {
			err = t.add(ctx, spec)
		}
		if err == nil {
			added = append(added, spec)
			continue
		}

		undo, cancel := undoContext(ctx)
		defer cancel()
		for _, spec := range slices.Backward(added) {
			err = errors.Join(err, t.undo(undo, spec))
		}
		return err
	}
	return nil
}

// add asks the actor to start a child and waits until it is ready.
func (t *tree) add(ctx context.Context, spec *spec) error {
	reply, err := actor.Ask[done](ctx, t.system, t.self, add{t, spec})
	switch {
	case err == nil:
		err = reply.err
	case errors.Is(err, actor.ErrNoActor):
		err = ErrNotRunning
	case ctx.Err() != nil:
		// It was spawned and is not ready. Its start is over for us.
		undo, cancel := undoContext(ctx)
		defer cancel()
		err = errors.Join(err, t.undo(undo, spec))
	}
	if err != nil {
		return &StartError{Child: spec.name, Err: err}
	}
	return nil
}

// undo removes what an add of this very spec has started. Another child that has the
// name is none of its business: the add may have been refused because of it, unheard by
// a caller who had gone.
func (t *tree) undo(ctx context.Context, spec *spec) error {
	err := t.end(ctx, remove{t, spec.name, spec})
	if errors.Is(err, ErrUnknownChild) || errors.Is(err, ErrNotRunning) {
		return nil // it is gone
	}
	return err
}

func (t *tree) remove(ctx context.Context, name string) error {
	return t.end(ctx, remove{t, name, nil})
}

func (t *tree) end(ctx context.Context, msg remove) error {
	reply, err := actor.Ask[done](ctx, t.system, t.self, msg)
	switch {
	case errors.Is(err, actor.ErrNoActor):
		return ErrNotRunning // and so its children are gone, too
	case err != nil:
		return fmt.Errorf("supervisor: %q has not stopped: %w", msg.name, err)
	default:
		return reply.err
	}
}

// undoTimeout bounds the clean-up after a start that failed.
const undoTimeout = 10 * time.Second

// undoContext is for the clean-up on behalf of a caller whose own context may be over.
func undoContext(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
}
