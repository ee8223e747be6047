package supervisor

import (
	"errors"
	"fmt"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

// Child is what a supervisor starts: a bucket, or any actor. The name is unique
// among the children of one supervisor; Props is asked for a spawn, not for a
// restart, and its props must not carry a guardian.
type Child interface {
	Name() string
	Props() *protoactor.Props
}

// State is how a child is.
type State string

// The states of a child.
const (
	Starting State = "starting" // spawned, not ready yet
	Running  State = "running"
	Waiting  State = "waiting" // crashed; its restart is due after a pause
	Stopping State = "stopping"
	Ended    State = "stopped"  // stopped without the supervisor's doing
	GivenUp  State = "given up" // crashed too often
)

// ChildStatus is what a supervisor knows about a child.
type ChildStatus struct {
	Name     string
	PID      *protoactor.PID // nil when it does not run
	State    State
	Restarts int   // since it was added
	Failure  error // the last panic, an *actor.CrashError for a bucket; nil if there was none
}

// StartError says which child did not start, and why. It unwraps to the reason,
// such as the one that Init gave to loader.Veto.
type StartError struct {
	Child string
	Err   error
}

// Error names the child.
func (e *StartError) Error() string {
	return fmt.Sprintf("supervisor: start of %q: %v", e.Child, e.Err)
}

// Unwrap returns the reason.
func (e *StartError) Unwrap() error { return e.Err }

var (
	// ErrConfig is the error of a start with an option that makes no sense. Its text
	// names the option, the value and the remedy.
	ErrConfig = errors.New("supervisor: bad configuration")

	// ErrNotRunning is returned by Add and Remove when the supervisor does not run.
	ErrNotRunning = errors.New("supervisor: not running: call Start, or spawn its Props")

	// ErrDuplicate is the reason why a child does not start whose name another has.
	ErrDuplicate = errors.New("supervisor: another child has this name")

	// ErrUnknownChild is returned by Remove for a name that no child has.
	ErrUnknownChild = errors.New("supervisor: no child has this name")

	// ErrGaveUp is the reason why a child does not start that crashed too often
	// before it was ready.
	ErrGaveUp = errors.New("supervisor: crashed too often")

	// ErrStoppedEarly is the reason why a child does not start that stopped before
	// it was ready.
	ErrStoppedEarly = errors.New("supervisor: stopped before it was ready")
)

// spec is a child with what its spawn needs, taken from it in the goroutine of the
// caller who adds it: its methods are the user's code and may panic.
type spec struct {
	child    Child
	name     string
	announce func(actor.Report) *protoactor.Props // nil if it does not report
	props    *protoactor.Props                    // if it does not
}

func newSpec(child Child) (s *spec, err error) {
	s = &spec{}
	defer func() {
		if p := recover(); p != nil {
			err = &StartError{Child: s.name, Err: fmt.Errorf("%w: the child panicked: %v", ErrConfig, p)}
		}
	}()
	if child == nil {
		return s, &StartError{Err: fmt.Errorf("%w: the child is nil", ErrConfig)}
	}

	s.child, s.name = child, child.Name()
	if announcer, ok := child.(actor.Announcer); ok {
		s.announce = announcer.Announce
	} else if s.props = child.Props(); s.props == nil {
		err = &StartError{Child: s.name, Err: fmt.Errorf("%w: its Props are nil", ErrConfig)}
	}
	return s, err
}
