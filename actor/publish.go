package actor

import (
	"fmt"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// Publish hands event to the subscribers of the system's event stream, one after
// another, in this goroutine. A subscriber that panics keeps the event from
// those behind it and is returned as an error; called directly by an actor, it
// would crash that actor, and called by a supervisor the process.
func Publish(system *protoactor.ActorSystem, event any) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("actor: subscriber panicked on %T: %s", event, text(p))
		}
	}()
	system.EventStream.Publish(event)
	return nil
}
