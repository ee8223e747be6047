package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// begin starts a bucket for an example.
func begin(children ...supervisor.Child) (end func()) {
	sup, err := supervisor.Start(context.Background(), actor.NewSystem(nil), children...)
	if err != nil {
		panic(err)
	}
	return func() { _ = sup.Stop(context.Background()) }
}

// A crowd that asks for one key at the same time costs the source one load.
func ExampleBucket_Fetch_crowd() {
	loads := 0
	slow := bucket.New("slow", loader.Func(func(ctx context.Context, key string) (int, error) {
		loads++
		time.Sleep(50 * time.Millisecond)
		return len(key), nil
	}))
	defer begin(slow)()

	var crowd sync.WaitGroup
	for range 1000 {
		crowd.Go(func() {
			_, _ = slow.Fetch(context.Background(), "cold")
		})
	}
	crowd.Wait()
	fmt.Println("loads:", loads)
	// Output:
	// loads: 1
}

// Whatever a loader does wrong reaches the caller as an error, and nobody else.
func ExampleBucket_Fetch_errors() {
	end := make(chan struct{})
	defer close(end)
	faulty := bucket.New("faulty", loader.Func(func(ctx context.Context, key string) (int, error) {
		switch key {
		case "panics":
			panic("index out of range")
		case "hangs":
			<-end // whatever ctx says
		}
		return len(key), nil
	}), bucket.LoadTimeout(10*time.Millisecond))
	defer begin(faulty)()

	ctx := context.Background()
	_, err := faulty.Fetch(ctx, "panics")
	fmt.Println(err)
	_, err = faulty.Fetch(ctx, "hangs")
	fmt.Println(err, errors.Is(err, context.DeadlineExceeded))
	value, err := faulty.Fetch(ctx, "works")
	fmt.Println(value, err)
	// Output:
	// bucket "faulty": load of key "panics": panic: index out of range
	// bucket "faulty": load of key "hangs": context deadline exceeded true
	// 5 <nil>
}

func ExampleBucket_FetchMany() {
	defer begin(Rates)()
	found, err := Rates.FetchMany(context.Background(), []string{"EUR", "JPY", "XXX"})
	fmt.Println(found)
	fmt.Println(err)
	// Output:
	// map[EUR:1 JPY:160]
	// bucket "rates": load of key "XXX": loader: not found
}

func ExampleMaxAge() {
	defer begin(Rates)()
	rate, err := Rates.Fetch(context.Background(), "USD", bucket.MaxAge(30*time.Second))
	fmt.Println(rate, err)
	// Output:
	// 1.1 <nil>
}

func ExampleBucket_DirectSet() {
	defer begin(Rates)()
	ctx := context.Background()
	if err := Rates.DirectSet(ctx, "CHF", 0.95); err != nil {
		fmt.Println(err)
	}
	rate, ok := Rates.DirectGet("CHF")
	fmt.Println(rate, ok)

	_ = Rates.Delete(ctx, "CHF")
	_, ok = Rates.DirectGet("CHF")
	fmt.Println(ok)
	// Output:
	// 0.95 true
	// false
}
