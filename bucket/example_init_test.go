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

// flags loads feature flags. Init seeds the bucket with all of them, or vetoes its
// start: without flags this program must not run.
type flags struct{ source map[string]bool }

func (f flags) Init(ctx context.Context) (map[string]bool, error) {
	if len(f.source) == 0 {
		return nil, loader.Veto(errors.New("no feature flags"))
	}
	return f.source, nil
}

func (f flags) Load(ctx context.Context, name string) (bool, error) {
	enabled, ok := f.source[name]
	if !ok {
		return false, loader.ErrNotFound
	}
	return enabled, nil
}

func Example_init() {
	ctx := context.Background()
	system := actor.NewSystem(nil)

	_, err := supervisor.Start(ctx, system, bucket.New("flags", flags{}))
	fmt.Println(err)

	full := bucket.New("flags", flags{source: map[string]bool{"dark-mode": true}})
	sup, err := supervisor.Start(ctx, system, full)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)
	enabled, ok := full.DirectGet("dark-mode") // there before anybody asked
	fmt.Println(enabled, ok)
	// Output:
	// supervisor: start of "flags": bucket "flags": vetoed: no feature flags
	// true true
}
