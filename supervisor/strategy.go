package supervisor

import (
	"fmt"
	"slices"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
)

// HandleFailure makes treeActor the strategy for its children. protoactor calls it in
// the actor's turn, when a child has panicked and its mailbox is suspended.
//
// protoactor's own strategies restart at once, or from a timer that does not know that
// the child is being stopped meanwhile. Here the timer sends a message, and the decision
// falls when that is handled.
func (a *treeActor) HandleFailure(
	_ *protoactor.ActorSystem,
	restarter protoactor.Supervisor,
	child *protoactor.PID,
	_ *protoactor.RestartStatistics,
	reason, _ any,
) {
	a.restarter = restarter
	m := a.findPID(child)
	if m == nil || m.state == Stopping || m.state == GivenUp {
		restarter.StopChildren(child)
		return
	}

	m.failure = asError(reason)
	failures := m.countFailure(time.Now(), a.supervisor.settings.window)
	if failures > a.supervisor.settings.maxRestarts {
		a.giveUp(m, failures)
		return
	}
	pause := a.supervisor.settings.pause(failures)
	m.state = Waiting
	m.show()
	a.logFailure(m, logrus.Fields{"pause": pause, "failures": failures}, "child crashed; restarting it")
	a.after(m, pause, restartDue{m})
}

// restart is due after the pause, unless the child is being stopped by now.
func (a *treeActor) restart(m *member) {
	if m.state != Waiting || m.pid == nil {
		return
	}
	m.restarts++
	m.state = Running
	if m.starter != nil {
		m.state = Starting
	}
	m.show()
	a.restarter.RestartChildren(m.pid)
	if m.starter != nil {
		a.touch(m) // again: the first may be what it did not survive
	}
	a.publish(Restarted{Child: m.spec.name, Restarts: m.restarts, Reason: m.failure})
}

func (a *treeActor) giveUp(m *member, failures int) {
	m.state = GivenUp
	m.show()
	a.logFailure(m, logrus.Fields{"failures": failures, "window": a.supervisor.settings.window},
		"child crashed too often; it stays stopped")
	a.restarter.StopChildren(m.pid)
	a.publish(GaveUp{Child: m.spec.name, Restarts: m.restarts, Reason: m.failure})
}

// countFailure returns how many failures the window holds, this one included.
func (m *member) countFailure(now time.Time, window time.Duration) int {
	m.failures = slices.DeleteFunc(m.failures, func(at time.Time) bool { return now.Sub(at) >= window })
	m.failures = append(m.failures, now)
	return len(m.failures)
}

func (a *treeActor) logFailure(m *member, fields logrus.Fields, what string) {
	a.supervisor.log(func(logger logrus.FieldLogger) {
		logger = logger.WithField("child", m.spec.name).WithError(safeError{m.failure})
		if crash, ok := m.failure.(*actor.CrashError); ok { //nolint:errorlint // an As method is the user's, and may panic
			logger = logger.WithField("stack", string(crash.Stack))
		}
		logger.WithFields(fields).Error(what)
	})
}

// safeError is an error as it may be logged: fmt survives an Error method that panics,
// a formatter may not.
type safeError struct{ err error }

func (e safeError) Error() string { return fmt.Sprintf("%v", e.err) }
func (e safeError) Unwrap() error { return e.err }

func asError(reason any) error {
	if err, ok := reason.(error); ok {
		return err
	}
	return fmt.Errorf("panic: %v", reason)
}
