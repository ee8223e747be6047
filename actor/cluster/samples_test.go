package cluster_test

import (
	"context"
	"fmt"
	"strings"
	"time"

	logtest "github.com/sirupsen/logrus/hooks/test"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

type widget struct {
	Name  string
	Price int
	Tags  []string
	Since time.Time
}

var since = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// widgets is a source: a key that it does not have is not found, and some fail in other ways.
func widgets() loader.Loader[string, widget] {
	return loader.Func(func(_ context.Context, key string) (widget, error) {
		switch {
		case key == "panic":
			panic("out of widgets")
		case key == "late":
			return widget{}, context.DeadlineExceeded
		case strings.HasPrefix(key, "no "):
			return widget{}, fmt.Errorf("%w: %s", loader.ErrNotFound, key)
		}
		return widget{key, len(key), []string{"a", "b"}, since}, nil
	})
}

func quiet() bucket.Option {
	logger, _ := logtest.NewNullLogger()
	return bucket.Logger(logger)
}
