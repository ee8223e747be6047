package loader_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataworker-go/dataworker/loader"
)

// The least that a bucket needs is one function.
func ExampleFunc() {
	capitals := map[string]string{"de": "Berlin", "fr": "Paris"}

	l := loader.Func(func(_ context.Context, country string) (string, error) {
		capital, ok := capitals[country]
		if !ok {
			return "", fmt.Errorf("%w: %s", loader.ErrNotFound, country)
		}
		return capital, nil
	})

	fmt.Println(l.Load(context.Background(), "fr"))
	_, err := l.Load(context.Background(), "xx")
	fmt.Println(errors.Is(err, loader.ErrNotFound), err)
	// Output:
	// Paris <nil>
	// true loader: not found: xx
}
