package actor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
)

var errNoTable = errors.New("table prices does not exist")

// clerk needs its table. It reports whether it is there.
type clerk struct {
	open   func() error
	report actor.Report
}

func (c *clerk) Receive(ctx protoactor.Context) {
	switch ctx.Message().(type) {
	case *protoactor.Started:
		err := c.open()
		if err != nil {
			ctx.Stop(ctx.Self())
		}
		c.report(err)
	case *protoactor.Stopping:
		fmt.Println("the clerk goes home")
	}
}

// Start knows when the actor is ready, or why it will not be. Stop knows when it has
// stopped.
func ExampleStart() {
	system := quietSystem()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	// announce makes the props of a clerk who reports to whoever starts him.
	announce := func(open func() error) func(actor.Report) *protoactor.Props {
		return func(report actor.Report) *protoactor.Props {
			return actor.Guard(func() protoactor.Actor { return &clerk{open, report} }, nil)
		}
	}

	_, err := actor.Start(ctx, system, "clerk", announce(func() error { return errNoTable }))
	fmt.Println("not started:", err)

	// It has stopped, so its name is free.
	pid, err := actor.Start(ctx, system, "clerk", announce(func() error { return nil }))
	fmt.Println("started:", err)

	_, err = actor.Start(ctx, system, "clerk", announce(func() error { return nil }))
	fmt.Println("not twice:", err)

	fmt.Println("stopped:", actor.Stop(ctx, system, pid))
	// Output:
	// the clerk goes home
	// not started: table prices does not exist
	// started: <nil>
	// not twice: actor: name is taken: clerk
	// the clerk goes home
	// stopped: <nil>
}
