//go:build !race

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	clustertest "github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/asynkron/protoactor-go/cluster/identitylookup/disthash"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// shop is a member of a cluster, with its own declaration of a bucket, as each process has one.
type shop struct {
	widgets *bucket.Bucket[string, widget]
	cluster *protocluster.Cluster
	handle  *cluster.Handle[string, widget]
	leave   func(graceful bool)
}

func openShop(t *testing.T, agent *clustertest.InMemAgent, l loader.Loader[string, widget]) *shop {
	t.Helper()
	quietLog, _ := logtest.NewNullLogger()
	s := &shop{widgets: bucket.New("widgets", l, quiet())}
	system := actor.NewSystem(quietLog)
	border, err := cluster.Open(system, cluster.Logger(quietLog), cluster.OneOwner(s.widgets))
	require.NoError(t, err)
	config, err := border.Remote("127.0.0.1", 0)
	require.NoError(t, err)
	s.cluster = protocluster.New(system, protocluster.Configure("shop", clustertest.NewTestProvider(agent), disthash.New(), config,
		protocluster.WithKinds(border.Kinds()...)))
	s.cluster.StartMember()
	s.handle = cluster.Of(s.widgets, s.cluster)
	gone := false
	s.leave = func(graceful bool) {
		if !gone {
			gone = true
			s.handle.Close()
			s.cluster.Shutdown(graceful)
		}
	}
	t.Cleanup(func() { s.leave(true) })
	return s
}

func soon(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestOneOwner_serves_all_members_and_moves_when_it_leaves(t *testing.T) {
	agent := clustertest.NewInMemAgent()
	var loads atomic.Int64
	counted := loader.Func(func(ctx context.Context, key string) (widget, error) {
		loads.Add(1)
		return widgets().Load(ctx, key)
	})
	shops := []*shop{openShop(t, agent, counted), openShop(t, agent, counted), openShop(t, agent, counted)}
	require.Eventually(t, func() bool {
		for _, s := range shops {
			if s.cluster.MemberList.Length() != len(shops) {
				return false
			}
		}
		return true
	}, 10*time.Second, 10*time.Millisecond)

	for _, s := range shops {
		got, err := s.handle.Fetch(soon(t), "left-handed")
		require.NoError(t, err)
		assert.Equal(t, 11, got.Price)
	}
	assert.EqualValues(t, 1, loads.Load(), "one bucket, one load")
	require.NoError(t, shops[0].handle.DirectSet(soon(t), "set", widget{Name: "mine"}))
	got, ok := shops[1].handle.Get(soon(t), "set")
	assert.True(t, ok)
	assert.Equal(t, "mine", got.Name)
	_, err := shops[2].handle.Fetch(soon(t), "no such")
	require.ErrorIs(t, err, loader.ErrNotFound)
	keys, err := shops[2].handle.Keys(soon(t))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"left-handed", "set"}, keys)
	require.NoError(t, shops[1].handle.Delete(soon(t), "set"))
	report, err := shops[0].handle.Refresh(soon(t))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Loaded)

	var owners, others []*shop
	for _, s := range shops {
		if s.widgets.PID() != nil {
			owners = append(owners, s)
		} else {
			others = append(others, s)
		}
	}
	require.Len(t, owners, 1)
	asking := make(chan error, 1)
	stop := make(chan struct{})
	go func() { // nobody's question is lost meanwhile
		for i := 0; ; i++ {
			select {
			case <-stop:
				asking <- nil
				return
			default:
				if _, err := others[0].handle.Fetch(context.WithoutCancel(t.Context()), fmt.Sprint("key ", i%100)); err != nil {
					asking <- err
					return
				}
			}
		}
	}()
	owners[0].leave(true)
	_, err = others[1].handle.Fetch(soon(t), "after")
	require.NoError(t, err)
	close(stop)
	require.NoError(t, <-asking)
	running := 0
	for _, s := range others {
		if s.widgets.PID() != nil {
			running++
		}
	}
	assert.Equal(t, 1, running)
}

func TestOneOwner_that_is_vetoed_tells_everybody_why(t *testing.T) {
	agent := clustertest.NewInMemAgent()
	closed := errors.New("closed on Sundays")
	vetoed := loader.Funcs[string, widget]{
		LoadFunc: widgets().Load,
		InitFunc: func(context.Context) (map[string]widget, error) { return nil, loader.Veto(closed) },
	}
	here, there := openShop(t, agent, vetoed), openShop(t, agent, vetoed)
	for _, s := range []*shop{here, there} {
		_, err := s.handle.Fetch(soon(t), "a")
		require.True(t, loader.IsVeto(err), "%v", err)
		require.ErrorContains(t, err, closed.Error())
	}
}
