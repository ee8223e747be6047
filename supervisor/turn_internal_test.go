package supervisor

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// idle is a child that does nothing.
type idle struct{ name string }

func (i idle) Name() string { return i.name }

func (idle) Props() *protoactor.Props {
	return protoactor.PropsFromFunc(func(protoactor.Context) {})
}

// Our own mistakes must not take the children down either.
func TestReceive_survives_its_own_panic_and_answers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(2 * time.Second) })
		logger, lines := logtest.NewNullLogger()
		system := actor.NewSystem(logger)
		s := New(system, Logger(logger))
		require.NoError(t, s.Start(t.Context(), idle{"a"}))
		lines.Reset()

		reply, err := actor.Ask[done](t.Context(), system, s.PID(), add{}) // without its tree
		require.NoError(t, err)
		assert.ErrorContains(t, reply.err, "panic")
		require.NotEmpty(t, lines.AllEntries())
		assert.Contains(t, lines.LastEntry().Message, "supervisor panicked")
		assert.Contains(t, lines.LastEntry().Data["stack"], "Receive")

		require.Len(t, s.Status(), 1)
		assert.Equal(t, Running, s.Status()[0].State)
		require.NoError(t, s.Add(t.Context(), idle{"b"}))
		require.NoError(t, s.Stop(context.Background()))
	})
}

func TestAwaitBoot_tells_the_reason_rather_than_its_consequence(t *testing.T) {
	reason := errors.New("a child vetoed")
	for range 50 { // a select between two that are ready tosses a coin
		failed := newTree(nil, nil, nil)
		failed.bootErr = reason
		close(failed.booted)
		failed.cancel()
		require.ErrorIs(t, failed.awaitBoot(t.Context()), reason)

		over := newTree(nil, nil, nil)
		over.cancel()
		require.ErrorIs(t, over.awaitBoot(t.Context()), ErrNotRunning)
	}
}

// The caller of Start, whose own context is fine, must not be told that it has ended.
func TestBoot_that_is_interrupted_does_not_show_its_own_context(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(2 * time.Second) })
		dead, _ := logtest.NewNullLogger() // letters
		logger, lines := logtest.NewNullLogger()
		system := actor.NewSystem(dead)
		s := New(system, Logger(logger), With(idle{"a"}))
		interrupted := newTree(s, system, protoactor.NewPID("nonhost", "gone"))
		interrupted.cancel()
		reported := make(chan error, 1)
		interrupted.boot(func(err error) { reported <- err })

		require.ErrorIs(t, <-reported, ErrNotRunning)
		err := interrupted.awaitBoot(t.Context())
		require.ErrorIs(t, err, ErrNotRunning)
		assert.NotErrorIs(t, err, context.Canceled)
		assert.Empty(t, lines.AllEntries())
	})
}
