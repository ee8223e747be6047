package actor

import (
	"context"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

const (
	firstStopRetry = 50 * time.Millisecond
	lastStopRetry  = time.Second
)

// Stop stops the actor at pid and waits until it has stopped, its children
// included, whoever told it first. A PID at which nobody lives has stopped already.
//
// protoactor can lose a Stop: when the actor has children and panics, or is
// restarted by a back-off timer, while the Stop is in its queue, it restarts
// instead. So Stop asks again until the actor is gone. A guarded actor does not
// lose it in the first place.
//
// The error wraps ctx's when ctx ends first; the actor has then been told, and
// may still stop later. Stop blocks, so an actor must not call it in its Receive.
func Stop(ctx context.Context, system *protoactor.ActorSystem, pid *protoactor.PID) error {
	w := newWatch(system, pid)
	defer w.close()
	if w.process == nil {
		return nil
	}
	return w.stop(ctx)
}

// stop stops whom w watches.
func (w *watch) stop(ctx context.Context) error {
	if w.alive() {
		w.process.Stop(w.target)
	}
	for retry := firstStopRetry; ; retry = min(2*retry, lastStopRetry) {
		timer := time.NewTimer(retry)
		select {
		case <-w.stopped:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("actor %s has not stopped: %w", w.target.Id, ctx.Err())
		case <-timer.C:
		}

		if w.alive() {
			w.process.SendSystemMessage(w.target, &protoactor.Stop{})
			continue
		}
		// It is at work on Stopped, or was stopping before we came, or has panicked in
		// Stopped and told nobody. In each case it answers another Watch when it is through.
		w.ask()
	}
}
