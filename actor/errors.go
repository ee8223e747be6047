package actor

import (
	"errors"
	"fmt"
	"runtime/debug"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

var (
	// ErrNoActor is returned when nobody lives at the PID.
	ErrNoActor = errors.New("actor: nobody lives at this PID")

	// ErrStopped is returned when the actor stopped before it answered.
	ErrStopped = errors.New("actor: stopped")

	// ErrReplyType is returned when an actor answers with another type than the
	// one asked for.
	ErrReplyType = errors.New("actor: reply of an unexpected type")

	// ErrNameTaken is returned when an actor of that name runs already.
	ErrNameTaken = errors.New("actor: name is taken")

	// ErrGoexit is the value of a [CrashError] whose actor called runtime.Goexit.
	ErrGoexit = errors.New("actor: runtime.Goexit was called")
)

// CrashError reports that an actor panicked on a message. The supervisor gets
// it as the reason of the failure, so that the stack is not lost on the way.
type CrashError struct {
	Who   *protoactor.PID
	Value any    // what was given to panic, or ErrGoexit
	Stack []byte // where, as debug.Stack gives it
}

// newCrash makes a CrashError of what recover gave in the deferred function of a call
// that has not returned. A panic is never nil, so nil is a Goexit.
func newCrash(who *protoactor.PID, recovered any) *CrashError {
	if recovered == nil {
		recovered = ErrGoexit
	}
	return &CrashError{Who: who, Value: recovered, Stack: debug.Stack()}
}

// Error names the actor and the value of the panic, without the stack. It is safe to
// call whatever the value is.
func (e *CrashError) Error() string {
	return fmt.Sprintf("actor %s crashed: %s", e.Who.GetId(), text(e.Value))
}

// Unwrap returns the value of the panic where that is an error, else nil.
func (e *CrashError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// text is v as fmt shows it. fmt survives a String or Error method that panics, but
// not one that panics with a value that panics when it is shown, too.
func text(v any) (shown string) {
	defer func() {
		if recover() != nil {
			shown = fmt.Sprintf("(unprintable %T)", v)
		}
	}()
	return fmt.Sprint(v)
}
