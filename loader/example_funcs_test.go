package loader_test

import (
	"context"
	"fmt"

	"github.com/dataworker-go/dataworker/loader"
)

// A Funcs has the companions for which it has a function, here a seed and a refresh
// in one query.
func ExampleFuncs() {
	prices := map[string]int{"tea": 3, "coffee": 4}

	l := loader.Funcs[string, int]{
		LoadFunc:    func(_ context.Context, item string) (int, error) { return prices[item], nil },
		InitFunc:    func(context.Context) (map[string]int, error) { return map[string]int{"tea": 3}, nil },
		LoadAllFunc: func(context.Context) (map[string]int, error) { return prices, nil },
	}

	can := loader.CompanionsOf[string, int](l)
	fmt.Println("seeds itself:", can.Initializer != nil)
	fmt.Println("loads all in one go:", can.AllLoader != nil)
	fmt.Println("loads in batches:", can.BatchLoader != nil)
	// Output:
	// seeds itself: true
	// loads all in one go: true
	// loads in batches: false
}
