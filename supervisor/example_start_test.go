package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

var (
	currencies = bucket.New("currencies", loader.Func(func(_ context.Context, country string) (string, error) {
		return map[string]string{"JP": "yen", "GB": "pound"}[country], nil
	}))
	rates = bucket.New("rates", loader.Func(func(_ context.Context, currency string) (float64, error) {
		return map[string]float64{"yen": 0.0062, "pound": 1.17}[currency], nil
	}))
)

// Buckets start in order and stop in reverse; Start returns when all of them are ready.
func Example() {
	ctx := context.Background()
	system := actor.NewSystem(nil)
	sup := supervisor.New(system, supervisor.MaxRestarts(3, 5*time.Second))
	if err := sup.Start(ctx, currencies, rates.With(bucket.RefreshEvery(time.Minute))); err != nil {
		fmt.Println(err)
		return
	}
	for _, child := range sup.Status() {
		fmt.Println(child.Name, "is", child.State)
	}

	currency, _ := currencies.Get(ctx, "JP")
	rate, _ := rates.Get(ctx, currency)
	fmt.Println("1", currency, "is", rate, "euro")

	fmt.Println("stopped:", sup.Stop(ctx))
	_, err := rates.Fetch(ctx, "yen")
	fmt.Println("asked later:", errors.Is(err, bucket.ErrStopped))
	// Output:
	// currencies is running
	// rates is running
	// 1 yen is 0.0062 euro
	// stopped: <nil>
	// asked later: true
}
