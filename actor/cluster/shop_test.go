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

type shop = shopOf[widget]

// shopOf is a member of a cluster, with its own declaration of a bucket, as each process has one.
type shopOf[V any] struct {
	widgets *bucket.Bucket[string, V]
	system  *protoactor.ActorSystem
	cluster *protocluster.Cluster
	handle  *cluster.Handle[string, V]
	log     *logtest.Hook
	leave   func(graceful bool)
}

type plan = planOf[widget]

// planOf says how a shop is made.
type planOf[V any] struct {
	place   func(b *bucket.Bucket[string, V]) cluster.Placed
	loader  loader.Loader[string, V]
	options []bucket.Option
	handle  []cluster.HandleOption
	border  []cluster.Option
	guest   bool // owns nothing
	kinds   []*protocluster.Kind
}

func oneOwner[V any](b *bucket.Bucket[string, V]) cluster.Placed { return cluster.OneOwner(b) }

func openShop[V any](t testing.TB, agent *clustertest.InMemAgent, p planOf[V]) *shopOf[V] {
	t.Helper()
	s := buildShop(t, agent, p)
	t.Cleanup(func() { s.leave(true) })
	s.open(p)
	return s
}

// buildShop makes one that is not open yet.
func buildShop[V any](t testing.TB, agent *clustertest.InMemAgent, p planOf[V]) *shopOf[V] {
	t.Helper()
	quietLog, _ := logtest.NewNullLogger()
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.WarnLevel)
	s := &shopOf[V]{widgets: bucket.New("widgets", p.loader, append([]bucket.Option{quiet()}, p.options...)...), log: hook}
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

func (s *shopOf[V]) open(p planOf[V]) {
	s.cluster.StartMember()
	s.handle = cluster.Of(s.widgets, s.cluster, p.handle...)
}

// openShops opens several that know each other.
func openShops[V any](t testing.TB, n int, p planOf[V]) (*clustertest.InMemAgent, []*shopOf[V]) {
	t.Helper()
	agent := clustertest.NewInMemAgent()
	shops := make([]*shopOf[V], n)
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
func know[V any](t testing.TB, shops ...*shopOf[V]) {
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
