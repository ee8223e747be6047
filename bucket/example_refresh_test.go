package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// What is held is loaded again on a clock, or now. A key that fails keeps its value,
// one that is gone is removed.
func ExampleBucket_Refresh() {
	source := map[string]int{"bolt": 10, "nut": 20, "washer": 30}
	down := ""
	prices := bucket.New("prices", loader.Func(func(ctx context.Context, part string) (int, error) {
		price, ok := source[part]
		switch {
		case part == down:
			return 0, errors.New("connection refused")
		case !ok:
			return 0, loader.ErrNotFound
		}
		return price, nil
	}), bucket.RefreshEvery(5*time.Minute))
	defer begin(prices)()

	ctx := context.Background()
	_, _ = prices.FetchMany(ctx, []string{"bolt", "nut", "washer"})

	source["bolt"] = 11
	delete(source, "nut")
	down = "washer"
	report, err := prices.Refresh(ctx)
	fmt.Println("changed", report.Changed, "removed", report.Removed, "failed", report.Failed, err)

	bolt, _ := prices.DirectGet("bolt")
	_, held := prices.DirectGet("nut")
	washer, _ := prices.DirectGet("washer")
	fmt.Println(bolt, held, washer)

	entry, _ := prices.Entry("washer")
	fmt.Println(entry.LastError)
	fmt.Println(prices.Health().State, prices.Health().Reasons)
	// Output:
	// changed 1 removed 1 failed 1 <nil>
	// 11 false 30
	// bucket "prices": load of key "washer": connection refused
	// degraded [1 of 2 keys keep an old value because their last refresh failed; for instance, 1 in a row: bucket "prices": load of key "washer": connection refused]
}

// A filter has the last word on each refreshed value before it is saved.
func Example_filterRefresh() {
	price := 100
	prices := bucket.New("prices", loader.Funcs[string, int]{
		LoadFunc: func(ctx context.Context, part string) (int, error) { return price, nil },
		FilterRefreshFunc: func(ctx context.Context, part string, fresh int, err error) (int, error) {
			if err == nil && fresh <= 0 {
				return 0, fmt.Errorf("%s cannot cost %d", part, fresh)
			}
			return fresh, err
		},
	})
	defer begin(prices)()

	ctx := context.Background()
	_, _ = prices.Fetch(ctx, "bolt")
	price = -1
	report, _ := prices.Refresh(ctx)
	fmt.Println(report.Failures[0])
	kept, _ := prices.DirectGet("bolt")
	fmt.Println(kept)
	// Output:
	// bucket "prices": load of key "bolt": bolt cannot cost -1
	// 100
}
