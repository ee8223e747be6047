package actor_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/slogtest"
	"time"

	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// logged is a slog logger with our handler, and what it has logged.
func logged() (*slog.Logger, *logtest.Hook) {
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.TraceLevel)
	return slog.New(actor.LogHandler(logger)), hook
}

// The standard library's own test of handlers. It asks for one thing that logrus cannot
// do: an entry without a time.
func TestLogHandler_does_what_slog_asks_of_a_handler(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	err := slogtest.TestHandler(actor.LogHandler(logger), func() []map[string]any {
		var results []map[string]any
		for _, entry := range hook.AllEntries() {
			result := map[string]any{
				slog.TimeKey: entry.Time, slog.LevelKey: entry.Level, slog.MessageKey: entry.Message,
			}
			for key, value := range entry.Data {
				nest(result, strings.Split(key, "."), value)
			}
			results = append(results, result)
		}
		return results
	})
	require.Error(t, err)
	complaints := err.(interface{ Unwrap() []error }).Unwrap()
	require.Len(t, complaints, 1, "%v", err)
	assert.ErrorContains(t, complaints[0], "zero Record.Time")
}

// nest undoes the flattening of groups.
func nest(in map[string]any, path []string, value any) {
	if len(path) == 1 {
		in[path[0]] = value
		return
	}
	group, ok := in[path[0]].(map[string]any)
	if !ok {
		group = map[string]any{}
		in[path[0]] = group
	}
	nest(group, path[1:], value)
}

func TestLogHandler_translates_the_levels(t *testing.T) {
	tests := []struct {
		level slog.Level
		want  logrus.Level
	}{
		{slog.LevelError + 4, logrus.ErrorLevel}, // never Fatal or Panic, which do more than log
		{slog.LevelError, logrus.ErrorLevel},
		{slog.LevelError - 1, logrus.WarnLevel},
		{slog.LevelWarn, logrus.WarnLevel},
		{slog.LevelInfo + 1, logrus.InfoLevel},
		{slog.LevelInfo, logrus.InfoLevel},
		{slog.LevelInfo - 1, logrus.DebugLevel},
		{slog.LevelDebug, logrus.DebugLevel},
		{slog.LevelDebug - 1, logrus.TraceLevel},
		{slog.LevelDebug - 100, logrus.TraceLevel},
	}
	for _, tt := range tests {
		t.Run(tt.level.String(), func(t *testing.T) {
			log, hook := logged()
			log.Log(t.Context(), tt.level, "message")
			require.Len(t, hook.AllEntries(), 1)
			assert.Equal(t, tt.want, hook.LastEntry().Level)
		})
	}
}

func TestLogHandler_is_enabled_for_what_its_logger_logs(t *testing.T) {
	logger, _ := logtest.NewNullLogger()
	logger.SetLevel(logrus.WarnLevel)
	tests := []struct {
		name   string
		logger logrus.FieldLogger
		info   bool
	}{
		{"a logger", logger, false},
		{"an entry", logger.WithField("a", 1), false},
		{"somebody else's logger, of which we cannot know", foreign{logger}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h := actor.LogHandler(tt.logger)
			assert.Equal(t, tt.info, h.Enabled(t.Context(), slog.LevelInfo))
			assert.True(t, h.Enabled(t.Context(), slog.LevelWarn))
			assert.True(t, h.Enabled(t.Context(), slog.LevelError+100))
		})
	}
}

type foreign struct{ logrus.FieldLogger }

func TestLogHandler_makes_fields_of_attributes(t *testing.T) {
	errBroken := errors.New("broken")
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	tests := []struct {
		name string
		log  func(*slog.Logger)
		want logrus.Fields
	}{
		{"none", func(l *slog.Logger) { l.Info("m") }, logrus.Fields{}},
		{
			"of every kind, as they are",
			func(l *slog.Logger) {
				l.Info("m", "text", "t", "int", 7, "bool", true, "float", 1.5, "duration", time.Second, "time", at, "error", errBroken, "nil", nil)
			},
			logrus.Fields{
				"text": "t", "int": int64(7), "bool": true, "float": 1.5, "duration": time.Second, "time": at,
				"error": errBroken, "nil": nil,
			},
		},
		{
			"of the logger and of the record",
			func(l *slog.Logger) { l.With("a", 1).With("b", 2).Info("m", "c", 3) },
			logrus.Fields{"a": int64(1), "b": int64(2), "c": int64(3)},
		},
		{
			"the later one wins",
			func(l *slog.Logger) { l.With("a", 1).Info("m", "a", 2) },
			logrus.Fields{"a": int64(2)},
		},
		{
			"a group",
			func(l *slog.Logger) { l.Info("m", slog.Group("request", "id", 7, slog.Group("user", "name", "n"))) },
			logrus.Fields{"request.id": int64(7), "request.user.name": "n"},
		},
		{
			"open groups, with what comes before, between and after",
			func(l *slog.Logger) {
				l.With("a", 1).WithGroup("g").With("b", 2).WithGroup("h").With(slog.Group("i", "c", 3)).Info("m", "d", 4)
			},
			logrus.Fields{"a": int64(1), "g.b": int64(2), "g.h.i.c": int64(3), "g.h.d": int64(4)},
		},
		{
			"a group without a name is no group",
			func(l *slog.Logger) { l.WithGroup("").Info("m", slog.Group("", "a", 1)) },
			logrus.Fields{"a": int64(1)},
		},
		{
			"an empty group, an empty attribute",
			func(l *slog.Logger) { l.With(slog.Attr{}).Info("m", slog.Group("g"), slog.Attr{}) },
			logrus.Fields{},
		},
		{
			"a value that makes itself up",
			func(l *slog.Logger) { l.With("a", secret{"s"}).Info("m", slog.Group("g", "b", secret{"s"})) },
			logrus.Fields{"a": "***", "g.b": "***"},
		},
		{
			"a value that makes itself a group",
			func(l *slog.Logger) { l.Info("m", "a", pair{1, 2}) },
			logrus.Fields{"a.left": int64(1), "a.right": int64(2)},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			log, hook := logged()
			tt.log(log)
			require.Len(t, hook.AllEntries(), 1)
			assert.Equal(t, tt.want, hook.LastEntry().Data)
			assert.Equal(t, "m", hook.LastEntry().Message)
		})
	}
}

type secret struct{ text string }

func (secret) LogValue() slog.Value { return slog.StringValue("***") }

type pair struct{ left, right int }

func (p pair) LogValue() slog.Value {
	return slog.GroupValue(slog.Int("left", p.left), slog.Int("right", p.right))
}

func TestLogHandler_logs_the_record_s_own_time(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	at := time.Date(2026, 1, 2, 3, 4, 5, 6, time.UTC)
	require.NoError(t, actor.LogHandler(logger).Handle(context.Background(), slog.NewRecord(at, slog.LevelInfo, "m", 0)))
	assert.Equal(t, at, hook.LastEntry().Time)
}

// A slog.Logger does not even ask for one; a handler may be asked by others.
func TestLogHandler_opens_no_group_without_a_name(t *testing.T) {
	logger, hook := logtest.NewNullLogger()
	slog.New(actor.LogHandler(logger).WithGroup("")).Info("m", "a", 1)
	assert.Equal(t, logrus.Fields{"a": int64(1)}, hook.LastEntry().Data)
}

// Two loggers made of one must not write into each other's attributes.
func TestLogHandler_does_not_share_what_is_added(t *testing.T) {
	log, hook := logged()
	base := log.With("a", 1, "b", 2, "c", 3) // room for a fourth, if it grew by doubling
	left, right := base.With("side", "left"), base.With("side", "right")
	group := base.WithGroup("g")
	left.Info("left")
	assert.Equal(t, "left", hook.LastEntry().Data["side"])
	right.Info("right")
	assert.Equal(t, "right", hook.LastEntry().Data["side"])
	group.Info("m", "x", 1)
	assert.Equal(t, logrus.Fields{"a": int64(1), "b": int64(2), "c": int64(3), "g.x": int64(1)}, hook.LastEntry().Data)
	base.Info("base", "x", 1)
	assert.Equal(t, logrus.Fields{"a": int64(1), "b": int64(2), "c": int64(3), "x": int64(1)}, hook.LastEntry().Data)
}

func TestLogHandler_is_for_many_goroutines(t *testing.T) {
	log, hook := logged()
	log = log.With("a", 1)
	var all sync.WaitGroup
	for i := range 10 {
		all.Go(func() {
			for range 50 {
				log.With("b", i).WithGroup("g").Info("m", "c", i)
			}
		})
	}
	all.Wait()
	require.Len(t, hook.AllEntries(), 500)
	for _, entry := range hook.AllEntries() {
		assert.Equal(t, entry.Data["b"], entry.Data["g.c"])
	}
}
