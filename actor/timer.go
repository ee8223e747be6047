package actor

import (
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// Tick is what a timer of [After] sends. It carries the incarnation that set the
// timer, because stopping a timer cannot take back a tick that is in the mailbox
// already:
//
//	old: Started, After(1s, poll)
//	old: panics; meanwhile the timer fires and its tick is queued
//	old: Restarting, stops the timer: too late
//	new: Started, After(1s, poll)
//	new: the old tick           <- must not count as the new one's
type Tick struct {
	Incarnation Incarnation
	Message     any
}

// IgnoreDeadLetterLogging keeps a tick for an actor that is gone out of the log.
func (Tick) IgnoreDeadLetterLogging() {}

// Incarnation tells the lives of an actor apart: take a new one in Started, and
// ignore what carries another.
type Incarnation uint64

var incarnations atomic.Uint64

// NewIncarnation returns a number that no other incarnation in this process has.
// It is never zero.
func NewIncarnation() Incarnation { return Incarnation(incarnations.Add(1)) }

// Timer is a timer set by [After].
type Timer struct{ timer *time.Timer }

// After sends tick to pid once, d from now; zero or less is at once. It costs no
// goroutine while it waits. Stop it in both Stopping and Restarting.
func After(system *protoactor.ActorSystem, pid *protoactor.PID, d time.Duration, tick Tick) *Timer {
	root := system.Root
	if d <= 0 {
		go root.Send(pid, tick)
		return nil
	}
	return &Timer{time.AfterFunc(d, func() { root.Send(pid, tick) })}
}

// Stop keeps the timer from firing if it has not fired yet. A nil Timer has
// nothing to stop.
func (t *Timer) Stop() {
	if t != nil {
		t.timer.Stop()
	}
}
