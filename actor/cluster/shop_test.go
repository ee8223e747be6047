//go:build !race

package cluster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	clustertest "github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// shop is a member of a cluster, with its own declaration of a bucket, as each process has one.
type shop struct {
	widgets *bucket.Bucket[string, widget]
	system  *protoactor.ActorSystem
	cluster *protocluster.Cluster
	handle  *cluster.Handle[string, widget]
	log     *logtest.Hook
	leave   func(graceful bool)
}

// plan says how a shop is made.
type plan struct {
	place   func(b *bucket.Bucket[string, widget]) cluster.Placed
	loader  loader.Loader[string, widget]
	options []bucket.Option
	handle  []cluster.HandleOption
	border  []cluster.Option
	guest   bool // owns nothing
	kinds   []*protocluster.Kind
}

func oneOwner(b *bucket.Bucket[string, widget]) cluster.Placed { return cluster.OneOwner(b) }

func openShop(t testing.TB, agent *clustertest.InMemAgent, p plan) *shop {
	t.Helper()
	s := buildShop(t, agent, p)
	t.Cleanup(func() { s.leave(true) })
	s.open(p)
	return s
}

// buildShop makes one that is not open yet.
func buildShop(t testing.TB, agent *clustertest.InMemAgent, p plan) *shop {
	t.Helper()
	quietLog, _ := logtest.NewNullLogger()
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.WarnLevel)
	s := &shop{widgets: bucket.New("widgets", p.loader, append([]bucket.Option{quiet()}, p.options...)...), log: hook}
	s.system = actor.NewSystem(quietLog)
	border, err := cluster.Open(s.system, append([]cluster.Option{cluster.Logger(logger), p.place(s.widgets)}, p.border...)...)
	require.NoError(t, err)
	config, err := border.Remote("127.0.0.1", 0)
	require.NoError(t, err)
	kinds := append(border.Kinds(), p.kinds...)
	if p.guest {
		kinds = nil
	}
	s.cluster = protocluster.New(s.system, protocluster.Configure("shop", clustertest.NewTestProvider(agent), disthash.New(), config,
		protocluster.WithKinds(kinds...)))
	gone := false
	s.leave = func(graceful bool) {
		if !gone {
			gone = true
			s.handle.Close()
			s.cluster.Shutdown(graceful)
		}
	}
	return s
}

func (s *shop) open(p plan) {
	s.cluster.StartMember()
	s.handle = cluster.Of(s.widgets, s.cluster, p.handle...)
}

// openShops opens several that know each other.
func openShops(t testing.TB, n int, p plan) (*clustertest.InMemAgent, []*shop) {
	t.Helper()
	agent := clustertest.NewInMemAgent()
	shops := make([]*shop, n)
	var opening sync.WaitGroup // protoactor sleeps a second for each, and two when it is closed
	for i := range shops {
		shops[i] = buildShop(t, agent, p)
		opening.Go(func() { shops[i].open(p) })
	}
	opening.Wait()
	t.Cleanup(func() {
		var closing sync.WaitGroup
		for _, s := range shops {
			closing.Go(func() { s.leave(true) })
		}
		closing.Wait()
	})
	know(t, shops...)
	return agent, shops
}

// know waits until all know each other.
func know(t testing.TB, shops ...*shop) {
	t.Helper()
	require.Eventually(t, func() bool {
		for _, s := range shops {
			if s.cluster.MemberList.Length() != len(shops) {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)
}

func soon(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// eventually asserts that something comes to be.
func eventually(t testing.TB, so func() bool, what string, args ...any) {
	t.Helper()
	require.Eventually(t, so, 10*time.Second, 2*time.Millisecond, append([]any{what}, args...)...)
}
