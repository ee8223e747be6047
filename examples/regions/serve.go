package main

import (
	"context"
	"time"
)

// work keeps the bucket busy, with a reader who asks for one region after the
// other, until ctx ends. Whoever changes the database meanwhile sees it here
// after the next refresh.
func (t *tour) work(ctx context.Context) error {
	t.screen.line("refresh", "every %v; change a row and watch: sqlite3 %s", t.refresh, t.path)
	codes, err := allKeys(ctx, t.db)
	if err != nil {
		return err
	}

	report := time.NewTicker(t.every)
	defer report.Stop()
	read := time.NewTicker(10 * time.Millisecond)
	defer read.Stop()
	for i := 0; ; {
		select {
		case <-ctx.Done():
			t.screen.line("interrupted", "and so to the end")
			return nil
		case <-read.C:
			if _, err := t.regions.Fetch(ctx, codes[i%len(codes)]); err != nil && ctx.Err() == nil {
				t.screen.log([]string{err.Error()})
			}
			i++
		case now := <-report.C:
			stats := t.regions.Stats()
			t.screen.line(now.Format(time.TimeOnly), "%s; %s held, %s hits, %s loads, %s (%d changed)",
				t.regions.Health().State, grouped(stats.Entries), grouped(stats.Hits), grouped(stats.Loads),
				plural(stats.Refreshes, "refresh", "refreshes"), stats.LastRefresh.Changed)
			t.screen.log(t.log.take())
		}
	}
}
