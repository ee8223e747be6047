package supervisor_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

var errNoLicence = errors.New("the licence has expired")

// A bucket whose Init vetoes does not start, and then nothing does.
func ExampleStartError() {
	zones := bucket.New("zones", loader.Func(func(_ context.Context, city string) (string, error) {
		return "Europe/" + city, nil
	}))
	maps := bucket.New("maps", loader.Funcs[string, []byte]{
		LoadFunc: func(context.Context, string) ([]byte, error) { return nil, loader.ErrNotFound },
		InitFunc: func(context.Context) (map[string][]byte, error) { return nil, loader.Veto(errNoLicence) },
	})

	system := actor.NewSystem(nil)
	_, err := supervisor.Start(context.Background(), system, zones, maps)
	fmt.Println(err)
	var refused *supervisor.StartError
	fmt.Println(errors.As(err, &refused), refused.Child, errors.Is(err, errNoLicence))
	fmt.Println("zones:", zones.Health().State)
	// Output:
	// supervisor: start of "maps": bucket "maps": vetoed: the licence has expired
	// true maps true
	// zones: stopped
}
