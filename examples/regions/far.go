package main

import (
	"context"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// farLoader loads regions from a database that is far away. The seed is not: Init is
// that of the worldLoader.
type farLoader struct {
	worldLoader
	away time.Duration
}

var _ loader.Initializer[string, Region] = farLoader{}

// Load reads a region after the time that the way takes.
func (l farLoader) Load(ctx context.Context, code string) (Region, error) {
	select {
	case <-time.After(l.away):
		return l.worldLoader.Load(ctx, code)
	case <-ctx.Done():
		return Region{}, ctx.Err()
	}
}

// fromFar refreshes the whole world, a few regions at a time, and shows how far
// that is.
func (t *tour) fromFar(ctx context.Context) error {
	source := farLoader{worldLoader{&regionLoader{db: t.db}}, t.far}
	world := bucket.New("far-world", source, bucket.RefreshEvery(0), bucket.Logger(t.log.newLogger()))
	if err := t.supervisor.Add(ctx, world); err != nil {
		return err
	}

	bar := newBar(t.stderr, world.Len())
	defer bar.leave()
	report, err := world.Refresh(ctx, bucket.Progress(bar.show))
	if err != nil {
		return err
	}
	if report.Loaded != world.Len() {
		return fmt.Errorf("%d of %d regions were loaded", report.Loaded, world.Len())
	}
	bar.show(report.Loaded, world.Len()) // it was told of every second, and not of the end

	t.screen.good("Refresh", "%s in %v, each of them %v away, %d at a time",
		plural(report.Loaded, "region", "regions"), rounded(report.Took), t.far, bucket.DefaultRefreshConcurrency)
	return nil
}
