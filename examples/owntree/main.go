// Command owntree puts a supervisor of buckets into an actor tree of one's own.
// The application's actor spawns it like any other child, and gets it back, with
// its buckets, whenever the application itself is restarted.
//
//	observatory ──SpawnNamed──▶ sky ──▶ stars
//	                                ──▶ comets
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// observatory is the application: an actor of the user's.
type observatory struct{ sky *supervisor.Supervisor }

func (o *observatory) Receive(ctx protoactor.Context) {
	if _, ok := ctx.Message().(*protoactor.Started); ok {
		if _, err := ctx.SpawnNamed(o.sky.Props(), "sky"); err != nil {
			panic(err) // let this actor's own supervisor see it
		}
	}
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "owntree:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	logger := logrus.New()
	logger.SetLevel(logrus.ErrorLevel)
	system := actor.NewSystem(logger)

	stars := bucket.New("stars", loader.Func(func(context.Context, string) (float64, error) {
		return 4.25, nil
	}), bucket.Logger(logger))
	comets := bucket.New("comets", loader.Func(func(context.Context, string) (int, error) {
		return 2061, nil
	}), bucket.Logger(logger))

	// With declares the buckets up front: nobody calls Start with them, and the
	// supervisor has to know them again after a restart of the tree.
	sky := supervisor.New(system, supervisor.With(stars, comets), supervisor.Logger(logger))
	pid, err := system.Root.SpawnNamed(protoactor.PropsFromProducer(func() protoactor.Actor {
		return &observatory{sky}
	}), "observatory")
	if err != nil {
		return err
	}

	// The observatory spawns sky before it answers anything; Start then waits until
	// the buckets are ready.
	if err := system.Root.RequestFuture(pid, &protoactor.Touch{}, 5*time.Second).Wait(); err != nil {
		return err
	}
	ctx := context.Background()
	if err := sky.Start(ctx); err != nil {
		return err
	}
	for _, child := range sky.Status() {
		fmt.Fprintf(w, "%-6s  %s as %s\n", child.Name, child.State, child.PID.GetId())
	}

	lightYears, err := stars.Fetch(ctx, "Proxima Centauri")
	if err != nil {
		return err
	}
	year, err := comets.Fetch(ctx, "Halley")
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Proxima Centauri is %.2f light years away; Halley comes back in %d\n", lightYears, year)

	// The whole tree goes with its root.
	if err := system.Root.StopFuture(pid).Wait(); err != nil {
		return err
	}
	_, err = stars.Fetch(ctx, "Sirius")
	fmt.Fprintf(w, "after the observatory has closed: %v\n", err)
	if !errors.Is(err, bucket.ErrStopped) {
		return fmt.Errorf("%w instead of bucket.ErrStopped", err)
	}
	return nil
}
