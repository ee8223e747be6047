package main

import (
	"context"
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// The keys with which the tour shows what a loader may do wrong.
const (
	atlantis = "Atlantis" // makes the loader panic
	slow     = "FR"       // makes it take slowness longer
	slowness = 50 * time.Millisecond
)

// sabotaged is a loader with a bug, and with a query that lacks an index.
func sabotaged(healthy loader.Loader[string, Region]) loader.Loader[string, Region] {
	return loader.Func(func(ctx context.Context, code string) (Region, error) {
		switch code {
		case atlantis:
			panic("the loader fell into the sea")
		case slow:
			time.Sleep(slowness)
		}
		return healthy.Load(ctx, code)
	})
}
