package bucket

import (
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// Health says how far a bucket can be relied upon.
type Health struct {
	State   HealthState
	Reasons []string // why it is not Ready; for people

	CompletedAt time.Time // of the last full refresh that was complete, else of the start
	Oldest      time.Time // when the oldest entry was loaded; see [Stats]
	Failing     []Failing // the first few keys whose last refresh failed
}

// Failing is a key that keeps an old value because its last refresh failed.
type Failing struct {
	Key      any
	Err      error     // of the last attempt
	Failures int       // attempts that failed, one after the other
	LoadedAt time.Time // of the value
}

// HealthState sums up a bucket's health.
type HealthState uint8

// The states, from bad to good.
const (
	Stopped  HealthState = iota // does not run
	Starting                    // OptionsFunc, the file or Init is at work; callers wait
	Stale                       // no full refresh has completed in three intervals
	Degraded                    // usable, but something failed that will be tried again
	Ready                       // all is well
)

// String returns the state's name in lower case.
func (s HealthState) String() string {
	names := [...]string{"stopped", "starting", "stale", "degraded", "ready"}
	if int(s) >= len(names) {
		return fmt.Sprintf("HealthState(%d)", uint8(s))
	}
	return names[s]
}

// MarshalText is for dashboards.
func (s HealthState) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads what [HealthState.MarshalText] writes.
func (s *HealthState) UnmarshalText(text []byte) error {
	for known := Stopped; known <= Ready; known++ {
		if string(text) == known.String() {
			*s = known
			return nil
		}
	}
	return fmt.Errorf("bucket: %q is no HealthState", text)
}

// staleIntervals is after how many intervals without a full refresh a bucket says
// that it is stale.
const staleIntervals = 3

// manyFailures is after how many loads in a row that failed, of whatever keys, a bucket
// suspects its source.
const manyFailures = 3

// failureMemory is for how long it does so, if nothing is loaded any more.
const failureMemory = 15 * time.Minute

// Health returns how the bucket is now. It never blocks.
//
// A full refresh counts as complete if the source answered for at least one key, or
// there was none: when every load of it failed, the data is as old as before.
func (b *Bucket[K, V]) Health() Health {
	r := b.run.Load()
	switch {
	case r == nil:
		return Health{State: Stopped, Reasons: []string{b.errNeverStarted().Error()}}
	case r.phase() == phaseOver:
		return Health{State: Stopped, Reasons: []string{b.errorf("%w", r.why()).Error()}}
	case r.phase() == phaseStarting:
		return Health{State: Starting, Reasons: []string{"the bucket has not finished its start"}}
	}

	v := r.vitals.Load()
	t := b.table.Load()
	health := Health{State: Ready, CompletedAt: v.completedAt, Oldest: t.oldestTime(), Failing: b.failing(t, v)}
	worsen := func(state HealthState, format string, args ...any) {
		health.State = min(health.State, state)
		health.Reasons = append(health.Reasons, fmt.Sprintf(format, args...))
	}
	config := r.config.Load()
	// A refresh that takes long is no reason, as long as it ends.
	age := time.Since(v.completedAt)
	if config.refreshes() && (age-v.last.Took)/staleIntervals > config.RefreshEvery {
		worsen(Stale, "no full refresh has completed for %v, and one is due every %v", age.Round(time.Second), config.RefreshEvery)
	}
	if failing := t.countFailing(); failing > 0 {
		example := ""
		if len(health.Failing) > 0 {
			first := health.Failing[0]
			example = fmt.Sprintf("; for instance, %d in a row: %v", first.Failures, safeError{first.Err})
		}
		worsen(Degraded, "%d of %d keys keep an old value because their last refresh failed%s", failing, t.len(), example)
	}
	if v.refused != nil {
		worsen(Degraded, "the last full refresh was refused, and the generation before it stays: %v", safeError{v.refused})
	}
	if v.stalled > 0 {
		worsen(Degraded, "a full refresh stood still for %v, and was given up; %d have by now", v.stalled, v.stalls)
	}
	if v.initFailed != nil {
		worsen(Degraded, "Init failed, so the bucket started without a seed: %v", safeError{v.initFailed})
	}
	if v.dumpTrouble != nil {
		worsen(Degraded, "the dump is in trouble, and may lack what would be lost with the process: %v", safeError{v.dumpTrouble})
	}
	if failed, last := r.counters.failedInARow.Load(), r.counters.lastFailure.Load(); failed >= manyFailures && time.Since(last.at) < failureMemory {
		worsen(Degraded, "the last %d loads failed: %v", failed, last.err)
	}
	if abandoned := r.counters.abandoned.Load(); abandoned > 0 {
		worsen(Degraded, "loads that were abandoned at their time-out and have not returned: %d", abandoned)
	}
	return health
}

// failing returns keys that are in trouble, of those that the last full refresh named.
func (b *Bucket[K, V]) failing(t *table[K, V], v *vitals) (failing []Failing) {
	if t == nil || t.failing.Load() == 0 {
		return nil
	}
	for _, failure := range v.last.Failures {
		key, ok := failure.Key.(K)
		if !ok {
			continue
		}
		if held, ok := t.get(key); ok && held.trouble != nil {
			failing = append(failing, Failing{key, held.trouble.err, held.trouble.failures, time.Unix(0, held.loadedAt)})
		}
	}
	return failing
}

// vitals are what the actor tells the world about itself. A value is never changed
// once it is published.
type vitals struct {
	generation  uint64
	readyAt     time.Time
	completedAt time.Time // of the last full refresh that was complete, else of the start; or what the file says
	refreshes   int64
	last        Report
	refusals    int64
	refused     error         // why the last refresh was; nil if it was not
	refreshTime time.Duration // of all that were published
	stalls      int64
	stalled     time.Duration // for how long the last stood still, if none was published since
	initFailed  error
	dumpTrouble error         // nil while the file is well, or there is none
	recovery    dump.Recovery // of the file, at the start
}

func (r *run[K, V]) changeVitals(change func(*vitals)) {
	next := *r.vitals.Load()
	change(&next)
	r.vitals.Store(&next)
}

// status is what Inspect shows.
func (b *Bucket[K, V]) status() Status {
	status := Status{Name: b.name, Stats: b.Stats(), Health: b.Health()}
	if r := b.run.Load(); r != nil {
		if config := r.config.Load(); config != nil {
			status.Config = *config
		}
	}
	return status
}
