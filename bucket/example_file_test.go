package bucket_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// The bucket keeps what it loads in a file. The second time, it starts with that and asks
// nobody.
func ExampleFile() {
	directory, err := os.MkdirTemp("", "prices")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer os.RemoveAll(directory) //nolint:errcheck // of an example
	ctx := context.Background()

	prices := bucket.New("prices",
		loader.Func(func(_ context.Context, item string) (int, error) {
			fmt.Println("loading", item)
			return 100 * len(item), nil
		}),
		bucket.File(filepath.Join(directory, "prices.dump")))

	for range 2 {
		end := begin(prices)
		fmt.Println("starts with", prices.Len())
		fmt.Println(prices.Fetch(ctx, "tea"))
		end() // as at the end of the process
	}
	// Output:
	// starts with 0
	// loading tea
	// 300 <nil>
	// starts with 1
	// 300 <nil>
}
