//go:build !race

// protoactor's remote has data races of its own, which are not ours to report.

package cluster_test

import (
	"context"
	"sync"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/supervisor"
)

// member is an actor system that others can reach.
type member struct {
	*protoactor.ActorSystem
	border *cluster.Border
	log    *logtest.Hook
}

// join starts a member that listens on a port of this machine.
func join(t testing.TB, options ...cluster.Option) *member {
	t.Helper()
	return joinAs(t, nil, options...)
}

// joinAs starts one with options of protoactor's remote.
func joinAs(t testing.TB, transport []remote.ConfigOption, options ...cluster.Option) *member {
	t.Helper()
	protoactors, _ := logtest.NewNullLogger()
	logger, hook := logtest.NewNullLogger()
	m := &member{ActorSystem: actor.NewSystem(protoactors), log: hook}
	var err error
	m.border, err = cluster.Open(m.ActorSystem, append([]cluster.Option{cluster.Logger(logger)}, options...)...)
	require.NoError(t, err)
	config, err := m.border.Remote("127.0.0.1", 0, transport...)
	require.NoError(t, err)
	r := remote.NewRemote(m.ActorSystem, config)
	r.Start()
	t.Cleanup(sync.OnceFunc(func() { r.Shutdown(false) }))
	return m
}

// start runs a bucket in the member.
func (m *member) start(t testing.TB, children ...supervisor.Child) {
	t.Helper()
	quiet, _ := logtest.NewNullLogger()
	sup := supervisor.New(m.ActorSystem, supervisor.Logger(quiet))
	require.NoError(t, sup.Start(context.Background(), children...))
	t.Cleanup(func() { require.NoError(t, sup.Stop(context.Background())) })
}

// from is the PID of a bucket as others write it.
func (m *member) pid(b interface{ PID() *protoactor.PID }) *protoactor.PID {
	return protoactor.NewPID(m.Address(), b.PID().Id)
}

// ask asks as one who lives in the member, and fails the test if there is no answer.
func (m *member) ask(t testing.TB, pid *protoactor.PID, question any) any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	answer, err := actor.Ask[any](ctx, m.ActorSystem, pid, question)
	require.NoError(t, err, "%T", question)
	return answer
}
