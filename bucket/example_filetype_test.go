package bucket_test

import (
	"context"
	"fmt"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// secret would come back without its key.
type secret struct {
	Name string
	key  string //nolint:unused // it is the point
}

func ExampleFile_refusedType() {
	secrets := bucket.New("secrets", loader.Func(func(ctx context.Context, id int) (secret, error) {
		return secret{}, nil
	}), bucket.File("secrets.dump"))

	_, err := supervisor.Start(context.Background(), actor.NewSystem(nil), secrets)
	fmt.Println(err)
	// Output:
	// supervisor: start of "secrets": bucket "secrets": bad configuration: File: dump "secrets.dump": value: type cannot be dumped: cbor/1: secret.key: unexported, and would be lost: export it, or tag it `cbor:"-"` if it may be
}
