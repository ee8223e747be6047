package bucket_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// A source gives everything in one go, and one day it gives next to nothing. A gate keeps
// that out. A snapshot stays as it is.
func ExampleGate() {
	catalogue := map[string]int{"bolt": 10, "nut": 20, "washer": 30}
	prices := bucket.New("prices", loader.Funcs[string, int]{
		LoadFunc:    func(ctx context.Context, part string) (int, error) { return 0, loader.ErrNotFound },
		LoadAllFunc: func(ctx context.Context) (map[string]int, error) { return catalogue, nil },
	}, bucket.Gate(bucket.MaxLoss(0.2)))
	defer begin(prices)()

	ctx := context.Background()
	_, _ = prices.Refresh(ctx)
	before := prices.Snapshot()

	catalogue = map[string]int{"bolt": 11, "nut": 21, "washer": 31, "screw": 5}
	report, err := prices.Refresh(ctx)
	fmt.Println("changed", report.Changed, "added", report.Added, err)

	catalogue = map[string]int{"bolt": 12}
	_, err = prices.Refresh(ctx)
	fmt.Println(errors.Is(err, bucket.ErrRefused), err)

	now, _ := prices.DirectGet("nut")
	then, _ := before.Get("nut")
	fmt.Println("now", now, "then", then)
	// Output:
	// changed 3 added 1 <nil>
	// true bucket "prices": refused the new generation: 3 of 4 keys would be lost, and MaxLoss is 0.2 of them
	// now 21 then 20
}
