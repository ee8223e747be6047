// Command byhand spawns a bucket by hand, as a child of an actor of one's own:
// no supervisor of ours, only b.Props(). The bucket lives and dies with its
// parent, and the parent's supervision is the bucket's.
//
//	harbour ──SpawnNamed──▶ harbour/tides
//	main ────Fetch────────▶ harbour/tides
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
)

// harbour is an actor of the user's, with a life of its own. The bucket is a part
// of it.
type harbour struct {
	tides *bucket.Bucket[string, float64]
}

func (h *harbour) Receive(ctx protoactor.Context) {
	if _, ok := ctx.Message().(*protoactor.Started); ok {
		if _, err := ctx.SpawnNamed(h.tides.Props(), h.tides.Name()); err != nil {
			panic(err) // let this actor's own supervisor see it
		}
	}
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "byhand:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) error {
	logger := logrus.New()
	logger.SetLevel(logrus.ErrorLevel)
	system := actor.NewSystem(logger)

	loads := 0 // safe: one key, and so one load at a time
	tides := bucket.New("tides", loader.Func(func(context.Context, string) (float64, error) {
		loads++
		return 5.13, nil
	}), bucket.Logger(logger))
	props := protoactor.PropsFromProducer(func() protoactor.Actor { return &harbour{tides} })

	ctx := context.Background()
	_, err := tides.Fetch(ctx, "Saint-Malo")
	fmt.Fprintln(w, "before:", err)

	pid, err := system.Root.SpawnNamed(props, "harbour")
	if err != nil {
		return err
	}
	// A bucket is usable as soon as it is spawned, and the harbour spawns it before
	// it answers anything.
	if err := system.Root.RequestFuture(pid, &protoactor.Touch{}, 5*time.Second).Wait(); err != nil {
		return err
	}
	for range 2 {
		metres, err := tides.Fetch(ctx, "Saint-Malo")
		if err != nil {
			return err
		}
		fmt.Fprintf(w, "Saint-Malo: %.2f m, from %s after %d load\n", metres, tides.PID().GetId(), loads)
	}

	// Children stop with their parent.
	if err := system.Root.StopFuture(pid).Wait(); err != nil {
		return err
	}
	_, err = tides.Fetch(ctx, "Saint-Malo")
	fmt.Fprintf(w, "after: %v (stopped: %t)\n", err, errors.Is(err, bucket.ErrStopped))
	return nil
}
