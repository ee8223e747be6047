package actor_test

import (
	"io"
	"log/slog"
	"testing"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// loggedSystem is an actor system and what it has logged.
func loggedSystem() (*protoactor.ActorSystem, *logtest.Hook) {
	logger, hook := logtest.NewNullLogger()
	return actor.NewSystem(logger), hook
}

func TestNewSystem_logs_through_the_logger(t *testing.T) {
	system, hook := loggedSystem()
	require.NotEmpty(t, hook.AllEntries())
	entry := hook.AllEntries()[0]
	assert.Equal(t, "actor system started", entry.Message)
	assert.Equal(t, logrus.InfoLevel, entry.Level)
	assert.Equal(t, "Proto.Actor", entry.Data["lib"])
	assert.Equal(t, system.ID, entry.Data["system"])

	hook.Reset()
	system.Logger().Warn("from an actor")
	require.Len(t, hook.AllEntries(), 1)
	assert.Equal(t, logrus.WarnLevel, hook.LastEntry().Level)
	assert.Equal(t, system.ID, hook.LastEntry().Data["system"])
}

func TestNewSystem_keeps_to_the_level_of_the_logger(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.WarnLevel)
	system := actor.NewSystem(logger.WithField("service", "prices"))
	system.Logger().Info("not this")
	assert.Empty(t, hook.AllEntries())
	system.Logger().Warn("but this")
	require.Len(t, hook.AllEntries(), 1)
	assert.Equal(t, "prices", hook.LastEntry().Data["service"], "an entry's fields are kept")
}

// The standard logger is shared, so this test must not run beside others.
func TestNewSystem_without_a_logger_logs_through_the_standard_logger(t *testing.T) {
	standard := logrus.StandardLogger()
	hook := new(logtest.Hook)
	out, hooks := standard.Out, standard.ReplaceHooks(logrus.LevelHooks{})
	t.Cleanup(func() {
		standard.SetOutput(out)
		standard.ReplaceHooks(hooks)
	})
	standard.SetOutput(io.Discard)
	standard.AddHook(hook)

	system := actor.NewSystem(nil)
	require.NotEmpty(t, hook.AllEntries())
	assert.Equal(t, system.ID, hook.LastEntry().Data["system"])
}

func TestNewSystem_lets_the_options_win(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	system := actor.NewSystem(logger,
		protoactor.WithDeadLetterThrottleCount(7),
		protoactor.WithLoggerFactory(func(*protoactor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	assert.EqualValues(t, 7, system.Config.DeadLetterThrottleCount)
	assert.Empty(t, hook.AllEntries())
}
