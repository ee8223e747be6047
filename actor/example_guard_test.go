package actor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

// divide asks for a / b.
type divide struct{ a, b int }

// calculator has counted nothing yet.
type calculator struct{ results int }

func (c *calculator) Receive(ctx protoactor.Context) {
	if msg, ok := ctx.Message().(divide); ok {
		result := msg.a / msg.b // panics for zero
		c.results++
		ctx.Respond(fmt.Sprintf("result %d is %d", c.results, result))
	}
}

// The actor crashes on a message. Without a guard its asker would wait for the end of
// the context; the next one would not notice either way, because a new incarnation
// answers him.
func ExampleGuard() {
	system := quietSystem()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	pid, err := actor.Spawn(system.Root, "calculator", actor.Guard(
		func() protoactor.Actor { return &calculator{} },
		func(_ any, err error) any { return err }, // the answer to what the actor does not answer
	))
	if err != nil {
		fmt.Println(err)
		return
	}

	fmt.Println(actor.Ask[string](ctx, system, pid, divide{6, 3}))
	fmt.Println(actor.Ask[string](ctx, system, pid, divide{6, 2}))

	_, err = actor.Ask[string](ctx, system, pid, divide{6, 0})
	crash, crashed := errors.AsType[*actor.CrashError](err)
	fmt.Println(err)
	fmt.Println("with a stack:", crashed && len(crash.Stack) > 0)

	fmt.Println(actor.Ask[string](ctx, system, pid, divide{6, 1}))
	fmt.Println(actor.Stop(ctx, system, pid))
	// Output:
	// result 1 is 2 <nil>
	// result 2 is 3 <nil>
	// actor calculator crashed: runtime error: integer divide by zero
	// with a stack: true
	// result 1 is 6 <nil>
	// <nil>
}
