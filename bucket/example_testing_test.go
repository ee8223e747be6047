package bucket_test

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// TestPrices_follow_the_source shows how to test code that uses a bucket: in a synctest
// bubble an hour of refreshes passes in no time.
func TestPrices_follow_the_source(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var price atomic.Int64
		price.Store(10)
		prices := bucket.New("prices", loader.Func(func(context.Context, string) (int64, error) {
			return price.Load(), nil
		}), bucket.RefreshEvery(5*time.Minute))

		system := actor.NewSystem(nil) // inside the bubble, so that its timers are fake
		sup, err := supervisor.Start(t.Context(), system, prices)
		if err != nil {
			t.Fatal(err)
		}
		defer sup.Stop(context.Background())

		_, _ = prices.Fetch(t.Context(), "bolt")
		price.Store(11)
		time.Sleep(time.Hour)
		if got, _ := prices.DirectGet("bolt"); got != 11 {
			t.Errorf("after an hour: got %d, want 11", got)
		}
	})
}
