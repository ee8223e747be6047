package supervisor_test

import (
	"context"
	"fmt"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// library is an actor of one's own. Whenever it starts or restarts, so do its buckets.
type library struct {
	shelves *supervisor.Supervisor
	open    chan<- struct{}
}

func (l *library) Receive(ctx protoactor.Context) {
	if _, ok := ctx.Message().(*protoactor.Started); ok {
		if _, err := ctx.SpawnNamed(l.shelves.Props(), "shelves"); err != nil {
			panic(err)
		}
		l.open <- struct{}{}
	}
}

// The supervisor in an actor tree of one's own: With declares its children, and Start
// waits for them.
func ExampleSupervisor_Props() {
	ctx := context.Background()
	system := actor.NewSystem(nil)
	titles := bucket.New("titles", loader.Func(func(_ context.Context, isbn string) (string, error) {
		return "Go in " + isbn[:1] + " days", nil
	}))
	shelves := supervisor.New(system, supervisor.With(titles))

	open := make(chan struct{}, 1)
	pid, err := system.Root.SpawnNamed(protoactor.PropsFromProducer(func() protoactor.Actor {
		return &library{shelves, open}
	}), "library")
	if err != nil {
		fmt.Println(err)
		return
	}
	<-open
	fmt.Println("ready:", shelves.Start(ctx))

	title, _ := titles.Get(ctx, "7-42-x")
	fmt.Println(title, "from", titles.PID().Id)

	fmt.Println("stopped:", actor.Stop(ctx, system, pid))
	fmt.Println("titles:", titles.Health().State)
	// Output:
	// ready: <nil>
	// Go in 7 days from library/shelves/titles
	// stopped: <nil>
	// titles: stopped
}
