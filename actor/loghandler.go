package actor

import (
	"context"
	"log/slog"
	"slices"

	"github.com/sirupsen/logrus"
)

// LogHandler puts logger behind the standard library's slog: attributes become
// logrus fields, groups become prefixes ("request.id"). It is safe for use by
// many goroutines as far as logger is.
func LogHandler(logger logrus.FieldLogger) slog.Handler { return &logHandler{logger: logger} }

type logHandler struct {
	logger logrus.FieldLogger
	prefix string      // of the open groups, with its final dot
	attrs  []slog.Attr // keys carry their prefix already
}

func (h *logHandler) Enabled(_ context.Context, level slog.Level) bool {
	switch logger := h.logger.(type) {
	case *logrus.Logger:
		return logger.IsLevelEnabled(logrusLevel(level))
	case *logrus.Entry:
		return logger.Logger.IsLevelEnabled(logrusLevel(level))
	default:
		return true // the logger itself will know
	}
}

func (h *logHandler) Handle(_ context.Context, record slog.Record) error {
	fields := make(logrus.Fields, len(h.attrs)+record.NumAttrs())
	for _, attr := range h.attrs {
		fields[attr.Key] = attr.Value.Any()
	}
	record.Attrs(func(attr slog.Attr) bool {
		for _, flat := range flatten(h.prefix, attr) {
			fields[flat.Key] = flat.Value.Any()
		}
		return true
	})
	h.logger.WithFields(fields).WithTime(record.Time).Log(logrusLevel(record.Level), record.Message)
	return nil
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.attrs = slices.Clone(h.attrs)
	for _, attr := range attrs {
		with.attrs = append(with.attrs, flatten(h.prefix, attr)...)
	}
	return &with
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	with := *h
	with.prefix += name + "."
	return &with
}

// flatten resolves an attribute to plain values. slog's rules: an empty attribute
// is dropped, a group without a name is inlined, an empty group is dropped.
func flatten(prefix string, attr slog.Attr) []slog.Attr {
	attr.Value = attr.Value.Resolve()
	if attr.Equal(slog.Attr{}) {
		return nil
	}
	if attr.Value.Kind() != slog.KindGroup {
		attr.Key = prefix + attr.Key
		return []slog.Attr{attr}
	}

	if attr.Key != "" {
		prefix += attr.Key + "."
	}
	var flat []slog.Attr
	for _, member := range attr.Value.Group() {
		flat = append(flat, flatten(prefix, member)...)
	}
	return flat
}

func logrusLevel(level slog.Level) logrus.Level {
	switch {
	case level >= slog.LevelError:
		return logrus.ErrorLevel
	case level >= slog.LevelWarn:
		return logrus.WarnLevel
	case level >= slog.LevelInfo:
		return logrus.InfoLevel
	case level >= slog.LevelDebug:
		return logrus.DebugLevel
	default:
		return logrus.TraceLevel
	}
}
