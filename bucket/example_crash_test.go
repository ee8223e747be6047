package bucket_test

import (
	"context"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

// A fire drill: the bucket's actor panics. Hits never notice, and a miss is answered
// after the restart.
func ExampleCrash() {
	ctx := context.Background()
	system := actor.NewSystem(nil)
	sup := supervisor.New(system,
		supervisor.MaxRestarts(3, time.Minute), supervisor.Backoff(10*time.Millisecond, 5*time.Second))
	if err := sup.Start(ctx, Rates); err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)
	_, _ = Rates.Fetch(ctx, "USD")

	system.Root.Send(Rates.PID(), bucket.Crash{Reason: "fire drill"})

	dollar, err := Rates.Fetch(ctx, "USD") // a hit
	fmt.Println(dollar, err)
	yen, err := Rates.Fetch(ctx, "JPY") // a miss
	fmt.Println(yen, err)
	fmt.Println("restarts:", Rates.Stats().Restarts)
	// Output:
	// 1.1 <nil>
	// 160 <nil>
	// restarts: 1
}
