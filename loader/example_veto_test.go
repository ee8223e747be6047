package loader_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataworker-go/dataworker/loader"
)

var errOldSchema = errors.New("schema is too old: run the migration")

// An Init that fails is logged, and the bucket starts without a seed. One that must
// not let it start says so with a veto.
func ExampleVeto() {
	l := loader.Funcs[string, int]{
		LoadFunc: func(context.Context, string) (int, error) { return 0, nil },
		InitFunc: func(context.Context) (map[string]int, error) {
			return nil, fmt.Errorf("prices: %w", loader.Veto(errOldSchema))
		},
	}

	_, err := l.InitFunc(context.Background())
	fmt.Println(err)
	fmt.Println("must not start:", loader.IsVeto(err))
	fmt.Println("because of the schema:", errors.Is(err, errOldSchema))
	// Output:
	// prices: vetoed: schema is too old: run the migration
	// must not start: true
	// because of the schema: true
}
