package bucket_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// rates is the data somebody else owns: here a map, usually a database or a service.
var rates = map[string]float64{"EUR": 1, "USD": 1.1, "JPY": 160}

// Rates is a bucket of them, declared once for the whole program.
var Rates = bucket.New("rates", loader.Func(func(ctx context.Context, currency string) (float64, error) {
	rate, ok := rates[currency] // SELECT rate FROM rates WHERE currency = ?
	if !ok {
		return 0, loader.ErrNotFound
	}
	return rate, nil
}))

func Example() {
	ctx := context.Background()
	sup, err := supervisor.Start(ctx, actor.NewSystem(nil), Rates)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)

	dollar, err := Rates.Fetch(ctx, "USD") // loads
	fmt.Println(dollar, err)
	dollar, err = Rates.Fetch(ctx, "USD") // nanoseconds
	fmt.Println(dollar, err)
	_, err = Rates.Fetch(ctx, "XXX")
	fmt.Println(err, errors.Is(err, loader.ErrNotFound))
	// Output:
	// 1.1 <nil>
	// 1.1 <nil>
	// bucket "rates": load of key "XXX": loader: not found true
}
