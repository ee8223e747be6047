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
// included. A PID at which nobody lives has stopped already.
//
// protoactor can lose a Stop: when the actor has children and panics, or is
// restarted by a back-off timer, while the Stop is in its queue, it restarts
// instead. So Stop asks again until the actor is gone. A guarded actor does not
// lose it in the first place.
//
// The error wraps ctx's when ctx ends first; the actor has then been told, and
// may still stop later. Stop blocks, so an actor must not call it in its Receive.
func Stop(ctx context.Context, system *protoactor.ActorSystem, pid *protoactor.PID) error {
	process, alive := system.ProcessRegistry.Get(pid)
	if !alive {
		return nil
	}
	w := newWatch(system, pid)
	defer w.close()
	process.Stop(pid)

	missing := 0 // rounds in a row in which the registry had lost the process
	for retry := firstStopRetry; ; retry = min(2*retry, lastStopRetry) {
		timer := time.NewTimer(retry)
		select {
		case <-w.done:
			timer.Stop()
			return nil
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("actor %s has not stopped: %w", pid.Id, ctx.Err())
		case <-timer.C:
		}

		// An actor leaves the registry just before it tells its watchers. One that
		// panics between the two never tells them.
		current, alive := system.ProcessRegistry.Get(pid)
		if alive && current == process {
			missing = 0
			process.SendSystemMessage(pid, &protoactor.Stop{})
			continue
		}
		if missing++; missing > 1 && retry == lastStopRetry {
			return nil
		}
	}
}
