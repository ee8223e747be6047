package main

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sirupsen/logrus"
)

// logbook keeps what the library logs until the tour comes round to show it, so
// that a warning does not land in the middle of a line. It is a hook of logrus'.
type logbook struct {
	mu      sync.Mutex // guards entries
	entries []string
}

// newLogger returns a logger that writes warnings and worse into the book, and
// nothing anywhere else.
func (b *logbook) newLogger() *logrus.Logger {
	logger := logrus.New()
	logger.SetLevel(logrus.WarnLevel)
	logger.SetOutput(io.Discard)
	logger.AddHook(b)
	return logger
}

// Levels is all that the logger lets through.
func (b *logbook) Levels() []logrus.Level { return logrus.AllLevels }

// Fire keeps one line of the log.
func (b *logbook) Fire(entry *logrus.Entry) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.entries = append(b.entries, oneLine(entry))
	return nil
}

// oneLine writes an entry with its fields in order, but without stacks: they are
// for the reader of a log file.
func oneLine(entry *logrus.Entry) string {
	var line strings.Builder
	fmt.Fprintf(&line, "%s: %s", entry.Level, entry.Message)
	names := make([]string, 0, len(entry.Data))
	for name := range entry.Data {
		if name != "stack" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	for _, name := range names {
		value := entry.Data[name]
		if d, ok := value.(time.Duration); ok {
			value = rounded(d)
		}
		fmt.Fprintf(&line, " %s=%v", name, value)
	}
	return line.String()
}

// take empties the book.
func (b *logbook) take() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	entries := b.entries
	b.entries = nil
	return entries
}
