package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

func (t *tour) miss(ctx context.Context) error {
	before := t.source.Queries()
	began := time.Now()
	japan, err := t.regions.Fetch(ctx, "JP")
	took := time.Since(began)
	if err != nil {
		return err
	}
	if japan.Currency != "JPY" {
		return fmt.Errorf("JP pays with %q", japan.Currency)
	}
	t.screen.line("Fetch JP", "%v", rounded(took))
	t.screen.line("currency", "%s", japan.Currency)
	for i, language := range languages {
		label := "names"
		if i > 0 {
			label = ""
		}
		t.screen.line(label, "%s  %s", language, japan.Names[language.String()])
	}
	return t.asked(before, 1)
}

func (t *tour) hit(ctx context.Context) error {
	const reads = 1_000_000
	before := t.source.Queries()

	began := time.Now()
	for range reads {
		if _, err := t.regions.Fetch(ctx, "JP"); err != nil {
			return err
		}
	}
	fetch := time.Since(began)

	began = time.Now()
	for range reads {
		if _, ok := t.regions.DirectGet("JP"); !ok {
			return errors.New("JP is gone")
		}
	}
	direct := time.Since(began)

	t.screen.line("Fetch JP", "%s each, over %s reads", each(fetch, reads), grouped(reads))
	t.screen.line("DirectGet JP", "%s each: the table alone, never the loader", each(direct, reads))
	return t.asked(before, 0)
}

func (t *tour) herd(ctx context.Context) error {
	const callers = 1000
	before, joined := t.source.Queries(), t.regions.Stats().Coalesced

	var (
		herd   sync.WaitGroup
		gate   = make(chan struct{})
		served atomic.Int64
	)
	for range callers {
		herd.Go(func() {
			<-gate
			france, err := t.regions.Fetch(ctx, slow)
			if err == nil && france.Names["fr"] == "France" {
				served.Add(1)
			}
		})
	}
	began := time.Now()
	close(gate)
	herd.Wait()
	took := time.Since(began)

	if served.Load() != callers {
		return fmt.Errorf("only %d of %d callers got France", served.Load(), callers)
	}
	t.screen.line("Fetch FR", "%s callers at once, all served in %v", grouped(callers), rounded(took))
	t.screen.line("", "%s of them joined the load that was running (%v, on purpose)",
		grouped(t.regions.Stats().Coalesced-joined), slowness)
	return t.asked(before, 1)
}

// Croatia has paid in euros since 2023. The data in golang.org/x/text is older.
const (
	croatia     = "HR"
	moneyBefore = "HRK"
	moneyAfter  = "EUR"
)

func (t *tour) change(ctx context.Context) error {
	if err := t.currencyIs(ctx, "before", moneyBefore); err != nil {
		return err
	}
	if err := setCurrency(ctx, t.db, croatia, moneyAfter); err != nil {
		return err
	}
	t.screen.line("UPDATE", "in the database, by its owner, who does not know about us")
	if err := t.currencyIs(ctx, "at once", moneyBefore); err != nil {
		return err
	}

	held := t.regions.Len()
	before := t.source.Queries()
	report, err := t.regions.Refresh(ctx)
	if err != nil {
		return err
	}
	t.screen.line("Refresh", "generation %d in %v: %d loaded, %d changed, %d unchanged, %d failed",
		report.Generation, rounded(report.Took),
		report.Loaded, report.Changed, report.Unchanged, report.Failed)
	if err := t.currencyIs(ctx, "afterwards", moneyAfter); err != nil {
		return err
	}
	return t.asked(before, int64(held))
}

func (t *tour) currencyIs(ctx context.Context, label, want string) error {
	region, err := t.regions.Fetch(ctx, croatia)
	if err != nil {
		return err
	}
	if region.Currency != want {
		return fmt.Errorf("%s pays with %q, not %q", croatia, region.Currency, want)
	}
	t.screen.line(label, "%s pays with %s", region.Names["en"], region.Currency)
	return nil
}

func (t *tour) absent(ctx context.Context) error {
	before := t.source.Queries()
	_, err := t.regions.Fetch(ctx, "UK")
	if !errors.Is(err, loader.ErrNotFound) {
		return fmt.Errorf("UK, which is GB: %w instead of loader.ErrNotFound", err)
	}
	t.screen.line("Fetch UK", "%v", err)
	t.screen.line("", "errors.Is(err, loader.ErrNotFound): the source is sure. (It is GB.)")
	return t.asked(before, 1)
}

func (t *tour) panicking(ctx context.Context) error {
	_, err := t.regions.Fetch(ctx, atlantis)
	var panicked *loader.PanicError
	if !errors.As(err, &panicked) {
		return fmt.Errorf("a panic became %w, not a *loader.PanicError", err)
	}
	t.screen.line("Fetch Atlantis", "%v", err)
	t.screen.line("", "a *loader.PanicError, with %d lines of stack", strings.Count(string(panicked.Stack), "\n"))

	before := t.source.Queries()
	germany, err := t.regions.Fetch(ctx, "DE")
	if err != nil {
		return err
	}
	t.screen.good("Fetch DE", "%s: the bucket goes on", germany.Names["de"])
	return t.asked(before, 1)
}

// fireDrills is how often the bucket is made to crash: less often than its
// supervisor puts up with.
const fireDrills = 2

func (t *tour) crash(ctx context.Context) error {
	restarts := make(chan supervisor.Restarted, 8)
	subscription := t.system.EventStream.Subscribe(func(event any) {
		if restarted, ok := event.(supervisor.Restarted); ok {
			select {
			case restarts <- restarted:
			default: // a subscriber must not block; nobody counts past eight
			}
		}
	})
	defer t.system.EventStream.Unsubscribe(subscription)

	before := t.source.Queries()
	crowd := readAlong(ctx, t.regions, "JP", 4)
	defer crowd.leave()

	for drill, cold := range [fireDrills]string{"IT", "BR"} {
		began := time.Now()
		t.system.Root.Send(t.regions.PID(), bucket.Crash{Reason: fmt.Sprintf("fire drill %d", drill+1)})

		// A miss needs the actor, so it waits for the next one.
		region, err := t.regions.Fetch(ctx, cold)
		served := time.Since(began)
		if errors.Is(err, bucket.ErrCrashed) {
			return fmt.Errorf("a caller that came after the crash was given its error: %w", err)
		}
		if err != nil {
			return err
		}
		restarted, err := receive(ctx, restarts)
		if err != nil {
			return fmt.Errorf("no word of a restart: %w", err)
		}
		t.screen.line(fmt.Sprintf("Crash %d", drill+1), "%v", restarted.Reason)
		t.screen.line("", "restart %d; a miss (%s) was answered %v after the crash",
			restarted.Restarts, region.Names["en"], rounded(served))
	}

	hits, failures := crowd.leave()
	if failures > 0 || hits == 0 {
		return fmt.Errorf("the readers had %d hits and %d failures", hits, failures)
	}
	t.screen.good("meanwhile", "%s hits, 0 failures", grouped(hits))
	return t.asked(before, fireDrills) // for the misses; the hits asked nobody
}

// crowd is some goroutines that read one key as fast as they can.
type crowd struct {
	gone           context.CancelFunc
	readers        sync.WaitGroup
	hits, failures atomic.Int64
}

func readAlong(ctx context.Context, regions *bucket.Bucket[string, Region], code string, readers int) *crowd {
	over, gone := context.WithCancel(ctx)
	c := &crowd{gone: gone}
	for range readers {
		c.readers.Go(func() {
			var hits, failures int64
			for over.Err() == nil {
				// A read that had to wait would show, as a query of the database.
				region, err := regions.Fetch(ctx, code)
				if err == nil && region.Code == code {
					hits++
				} else {
					failures++
				}
			}
			c.hits.Add(hits)
			c.failures.Add(failures)
		})
	}
	return c
}

// leave ends the reading, waits for the readers and returns what they had.
func (c *crowd) leave() (hits, failures int64) {
	c.gone()
	c.readers.Wait()
	return c.hits.Load(), c.failures.Load()
}

// receive waits for an event, but not for ever.
func receive[T any](ctx context.Context, events <-chan T) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	select {
	case event := <-events:
		return event, nil
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

func (t *tour) statistics(context.Context) error {
	stats, health := t.regions.Stats(), t.regions.Health()
	t.screen.line("health", "%s", health.State)
	t.screen.line("held", "%s, generation %d",
		plural(stats.Entries, "region", "regions"), stats.LastRefresh.Generation)
	t.screen.line("hits", "%s", grouped(stats.Hits))
	t.screen.line("misses", "%s, of which %s shared somebody else's load",
		grouped(stats.Misses), grouped(stats.Coalesced))
	t.screen.line("loads", "%s: %s failed, %s not found; %v each",
		grouped(stats.Loads), grouped(stats.LoadFailures), grouped(stats.NotFound),
		rounded(stats.LoadTime/time.Duration(max(1, stats.Loads))))
	t.screen.line("refreshes", "%s", grouped(stats.Refreshes))
	t.screen.line("restarts", "%s", grouped(stats.Restarts))

	if health.State != bucket.Ready {
		return fmt.Errorf("health is %s: %s", health.State, strings.Join(health.Reasons, "; "))
	}
	if stats.Restarts != fireDrills {
		return fmt.Errorf("%d restarts were counted, not %d", stats.Restarts, fireDrills)
	}
	return nil
}
