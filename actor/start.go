package actor

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// Report is how an actor tells its starter that its start is over: with nil when
// it is ready, with the reason when it is not going to run (it then stops
// itself). Only the first call counts. It is safe for use by many goroutines and
// never blocks.
type Report func(err error)

// Announcer is a source of props for an actor that reports when it is ready.
type Announcer interface {
	// Announce returns props whose actor calls report once, for its first
	// incarnation.
	Announce(report Report) *protoactor.Props
}

// undoTimeout bounds the wait for an actor that is stopped because its start
// failed.
const undoTimeout = 10 * time.Second

// Start spawns a root actor and waits until it reports. When it declines, when it
// stops without a report, or when ctx ends first, the actor has stopped and its
// name is free again before Start returns.
//
// The error is the actor's own reason, [ErrNameTaken], [ErrStopped] or wraps
// ctx's. A panic of announce or of the producer is returned as an error, too.
// Start blocks, so an actor must not call it in its Receive.
func Start(
	ctx context.Context,
	system *protoactor.ActorSystem,
	name string,
	announce func(Report) *protoactor.Props,
) (*protoactor.PID, error) {
	reports := make(chan error, 1)
	var once sync.Once
	report := func(err error) { once.Do(func() { reports <- err }) }

	// Found while the actor is sure to be registered: one that declines at once may have
	// left the registry before it can be watched, and still be at work on Stopped.
	var process protoactor.Process
	find := func(ctx protoactor.Context) { process, _ = system.ProcessRegistry.Get(ctx.Self()) }

	pid, err := spawn(system.Root, name, func() *protoactor.Props { return withOnInit(announce(report), find) })
	if err != nil {
		return nil, err
	}
	if process == nil { // props with a SpawnFunc of their own, which need not run hooks
		process = lookUp(system, pid)
	}
	w := watchProcess(system, pid, process)
	defer w.close()

	select {
	case err = <-reports:
	case <-w.stopping:
		// A report is made before the stop, so one that is not there yet never
		// comes.
		select {
		case err = <-reports:
		default:
			err = fmt.Errorf("%w before it was ready: %s", ErrStopped, name)
		}
	case <-ctx.Done():
		err = fmt.Errorf("actor %s is not ready: %w", name, ctx.Err())
	}
	if err == nil {
		return pid, nil
	}

	undo, cancel := context.WithTimeout(context.WithoutCancel(ctx), undoTimeout)
	defer cancel()
	return nil, errors.Join(err, w.stop(undo))
}

// withOnInit returns props with one more hook, and leaves the original as it is.
func withOnInit(props *protoactor.Props, hook func(protoactor.Context)) *protoactor.Props {
	if props == nil {
		return nil
	}
	hooked := *props
	return hooked.Configure(protoactor.WithOnInit(hook))
}

// Spawn is SpawnNamed without its two surprises: it returns a panic of the
// producer (or of protoactor, for props that it refuses) as an error, and
// [ErrNameTaken] instead of the PID of somebody else. In an actor's Receive the
// spawner is its context.
func Spawn(spawner protoactor.SpawnerContext, name string, props *protoactor.Props) (*protoactor.PID, error) {
	return spawn(spawner, name, func() *protoactor.Props { return props })
}

func spawn(spawner protoactor.SpawnerContext, name string, props func() *protoactor.Props) (pid *protoactor.PID, err error) {
	defer func() {
		if p := recover(); p != nil {
			pid, err = nil, fmt.Errorf("actor %s: spawn panicked: %s", name, text(p))
		}
	}()

	ready := props()
	if ready == nil {
		return nil, fmt.Errorf("actor %s: its props are nil", name)
	}
	pid, err = spawner.SpawnNamed(ready, name)
	if errors.Is(err, protoactor.ErrNameExists) {
		return nil, fmt.Errorf("%w: %s", ErrNameTaken, name)
	}
	if err != nil {
		return nil, fmt.Errorf("actor %s: %w", name, err)
	}
	return pid, nil
}
