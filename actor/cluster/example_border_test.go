//go:build !race

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"strings"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// Capitals is declared in every process, and runs in one.
var Capitals = bucket.New("capitals", loader.Func(func(_ context.Context, country string) (string, error) {
	if country == "France" {
		return "Paris", nil
	}
	return "", loader.ErrNotFound
}))

// listen makes an actor system that other processes can reach.
func listen() (*protoactor.ActorSystem, *remote.Remote) {
	system := actor.NewSystem(nil)
	border, err := cluster.Open(system, cluster.Carry(Capitals))
	if err != nil {
		log.Fatal(err)
	}
	config, err := border.Remote("127.0.0.1", 0)
	if err != nil {
		log.Fatal(err)
	}
	r := remote.NewRemote(system, config)
	r.Start()
	return system, r
}

// A bucket in one process is asked from another. Here they are one, to be shown.
func Example() {
	logrus.SetLevel(logrus.ErrorLevel)
	defer logrus.SetLevel(logrus.InfoLevel)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	owner, server := listen()
	defer server.Shutdown(false)
	sup, err := supervisor.Start(ctx, owner, Capitals)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer sup.Stop(ctx)

	system, client := listen()
	defer client.Shutdown(false)
	pid := protoactor.NewPID(owner.Address(), Capitals.PID().Id)

	found, err := actor.Ask[bucket.Found](ctx, system, pid, bucket.Fetch{Key: "France"})
	fmt.Println(found.Value, err)

	failed, err := actor.Ask[bucket.Failed](ctx, system, pid, bucket.Fetch{Key: "Atlantis"})
	fmt.Println(errors.Is(failed.Err, loader.ErrNotFound), err)
	fmt.Println(strings.Contains(failed.Err.Error(), "Atlantis"))

	// Output:
	// Paris <nil>
	// true <nil>
	// true
}
