package actor

import (
	"sync"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// watch is a watcher that is not an actor: done is closed when the watched
// process has stopped.
type watch struct {
	system *protoactor.ActorSystem
	pid    *protoactor.PID // the watcher's
	target *protoactor.PID
	done   chan struct{}
	once   sync.Once
}

func newWatch(system *protoactor.ActorSystem, target *protoactor.PID) *watch {
	w := &watch{system: system, target: target, done: make(chan struct{})}
	for {
		pid, absent := system.ProcessRegistry.Add(w, "watch"+system.ProcessRegistry.NextId())
		if absent {
			w.pid = pid
			break
		}
	}
	if process, alive := system.ProcessRegistry.Get(target); alive {
		process.SendSystemMessage(target, &protoactor.Watch{Watcher: w.pid})
	} else {
		w.over()
	}
	return w
}

// close ends the watch; a target that lives on forgets the watcher.
func (w *watch) close() {
	if process, alive := w.system.ProcessRegistry.Get(w.target); alive {
		process.SendSystemMessage(w.target, &protoactor.Unwatch{Watcher: w.pid})
	}
	w.system.ProcessRegistry.Remove(w.pid)
}

func (w *watch) over() { w.once.Do(func() { close(w.done) }) }

// SendUserMessage implements protoactor.Process.
func (w *watch) SendUserMessage(*protoactor.PID, any) {}

// SendSystemMessage implements protoactor.Process.
func (w *watch) SendSystemMessage(_ *protoactor.PID, message any) {
	if _, ok := message.(*protoactor.Terminated); ok {
		w.over()
	}
}

// Stop implements protoactor.Process.
func (w *watch) Stop(*protoactor.PID) {}
