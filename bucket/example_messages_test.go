package bucket_test

import (
	"context"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

// Actors ask with messages, by value, and each is answered exactly once.
func Example_messages() {
	ctx := context.Background()
	system := actor.NewSystem(nil)
	sup, err := supervisor.Start(ctx, system, Rates)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)

	for _, msg := range []any{
		bucket.Fetch{Key: "USD"},
		bucket.Fetch{Key: "USD"},
		bucket.Get{Key: "XXX"},
		bucket.Set{Key: "CHF", Value: 0.95},
		bucket.Set{Key: "CHF", Value: "cheap"},
	} {
		reply, err := system.Root.RequestFuture(Rates.PID(), msg, time.Second).Result()
		if err != nil {
			fmt.Println(err)
			return
		}
		switch reply := reply.(type) {
		case bucket.Found:
			fmt.Println("found", reply.Value, "loaded", reply.Loaded)
		case bucket.Missing:
			fmt.Println("missing")
		case bucket.Done:
			fmt.Println("done")
		case bucket.Failed:
			fmt.Println("failed:", reply.Err)
		}
	}
	// Output:
	// found 1.1 loaded true
	// found 1.1 loaded false
	// missing
	// done
	// failed: bucket "rates": unusable value: got string, want float64
}
