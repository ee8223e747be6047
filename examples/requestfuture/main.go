// Command requestfuture talks to a bucket as to any other actor: with messages,
// and with protoactor's own RequestFuture. It is the way for code that speaks
// actor already and holds a PID, not a *bucket.Bucket.
//
//	main ──bucket.Fetch──▶ bucket
//	main ◀─bucket.Found─── bucket    or bucket.Failed
package main

import (
	"context"
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

// moons stands for a source that takes its time.
var moons = map[string]int{"Earth": 1, "Mars": 2, "Neptune": 16}

func loadMoons(_ context.Context, planet string) (int, error) {
	n, ok := moons[planet]
	if !ok {
		return 0, loader.ErrNotFound
	}
	return n, nil
}

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "requestfuture:", err)
		os.Exit(1)
	}
}

func run(w io.Writer) (err error) {
	logger := logrus.New()
	logger.SetLevel(logrus.ErrorLevel)
	system := actor.NewSystem(logger)
	moonsOf := bucket.New("moons", loader.Func(loadMoons), bucket.Logger(logger))

	ctx := context.Background()
	sup, err := supervisor.Start(ctx, system, moonsOf)
	if err != nil {
		return err
	}
	defer func() { err = sup.Stop(ctx) }()

	// From here on nobody needs to know that this is a bucket of ours.
	pid := moonsOf.PID()
	for _, request := range []any{
		bucket.Fetch{Key: "Neptune"}, // is loaded
		bucket.Fetch{Key: "Neptune"}, // is there
		bucket.Fetch{Key: "Sun"},
		bucket.Get{Key: "Sun"}, // the same, for those who do not care why
		bucket.Set{Key: "Sun", Value: 0},
		bucket.Get{Key: "Sun"},
		bucket.Set{Key: "Mars", Value: "two"},
		bucket.Fetch{Key: 4},
	} {
		if err := show(w, system, pid, request); err != nil {
			return err
		}
	}
	return nil
}

// show sends a request, waits for the answer and prints both.
func show(w io.Writer, system *protoactor.ActorSystem, pid *protoactor.PID, request any) error {
	reply, err := system.Root.RequestFuture(pid, request, 5*time.Second).Result()
	if err != nil {
		return err
	}
	answer := fmt.Sprintf("%+v", reply)
	if failed, ok := reply.(bucket.Failed); ok {
		answer = "{" + failed.Err.Error() + "}"
	}
	_, err = fmt.Fprintf(w, "%-14s %-27s ▶ %-14T %s\n", fmt.Sprintf("%T", request), fmt.Sprintf("%+v", request), reply, answer)
	return err
}
