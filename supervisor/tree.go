package supervisor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

// tree is one life of a supervisor, from its spawn to its stop, as seen from outside
// its actor. It outlives the actor's incarnations.
type tree struct {
	supervisor *Supervisor
	system     *protoactor.ActorSystem
	self       *protoactor.PID
	roll       atomic.Pointer[[]rollEntry] // the children as they are now

	ctx    context.Context // lives as long as the tree; for the boot
	cancel context.CancelFunc

	booted  chan struct{} // closed when the children of With have started, or failed to
	bootErr error         // set before
}

type rollEntry struct {
	ChildStatus
	child Child
}

// done answers every request to the supervisor's actor.
type done struct{ err error }

type (
	add    struct{ spec spec }
	remove struct{ name string }
)

func newTree(s *Supervisor, system *protoactor.ActorSystem, self *protoactor.PID) *tree {
	t := &tree{supervisor: s, system: system, self: self, booted: make(chan struct{})}
	t.ctx, t.cancel = context.WithCancel(context.Background())
	t.roll.Store(new([]rollEntry))
	return t
}

func (t *tree) isOver() bool { return t.ctx.Err() != nil }

func (t *tree) names() []string {
	var names []string
	for _, entry := range *t.roll.Load() {
		names = append(names, entry.Name)
	}
	return names
}

// boot starts the children of With. It runs in a goroutine of its own.
func (t *tree) boot(report actor.Report) {
	t.bootErr = t.addAll(t.ctx, t.supervisor.settings.children)
	close(t.booted)
	report(t.bootErr)
	if t.bootErr != nil && !t.isOver() {
		t.supervisor.settings.logger.WithError(t.bootErr).Error("supervisor stops: a child did not start")
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
		return ErrNotRunning
	}
}

// addAll adds children in order. If one fails, those before it are removed again, in
// reverse.
func (t *tree) addAll(ctx context.Context, children []Child) error {
	var added []string
	for _, child := range children {
		spec, err := newSpec(child)
		if err == nil {
			err = t.add(ctx, spec)
		}
		if err == nil {
			added = append(added, spec.name)
			continue
		}

		undo, cancel := undoContext(ctx)
		defer cancel()
		for _, name := range slices.Backward(added) {
			err = errors.Join(err, t.remove(undo, name))
		}
		return err
	}
	return nil
}

// add asks the actor to start a child and waits until it is ready.
func (t *tree) add(ctx context.Context, spec spec) error {
	reply, err := actor.Ask[done](ctx, t.system, t.self, add{spec})
	if err == nil {
		err = reply.err
	} else if ctx.Err() != nil {
		// It was spawned and is not ready. Its start is over for us.
		undo, cancel := undoContext(ctx)
		defer cancel()
		if undone := t.remove(undo, spec.name); undone != nil && !errors.Is(undone, ErrUnknownChild) {
			err = errors.Join(err, undone)
		}
	}
	if err != nil {
		return &StartError{Child: spec.name, Err: err}
	}
	return nil
}

func (t *tree) remove(ctx context.Context, name string) error {
	reply, err := actor.Ask[done](ctx, t.system, t.self, remove{name})
	switch {
	case errors.Is(err, actor.ErrNoActor), errors.Is(reply.err, actor.ErrStopped):
		return ErrNotRunning // and so its children are gone, too
	case err != nil:
		return fmt.Errorf("supervisor: %q has not stopped: %w", name, err)
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
