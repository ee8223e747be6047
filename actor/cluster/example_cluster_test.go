//go:build !race

package cluster_test

import (
	"context"
	"fmt"
	"log"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	clustertest "github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// Rates is declared in every member.
var Rates = bucket.New("rates", loader.Func(func(_ context.Context, currency string) (float64, error) {
	rate, ok := map[string]float64{"EUR": 1, "USD": 1.1, "JPY": 160}[currency]
	if !ok {
		return 0, loader.ErrNotFound
	}
	return rate, nil
}))

// A bucket in partitions, each owned by some member. This cluster has one; protoactor's providers for
// consul, etcd, kubernetes or a list of hosts make it more.
func Example_cluster() {
	quiet, _ := logtest.NewNullLogger()
	system := actor.NewSystem(quiet)
	provider := clustertest.NewTestProvider(clustertest.NewInMemAgent())

	border, err := cluster.Open(system, cluster.Partitioned(Rates, 12))
	if err != nil {
		log.Fatal(err)
	}
	config, err := border.Remote("127.0.0.1", 0)
	if err != nil {
		log.Fatal(err)
	}
	c := protocluster.New(system, protocluster.Configure("shop", provider, disthash.New(), config,
		protocluster.WithKinds(border.Kinds()...)))
	c.StartMember()
	defer c.Shutdown(true)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	rates := cluster.Of(Rates, c, cluster.NearCache(time.Minute))
	defer rates.Close()

	dollar, err := rates.Fetch(ctx, "USD")
	fmt.Println(dollar, err)
	many, err := rates.FetchMany(ctx, []string{"EUR", "JPY", "USD"})
	fmt.Println(len(many), err)

	// Output:
	// 1.1 <nil>
	// 3 <nil>
}
