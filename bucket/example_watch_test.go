package bucket_test

import (
	"context"
	"fmt"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// Changes come in the order in which readers see them.
func ExampleBucket_Watch() {
	ctx := context.Background()
	source := map[string]int{"bolt": 10, "nut": 20}
	prices := bucket.New("prices", loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, part string) (int, error) {
			if price, ok := source[part]; ok {
				return price, nil
			}
			return 0, loader.ErrNotFound
		},
		InitFunc: func(context.Context) (map[string]int, error) { return source, nil },
	})

	sup, err := supervisor.Start(ctx, actor.NewSystem(nil), prices)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)

	changes := prices.Watch(ctx) // from now on
	_ = prices.DirectSet(ctx, "washer", 30)
	source = map[string]int{"bolt": 11, "washer": 30}
	_, _ = prices.Refresh(ctx)

	left := 3
	for change := range changes {
		switch change.Kind {
		case bucket.Added:
			fmt.Println(change.Key, "costs", change.New)
		case bucket.Changed:
			fmt.Println(change.Key, "costs", change.New, "instead of", change.Old)
		case bucket.Removed:
			fmt.Println(change.Key, "is no more")
		case bucket.Missed:
			fmt.Println("too slow: read a Snapshot again")
		}
		if left--; left == 0 {
			break
		}
	}
	// Unordered output:
	// washer costs 30
	// bolt costs 11 instead of 10
	// nut is no more
}

// An actor is sent the changes as messages, never more of them than it has handled.
func ExampleSubscribe() {
	ctx := context.Background()
	rates := bucket.New("rates", loader.Func(func(context.Context, string) (float64, error) { return 1.1, nil }))
	system := actor.NewSystem(nil)
	sup, err := supervisor.Start(ctx, system, rates)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)

	subscribed, told := make(chan bool), make(chan bool)
	system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
		switch msg := ctx.Message().(type) {
		case *protoactor.Started:
			ctx.Request(rates.PID(), bucket.Subscribe{})
		case bucket.Done:
			subscribed <- true
		case bucket.Changes:
			for _, change := range msg.Changes {
				fmt.Println(msg.Bucket, change.Kind, change.Key, change.New)
			}
			told <- true
		}
	}))
	<-subscribed
	_, _ = rates.Fetch(ctx, "USD")
	<-told
	// Output:
	// rates added USD 1.1
}

// What is missing is loaded in one go, if the source can.
func ExampleBucket_FetchMany_batches() {
	ctx := context.Background()
	users := bucket.New("users", loader.Funcs[int, string]{
		LoadFunc: func(_ context.Context, id int) (string, error) { return fmt.Sprint("user ", id), nil },
		LoadBatchFunc: func(_ context.Context, ids []int) (map[int]string, error) {
			fmt.Println("select ... where id in", ids)
			return map[int]string{1: "Ada", 2: "Grace"}, nil
		},
	})

	sup, err := supervisor.Start(ctx, actor.NewSystem(nil), users)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)

	names, err := users.FetchMany(ctx, []int{1, 2, 3})
	fmt.Println(names, err)
	names, err = users.FetchMany(ctx, []int{1, 2})
	fmt.Println(names, err)
	// Output:
	// select ... where id in [1 2 3]
	// map[1:Ada 2:Grace] bucket "users": load of key 3: loader: not found
	// map[1:Ada 2:Grace] <nil>
}
