package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/dataworker-go/dataworker/bucket"
)

// The rules of refreshes. Things happen in the order of one clock; from and until are when a
// caller asked and had the answer, so what is asked for took effect between the two.
//
// A refresh that nobody disturbs (undisturbed) is known in every detail:
//
//   - every key that is held is loaded once, or everything is loaded once;
//   - given: the value; unchanged: the old value; not found: nothing; failed in any way: the old
//     value, and Entry says so; and what is given and was not held is added;
//   - the report counts just that: it is the difference of the two states;
//   - a Gate that refuses leaves all as it was;
//   - readers see the old state until they see the new one.
//
// When callers are at work (judge), what a key may hold when all is quiet is what it held
// before, what a caller wrote, or what the source gave in a call. Each of these has to give way
// to what came later:
//
//   - everything to a write that began after it: after the end of another write, after the
//     beginning of a call;
//   - if nobody wrote, everything to what a call brought that began after it;
//   - everything to what a refresh brought, unless it came after that was asked for;
//   - and a refresh loads each key after it was asked for: it sees what has changed before.
//
// And at any time: never two loads of a key; the changes of Watch are what makes one state the
// other, in the order of their numbers, and none leads back to an older state of the source.

type modelWrite struct {
	key         string
	value       int
	deleted     bool
	from, until int64
}

// modelAsk is a RefreshKey, or a Refresh: that has no key.
type modelAsk struct {
	key         string
	from, until int64
	value       int
	err         error
}

// undisturbed is a round of one refresh and of readers.
func (m *modelRun) undisturbed() {
	before := maps.Collect(m.bucket.All())
	states := make(chan map[string]int, 10_000)
	over := make(chan struct{})
	go func() {
		defer close(states)
		for {
			select {
			case <-over:
				return
			case <-time.After(7 * time.Millisecond):
				states <- maps.Collect(m.bucket.All())
			}
		}
	}()
	generation := m.bucket.Snapshot().Generation()
	report, err := m.bucket.Refresh(context.Background())
	close(over)
	calls := m.source.takeCalls()
	want, next := m.predict(before, calls)
	switch refused := m.refuses(len(before), len(next), want.Removed); {
	case refused && (!errors.Is(err, bucket.ErrRefused) || report.Refused == nil):
		m.complain("not refused: %v", err)
	case refused:
		next, want.Generation = before, generation
	case err != nil || report.Refused != nil:
		m.complain("refresh: %v", err)
	default:
		want.Generation = generation + 1
	}
	if report.Refused == nil {
		m.checkTrouble(calls)
	}
	if got := (bucket.Report{
		Generation: report.Generation, Loaded: report.Loaded, Unchanged: report.Unchanged,
		Added: report.Added, Changed: report.Changed, Removed: report.Removed, Failed: report.Failed,
	}); got.Generation != want.Generation || got.Loaded != want.Loaded || got.Unchanged != want.Unchanged ||
		got.Added != want.Added || got.Changed != want.Changed || got.Removed != want.Removed || got.Failed != want.Failed {
		m.complain("report %+v, want %+v", got, want)
	}
	after := maps.Collect(m.bucket.All())
	if !maps.Equal(after, next) {
		m.complain("refreshed %v, got %v, want %v", before, after, next)
	}
	for state := range states {
		if !maps.Equal(state, before) && !maps.Equal(state, after) {
			m.complain("between %v and %v readers saw %v", before, after, state)
		}
	}
	m.held = m.entries()
}

// predict says what a refresh makes of what is held, by what it was answered.
func (m *modelRun) predict(before map[string]int, calls []*call) (want bucket.Report, next map[string]int) {
	next = maps.Clone(before)
	loads := map[string]int{}
	for _, c := range calls {
		loads[c.key]++
		old, held := before[c.key]
		if !held && !c.whole {
			m.complain("%q is loaded, and was not held", c.key)
		}
		o := c.outcome
		if m.plan.Sieve {
			o = sieve(c.key, o)
		}
		switch {
		case o.kind == given:
			next[c.key] = o.value
			want.Loaded++
			switch {
			case !held:
				want.Added++
			case old == o.value:
				want.Unchanged++
			default:
				want.Changed++
			}
		case !held:
		case o.kind == gone:
			delete(next, c.key)
			want.Removed++
		case o.kind == same:
			want.Unchanged++
		default:
			want.Failed++
		}
	}
	for key := range before {
		if loads[key] != 1 {
			m.complain("%d loads of %q", loads[key], key)
		}
	}
	return want, next
}

func (m *modelRun) refuses(before, after, removed int) bool {
	if m.plan.MaxLoss == noGate {
		return before > 1 && after == 0
	}
	return float64(removed) > m.plan.MaxLoss*float64(before)
}

// checkTrouble looks for what Entry says of keys whose loads have failed, or have not.
func (m *modelRun) checkTrouble(calls []*call) {
	for _, c := range calls {
		o := c.outcome
		if m.plan.Sieve {
			o = sieve(c.key, o)
		}
		old, held := m.held[c.key]
		entry, ok := m.bucket.Entry(c.key)
		switch {
		case !held || !ok:
		case o.kind == failed || o.kind == lost:
			if entry.LastError == nil || entry.Failures != old.Failures+1 || entry.Version != old.Version || entry.LoadedAt != old.LoadedAt {
				m.complain("%q has failed: %+v after %+v", c.key, entry, old)
			}
		case entry.LastError != nil || entry.Failures != 0 || !entry.LoadedAt.After(old.LoadedAt):
			m.complain("%q has not failed: %+v after %+v", c.key, entry, old)
		case (entry.Version == old.Version) != (entry.Value == old.Value):
			m.complain("%q: the version is that of another value: %+v after %+v", c.key, entry, old)
		}
	}
}

// judge is asked when all is quiet after a round of callers.
func (m *modelRun) judge() {
	calls := m.source.takeCalls()
	now := m.entries()
	refusals := m.bucket.Stats().Refusals
	m.refused = refusals != m.refusals
	for _, key := range modelKeys {
		r := keyRound{run: m, key: key, calls: slices.DeleteFunc(slices.Clone(calls), func(c *call) bool { return c.key != key })}
		for _, w := range m.writes {
			if w.key == key {
				r.writes = append(r.writes, w)
			}
		}
		entry, held := now[key]
		if !r.mayHold(entry.Value, held) {
			old, was := m.held[key]
			m.complain("%q holds %d, %t; before %d, %t; %s", key, entry.Value, held, old.Value, was, r.story())
		}
		r.judgeAnswers()
		r.judgeRefreshes()
	}
	if n := m.bucket.Stats().Running; n != 0 {
		m.complain("%d loads run", n)
	}
	if n := m.bucket.Len(); n != len(now) {
		m.complain("the length is %d of %v", n, now)
	}
	content := maps.Collect(m.bucket.All())
	for _, r := range m.replicas {
		r.mu.Lock()
		if !maps.Equal(r.content, content) {
			m.complain("a replica (of the beginning: %t) is %v of %v", r.strict, r.content, content)
		}
		r.mu.Unlock()
	}
	m.held, m.refusals, m.writes, m.asked = now, refusals, nil, nil
}

// keyRound is what happened to one key since all was quiet.
type keyRound struct {
	run    *modelRun
	key    string
	calls  []*call
	writes []*modelWrite
}

func (r keyRound) mayHold(value int, held bool) bool {
	filtered := r.run.plan.Sieve
	if old, was := r.run.held[r.key]; was == held && old.Value == value && !r.overwritten(0) && !r.outdated(0, false) && !r.superseded(0) {
		return true
	}
	for _, w := range r.writes {
		if w.deleted != held && (w.deleted || w.value == value) && !r.overwritten(w.until) && !r.outdated(w.until, w.deleted) {
			return true
		}
	}
	for _, c := range r.calls {
		if r.overwritten(c.began) || r.outdated(c.began, false) || r.superseded(c.ended) {
			continue
		}
		for _, o := range c.outcomes(filtered) {
			if held && o == (outcome{given, value}) || !held && o.kind == gone {
				return true
			}
		}
	}
	return false
}

// overwritten says that a caller wrote the key who began after that time.
func (r keyRound) overwritten(at int64) bool {
	return slices.ContainsFunc(r.writes, func(w *modelWrite) bool { return w.from > at })
}

// superseded says that a call brought something that began after that time, when nobody wrote.
// The gate may have been in its way, or the word of a later call that what was held then is
// right.
func (r keyRound) superseded(at int64) bool {
	return len(r.writes) == 0 && !r.run.refused && slices.ContainsFunc(r.calls, func(c *call) bool {
		return c.began > at && c.effective(r.run.plan.Sieve) && !slices.ContainsFunc(r.calls, func(later *call) bool {
			return later.began > c.began && later.keeps(r.run.plan.Sieve)
		})
	})
}

// outdated says that a refresh that was asked for after that time has brought the key. If one
// of the calls meanwhile brought nothing, that may have been the refresh's. What was deleted is not
// loaded again, but with everything; and a load that the bucket had begun before may have come to
// the source only then.
func (r keyRound) outdated(at int64, deleted bool) bool {
	return !r.run.refused && slices.ContainsFunc(r.run.asked, func(a *modelAsk) bool {
		if a.key != "" || a.err != nil || a.from < at {
			return false
		}
		var brought, not bool
		for _, c := range r.calls {
			if c.began > a.from && c.began < a.until { // one that is abandoned ends later
				brought = brought || c.ended < a.until && (c.whole || !deleted)
				not = not || !c.effective(r.run.plan.Sieve)
			}
		}
		return brought && !not
	})
}

// judgeAnswers looks where a RefreshKey has its value from: a call that was not over, or of which
// the bucket had not heard yet, or a write that came between.
func (r keyRound) judgeAnswers() {
	for _, a := range r.run.asked {
		if a.key != r.key || a.err != nil {
			continue
		}
		written := slices.ContainsFunc(r.writes, func(w *modelWrite) bool {
			return !w.deleted && w.value == a.value && w.from < a.until && w.until > a.from
		})
		loaded := slices.ContainsFunc(r.calls, func(c *call) bool {
			followed := slices.ContainsFunc(r.calls, func(next *call) bool { return next.began > c.ended && next.began < a.from })
			return c.began < a.until && !followed && slices.ContainsFunc(c.outcomes(r.run.plan.Sieve), func(o outcome) bool {
				return o == outcome{given, a.value} || o.kind == same
			})
		})
		if !written && !loaded {
			r.run.complain("RefreshKey of %q returned %d; %s", r.key, a.value, r.story())
		}
	}
}

// judgeRefreshes looks for a load of a key for each refresh that has been asked for, after that,
// if the key was there all the time.
func (r keyRound) judgeRefreshes() {
	_, was := r.run.held[r.key]
	if !was || len(r.writes) > 0 || slices.ContainsFunc(r.calls, func(c *call) bool {
		return slices.ContainsFunc(c.outcomes(r.run.plan.Sieve), func(o outcome) bool { return o.kind == gone })
	}) {
		return
	}
	for _, a := range r.run.asked {
		if a.key == "" && a.err == nil && !slices.ContainsFunc(r.calls, func(c *call) bool { return c.began > a.from && c.began < a.until }) {
			r.run.complain("a refresh has not loaded %q; %s", r.key, r.story())
		}
	}
}

func (r keyRound) story() string {
	var text strings.Builder
	for _, c := range r.calls {
		fmt.Fprintf(&text, "\n\tcall %d..%d %+v many=%t whole=%t", c.began, c.ended, c.outcome, c.many, c.whole)
	}
	for _, w := range r.writes {
		fmt.Fprintf(&text, "\n\twrite %d..%d %d deleted=%t", w.from, w.until, w.value, w.deleted)
	}
	for _, a := range r.run.asked {
		fmt.Fprintf(&text, "\n\task %q %d..%d %d %v", a.key, a.from, a.until, a.value, a.err)
	}
	return text.String()
}

// follow applies a change, and looks whether it is one.
func (m *modelRun) follow(r *replica, c bucket.Change[string, int]) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.seq != 0 && c.Seq != r.seq+1 && c.Kind != bucket.Missed {
		m.complain("change %+v after number %d", c, r.seq)
	}
	r.seq = c.Seq
	if c.Kind == bucket.Missed {
		if r.strict {
			m.complain("missed %+v", c)
		}
		r.content = maps.Collect(m.bucket.Snapshot().All())
		return
	}
	old, held := r.content[c.Key]
	if r.strict && (held != (c.Kind != bucket.Added) || old != c.Old || c.Kind == bucket.Changed && c.New == c.Old) {
		m.complain("change %+v of %d, %t", c, old, held)
	}
	if c.Kind == bucket.Removed {
		delete(r.content, c.Key)
		return
	}
	r.content[c.Key] = c.New
	if version := versionOf(c.New); version > 0 {
		if version < r.versions[c.Key] {
			m.complain("change %+v leads back from version %d", c, r.versions[c.Key])
		}
		r.versions[c.Key] = version
	}
}
