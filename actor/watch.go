package actor

import (
	"sync"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// watch is a watcher that is not an actor.
type watch struct {
	system  *protoactor.ActorSystem
	pid     *protoactor.PID // the watcher's
	target  *protoactor.PID
	process protoactor.Process // at target, nil if nobody lived there

	// protoactor tells a watcher that an actor has terminated when it has, but also
	// when the Watch comes while it still waits for its children.
	stopping chan struct{} // closed when the target is stopping, or has stopped
	stopped  chan struct{} // closed when it has stopped, its children included
	noted    sync.Once     // closes stopping
	over     sync.Once     // closes stopped
}

// newWatch watches whoever lives at target.
func newWatch(system *protoactor.ActorSystem, target *protoactor.PID) *watch {
	return watchProcess(system, target, lookUp(system, target))
}

// watchProcess watches a process that was found at target, even if it has left the
// registry since; nil is nobody.
func watchProcess(system *protoactor.ActorSystem, target *protoactor.PID, process protoactor.Process) *watch {
	w := &watch{
		system: system, target: target, process: process,
		stopping: make(chan struct{}), stopped: make(chan struct{}),
	}
	for {
		pid, absent := system.ProcessRegistry.Add(w, "watch"+system.ProcessRegistry.NextId())
		if absent {
			w.pid = pid
			break
		}
	}
	// A PID keeps the process that it once led to. So the Terminated of a target that
	// outlives the watch comes to us all the same, and is no dead letter.
	system.Root.Stop(w.pid)

	if process == nil {
		w.terminated()
	} else {
		w.ask()
	}
	return w
}

// lookUp returns the process at pid, or nil.
func lookUp(system *protoactor.ActorSystem, pid *protoactor.PID) protoactor.Process {
	if process, alive := system.ProcessRegistry.Get(pid); alive {
		return process
	}
	return nil
}

// ask asks to be told, again if need be.
func (w *watch) ask() {
	w.process.SendSystemMessage(w.target, &protoactor.Watch{Watcher: w.pid})
}

// close ends the watch; a target that lives on forgets the watcher.
func (w *watch) close() {
	if w.alive() {
		w.process.SendSystemMessage(w.target, &protoactor.Unwatch{Watcher: w.pid})
	}
	w.system.ProcessRegistry.Remove(w.pid)
}

// alive says whether the target still has its name. An actor loses it before its last
// message, Stopped.
func (w *watch) alive() bool {
	return w.process != nil && lookUp(w.system, w.target) == w.process
}

func (w *watch) terminated() {
	w.noted.Do(func() { close(w.stopping) })
	if !w.alive() {
		w.over.Do(func() { close(w.stopped) })
	}
}

// SendUserMessage implements protoactor.Process.
func (w *watch) SendUserMessage(*protoactor.PID, any) {}

// SendSystemMessage implements protoactor.Process. It is called in the target's turn,
// so by the time of its Terminated either the target waits for its children and is
// alive, or Stopped is behind it.
func (w *watch) SendSystemMessage(_ *protoactor.PID, message any) {
	if _, ok := message.(*protoactor.Terminated); ok {
		w.terminated()
	}
}

// Stop implements protoactor.Process. A watch is stopped by close.
func (w *watch) Stop(*protoactor.PID) {}
