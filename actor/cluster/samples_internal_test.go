package cluster

import (
	"context"
	"fmt"

	"github.com/dataworker-go/dataworker/loader"
)

// seeded is a source that has so many numbers.
func seeded(n int) loader.Loader[string, int] {
	return loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, key string) (int, error) {
			return 0, fmt.Errorf("%w: %s", loader.ErrNotFound, key)
		},
		InitFunc: func(context.Context) (map[string]int, error) {
			seed := make(map[string]int, n)
			for i := range n {
				seed[fmt.Sprint("key ", i)] = i
			}
			return seed, nil
		},
	}
}
