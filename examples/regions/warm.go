package main

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// worldLoader loads regions, and seeds a bucket with all of them when it starts cold.
type worldLoader struct{ *regionLoader }

var _ loader.Initializer[string, Region] = worldLoader{}

// Init reads every region, one query each: what a source that knows nothing better offers.
func (l worldLoader) Init(ctx context.Context) (map[string]Region, error) {
	codes, err := allKeys(ctx, l.db)
	if err != nil {
		return nil, err
	}
	world := make(map[string]Region, len(codes))
	for _, code := range codes {
		if world[code], err = l.Load(ctx, code); err != nil {
			return nil, err
		}
	}
	return world, nil
}

// dumpPath is where the world is kept between two runs: beside the database.
func (s settings) dumpPath() string {
	return strings.TrimSuffix(s.path, filepath.Ext(s.path)) + ".dump"
}

// warm starts a bucket of the whole world that keeps a dump. The first run of the program
// makes it; every later one starts from it, and then starts another bucket without a dump,
// to compare.
func (t *tour) warm(ctx context.Context) error {
	source := worldLoader{&regionLoader{db: t.db}}
	world := bucket.New("world", source,
		bucket.File(t.dumpPath()), bucket.RefreshEvery(0), bucket.Logger(t.log.newLogger()))
	took, err := t.timed(ctx, world)
	if err != nil {
		return err
	}
	if world.Len() == 0 {
		return errors.New("the world is empty")
	}

	asked := source.Queries()
	if world.Stats().Persist.Recovery.Empty() {
		t.screen.line("cold", "%s in %v: there was no dump, so Init asked the database %s",
			plural(world.Len(), "region", "regions"), rounded(took), plural(asked, "time", "times"))
		t.screen.good("dump", "made: the next run starts warm")
		t.screen.line("", "%s", t.dumpPath())
		return nil
	}
	if asked != 0 {
		return fmt.Errorf("the database was asked %s by a bucket with a dump", plural(asked, "time", "times"))
	}
	t.screen.good("warm", "%s in %v from the dump; the database was not asked",
		plural(world.Len(), "region", "regions"), rounded(took))

	cold := bucket.New("cold-world", source, bucket.RefreshEvery(0), bucket.Logger(t.log.newLogger()))
	slow, err := t.timed(ctx, cold)
	if err != nil {
		return err
	}
	if cold.Len() != world.Len() {
		return fmt.Errorf("the dump holds %d regions, and the database %d", world.Len(), cold.Len())
	}
	t.screen.line("cold", "%s in %v without one, %.0f times as long; Init asked the database %s",
		plural(cold.Len(), "region", "regions"), rounded(slow), float64(slow)/float64(took), plural(source.Queries(), "time", "times"))
	return nil
}

// timed starts a bucket beside the others, and says how long that took.
func (t *tour) timed(ctx context.Context, child supervisor.Child) (time.Duration, error) {
	began := time.Now()
	err := t.supervisor.Add(ctx, child)
	return time.Since(began), err
}
