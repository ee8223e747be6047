package bucket

import (
	"sync/atomic"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// Stats are counts since the bucket was started; of a bucket that has stopped, those
// of its last run.
type Stats struct {
	Entries int // keys held now
	Running int // loads at work now

	// Abandoned counts the calls of the loader that were given up at their time-out and
	// have not returned since: each holds a goroutine.
	Abandoned int

	Hits      int64 // Fetches and Gets answered from the table
	Misses    int64 // those that the table could not answer
	Coalesced int64 // callers who joined a load that others had asked for
	Busy      int64 // callers turned away with ErrBusy

	Loads        int64         // calls of the loader, those of refreshes included
	LoadFailures int64         // that gave an error, panicked or timed out
	LoadPanics   int64         // of those, panics and calls of runtime.Goexit
	LoadTimeouts int64         // of those, time-outs
	NotFound     int64         // loads whose key the source does not have; no failures
	LoadTime     time.Duration // of all loads together

	Sets     int64 // DirectSets and Sets carried out
	Deletes  int64 // Deletes carried out
	Restarts int64 // panics of the bucket's actor that it came back from

	Persist PersistStats // of the file, if there is one

	Generation  uint64        // of the state that readers see: 1 for the seed, one more with each full refresh
	Refreshes   int64         // full refreshes that were published
	RefreshTime time.Duration // of all of them together
	Refusals    int64         // full refreshes that the gate refused
	Stalls      int64         // full refreshes that stood still, and were given up
	LastRefresh Report        // of the last that was published or refused
	CompletedAt time.Time     // of the last full refresh that was complete, as Health has it
	ReadyAt     time.Time     // when the bucket could first be read; zero before

	// Failing counts the keys that keep an old value because their last refresh failed.
	Failing int

	// Oldest is when the oldest entry was loaded, or called unchanged, as it was at the start or
	// after the last full refresh: it may have gone since. Zero if there was none.
	Oldest time.Time
}

// PersistStats are about the file of a bucket. Refused and Skipped count since the start.
type PersistStats struct {
	dump.Stats
	Refused  int64         // DirectSets, Sets and Deletes that got an ErrPersist
	Skipped  int64         // loaded values that cannot be encoded, and are kept in memory only
	Recovery dump.Recovery // what was found at the start
	Trouble  error         // nil while all is well with the file
}

// Stats returns the bucket's statistics. It never blocks; counts that change
// meanwhile may be a moment apart.
func (b *Bucket[K, V]) Stats() Stats {
	r := b.run.Load()
	if r == nil {
		return Stats{}
	}
	c, v := &r.counters, r.vitals.Load()
	s := Stats{
		Entries:      b.Len(),
		Hits:         c.hits.sum(),
		Misses:       c.misses.Load(),
		Coalesced:    c.coalesced.Load(),
		Busy:         c.busy.Load(),
		Loads:        c.loads.Load(),
		LoadFailures: c.loadFailures.Load(),
		LoadPanics:   c.loadPanics.Load(),
		LoadTimeouts: c.loadTimeouts.Load(),
		NotFound:     c.notFound.Load(),
		LoadTime:     time.Duration(c.loadTime.Load()),
		Sets:         c.sets.Load(),
		Deletes:      c.deletes.Load(),
		Restarts:     c.restarts.Load(),
		Generation:   v.generation,
		Refreshes:    v.refreshes,
		RefreshTime:  v.refreshTime,
		Refusals:     v.refusals,
		Stalls:       v.stalls,
		LastRefresh:  v.last,
		CompletedAt:  v.completedAt,
		ReadyAt:      v.readyAt,
	}
	t := b.table.Load()
	s.Failing, s.Oldest = t.countFailing(), t.oldestTime()
	s.Persist = PersistStats{
		Refused: c.persistFailures.Load(), Skipped: c.unwritable.Load(),
		Recovery: v.recovery, Trouble: v.dumpTrouble,
	}
	if file := r.file.Load(); file != nil && file.dump != nil {
		s.Persist.Stats = file.dump.Stats()
	}
	if r.phase() != phaseOver {
		s.Running = int(c.running())
	}
	s.Abandoned = int(c.abandoned.Load())
	return s
}

// counters are written by the actor and read by anybody.
type counters struct {
	hits *hitCounter

	misses, coalesced, busy                          atomic.Int64
	loads, landings, abandoned                       atomic.Int64
	failedInARow                                     atomic.Int64 // loads
	lastFailure                                      atomic.Pointer[loadFailure]
	loadFailures, loadPanics, loadTimeouts, notFound atomic.Int64
	loadTime                                         atomic.Int64 // nanoseconds
	sets, deletes, restarts                          atomic.Int64
	persistFailures, unwritable                      atomic.Int64
}

func (c *counters) running() int64 {
	landings := c.landings.Load() // first, so that the difference is never negative
	return c.loads.Load() - landings
}

// loadFailure is the last load that failed.
type loadFailure struct {
	err error
	at  time.Time
}

func (c *counters) countFailure(kind failureKind, err error) {
	if kind == notFound {
		c.notFound.Add(1)
		c.failedInARow.Store(0)
		return
	}
	c.lastFailure.Store(&loadFailure{err, time.Now()})
	c.failedInARow.Add(1)
	c.loadFailures.Add(1)
	switch kind {
	case panicked:
		c.loadPanics.Add(1)
	case timedOut:
		c.loadTimeouts.Add(1)
	}
}
