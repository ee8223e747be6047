package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

// tour shows one bucket through its life. Every step checks what it shows; a
// surprise ends the tour with an error.
type tour struct {
	settings
	screen *screen
	stderr io.Writer // for the progress bar, which is no part of what the tour says
	log    logbook

	goroutines int // before anything was started
	db         *sql.DB
	source     *regionLoader
	system     *protoactor.ActorSystem
	regions    *bucket.Bucket[string, Region]
	supervisor *supervisor.Supervisor
}

func newTour(s settings, screen *screen, stderr io.Writer) *tour {
	return &tour{settings: s, screen: screen, stderr: stderr}
}

// run goes through the steps in order. Whatever happens, what was started is
// stopped when it returns.
func (t *tour) run(ctx context.Context) error {
	defer t.abandon()

	t.screen.title("DataWorker", "keeps data that somebody else owns in memory, and fresh.")
	steps := []struct {
		title string
		do    func(context.Context) error
	}{
		{"Start", t.start},
		{"A miss: the bucket asks the database", t.miss},
		{"A hit: nobody asks anybody", t.hit},
		{"A thousand callers, one cold key", t.herd},
		{"The owner changes a row", t.change},
		{"A key that does not exist", t.absent},
		{"A loader that panics", t.panicking},
		{"The bucket's own actor dies, while four readers read", t.crash},
		{"What the bucket counted", t.statistics},
		{"A start from the dump", t.warm},
	}
	for _, step := range steps {
		if err := t.step(ctx, step.title, step.do); err != nil {
			return err
		}
	}
	if t.far > 0 {
		if err := t.step(ctx, "A full refresh, from far away", t.fromFar); err != nil {
			return err
		}
	}
	if t.serve {
		if err := t.step(ctx, "At work, until interrupted", t.work); err != nil {
			return err
		}
		// The interrupt that ended the work must not cut the goodbye short.
		ctx = context.WithoutCancel(ctx)
	}
	if err := t.step(ctx, "A clean stop", t.stop); err != nil {
		return err
	}
	t.screen.end()
	return nil
}

func (t *tour) step(ctx context.Context, title string, do func(context.Context) error) error {
	t.screen.section(title)
	err := do(ctx)
	if ctx.Err() != nil && err != nil {
		err = context.Cause(ctx) // whatever else went wrong, this is why
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.ToLower(title), err)
	}
	t.screen.log(t.log.take())
	return nil
}

func (t *tour) start(ctx context.Context) error {
	t.goroutines = runtime.NumGoroutine()

	began := time.Now()
	db, made, err := openDatabase(ctx, t.path)
	if err != nil {
		return err
	}
	t.db = db
	if made {
		t.screen.line("database", "made now, in %v", rounded(time.Since(began)))
	} else {
		t.screen.line("database", "found, from an earlier run")
	}
	t.screen.line("", "%s", t.path)
	regions, names, err := worldSize(ctx, db)
	if err != nil {
		return err
	}
	t.screen.line("holds", "%s regions, %s names", grouped(regions), grouped(names))
	// An earlier run may have been interrupted in the middle of its change.
	if err := setCurrency(ctx, db, croatia, moneyBefore); err != nil {
		return err
	}

	t.source = &regionLoader{db: db}
	logger := t.log.newLogger()
	t.system = actor.NewSystem(logger)
	t.supervisor = supervisor.New(t.system, supervisor.Logger(logger))
	t.regions = bucket.New("regions", sabotaged(t.source), bucket.RefreshEvery(t.refresh), bucket.Logger(logger))

	began = time.Now()
	if err := t.supervisor.Start(ctx, t.regions); err != nil {
		return err
	}
	t.screen.line("bucket", "%q, ready in %v, under a supervisor", t.regions.Name(), rounded(time.Since(began)))
	return t.asked(0, 0)
}

// asked checks, and says, how often the database was asked since before.
func (t *tour) asked(before, want int64) error {
	queries := t.source.Queries() - before
	if queries != want {
		return fmt.Errorf("the database was asked %s, not %s",
			plural(queries, "time", "times"), plural(want, "time", "times"))
	}
	t.screen.good("database", "asked %s", plural(queries, "time", "times"))
	return nil
}

func (t *tour) stop(ctx context.Context) error {
	began := time.Now()
	if err := t.supervisor.Stop(ctx); err != nil {
		return err
	}
	t.screen.line("supervisor", "stopped in %v", rounded(time.Since(began)))
	_, err := t.regions.Fetch(ctx, "JP")
	if !errors.Is(err, bucket.ErrStopped) {
		return fmt.Errorf("a stopped bucket says %w, not bucket.ErrStopped", err)
	}
	t.screen.line("Fetch JP", "%v", err)

	if err := setCurrency(ctx, t.db, croatia, moneyBefore); err != nil {
		return err
	}
	if err := t.db.Close(); err != nil {
		return err
	}
	t.system.Shutdown()
	t.db, t.system, t.supervisor = nil, nil, nil

	left := settle(ctx, t.goroutines)
	if left > t.goroutines {
		return fmt.Errorf("%d goroutines before the start, %d after the stop", t.goroutines, left)
	}
	t.screen.good("goroutines", "%d before the start, %d after the stop", t.goroutines, left)
	return nil
}

// settle waits until no more goroutines run than before, and returns how many do.
// Those that were told to end need a moment to do it, and protoactor keeps one
// for a second after a message that found nobody.
func settle(ctx context.Context, before int) int {
	deadline := time.Now().Add(5 * time.Second)
	for {
		now := runtime.NumGoroutine()
		if now <= before || time.Now().After(deadline) || ctx.Err() != nil {
			return now
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// abandon stops what a tour that ended early has left running. After a whole tour
// there is nothing to do.
func (t *tour) abandon() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if t.supervisor != nil {
		_ = t.supervisor.Stop(ctx) // the surprise that ended the tour is the better error
	}
	if t.db != nil {
		_ = t.db.Close()
	}
}
