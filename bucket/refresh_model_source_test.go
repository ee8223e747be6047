package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// outcome is what a call of the loader says of one key.
type outcome struct {
	kind  outcomeKind
	value int // if it was given
}

type outcomeKind int

const (
	given outcomeKind = iota
	gone              // not found
	same              // loader.ErrUnchanged
	failed
	lost // failed, too, but no filter is asked: a panic, a Goexit, a call that came late
)

// replyKind is how the source behaves in one call.
type replyKind string

const (
	answers   replyKind = "answers"
	notFound  replyKind = "not found"
	unchanged replyKind = "unchanged"
	fails     replyKind = "fails"
	panics    replyKind = "panics"
	exits     replyKind = "exits"   // its goroutine
	hangs     replyKind = "hangs"   // until its context ends
	ignores   replyKind = "ignores" // that its context has ended, and answers later
)

func (k replyKind) outcome(value int) outcome {
	switch k {
	case answers:
		return outcome{given, value}
	case notFound:
		return outcome{kind: gone}
	case unchanged:
		return outcome{kind: same}
	case fails:
		return outcome{kind: failed}
	default:
		return outcome{kind: lost}
	}
}

// reply is a line of the source's script.
type reply struct {
	Kind  replyKind
	Delay time.Duration
}

const modelTimeout = 100 * time.Millisecond // of loads; a reply's delay is shorter

func (r reply) perform(ctx context.Context) error {
	time.Sleep(r.Delay)
	switch r.Kind {
	case notFound:
		return loader.ErrNotFound
	case unchanged:
		return loader.ErrUnchanged
	case fails:
		return errDown
	case panics:
		panic("at the disco")
	case exits:
		runtime.Goexit()
	case hangs:
		<-ctx.Done()
		return ctx.Err()
	case ignores:
		time.Sleep(3 * modelTimeout)
	}
	return nil
}

// sieve is the filter, a rule for each key. Nobody knows better what a filter may do than one
// that does it all: change a value, refuse it, not believe that a key is gone, have something in
// reserve, throw away.
func sieve(key string, o outcome) outcome {
	switch {
	case key == "a" && o.kind == given:
		return outcome{given, o.value + sieved}
	case key == "b" && o.kind == given && o.value%2 == 1, key == "c" && o.kind == gone:
		return outcome{kind: failed}
	case key == "d" && o.kind == failed:
		return outcome{given, reserve}
	case key == "e" && o.kind == given && o.value%4 == 0:
		return outcome{kind: gone}
	}
	return o
}

const (
	sieved  = 1000
	reserve = -1_000_000
)

// versionOf is the state of the source that a value is of; zero if it is a caller's, or the
// filter's.
func versionOf(value int) int { return max(0, value) % sieved }

// errRefusedByFilter is not the source's: it shows that the filter's word counts.
var errRefusedByFilter = errors.New("the filter does not like it")

func filterBySieve(_ context.Context, key string, value int, err error) (int, error) {
	o := outcome{given, value}
	switch {
	case err == nil:
	case errors.Is(err, loader.ErrNotFound):
		o = outcome{kind: gone}
	case errors.Is(err, errDown):
		o = outcome{kind: failed}
	default: // unchanged, or too late
		return value, err
	}
	switch passed := sieve(key, o); {
	case passed == o:
		return value, err
	case passed.kind == gone:
		return 0, fmt.Errorf("of no use: %w", loader.ErrNotFound)
	case passed.kind == failed:
		return 0, errRefusedByFilter
	default:
		return passed.value, nil
	}
}

// call is one call of the loader, as far as it is about one key.
type call struct {
	key          string
	many, whole  bool // one of a batch; one of everything
	began, ended int64
	until        time.Time // it is abandoned then
	outcome      outcome
}

// outcomes are what a call can mean for its key. A filter is not asked about a miss, and what a
// call is for, the loader is not told.
func (c *call) outcomes(filtered bool) []outcome {
	switch {
	case !filtered:
		return []outcome{c.outcome}
	case c.whole && c.outcome.kind == gone: // nor about what is not there and was not
		return []outcome{c.outcome, sieve(c.key, c.outcome)}
	case c.whole:
		return []outcome{sieve(c.key, c.outcome)}
	default:
		return []outcome{c.outcome, sieve(c.key, c.outcome)}
	}
}

// effective says that a call must have shown, if nothing was in its way.
func (c *call) effective(filtered bool) bool {
	return !slices.ContainsFunc(c.outcomes(filtered), func(o outcome) bool { return o.kind != given && o.kind != gone })
}

// keeps says that a call may leave what the bucket held when it began, as it was, and for good.
func (c *call) keeps(filtered bool) bool {
	return slices.ContainsFunc(c.outcomes(filtered), func(o outcome) bool {
		return o.kind == same
	})
}

// modelSource behaves as its scripts say: one for each key, and one for calls about many. Each
// is read again from its beginning when it is over. It notes what it is asked for.
type modelSource struct {
	scripts  map[string][]reply
	complain func(format string, args ...any)
	clock    atomic.Int64 // counts what happens

	mu       sync.Mutex
	versions map[string]int
	lines    map[string]int
	calls    []*call
}

const aboutMany = "*" // the script

func (s *modelSource) tick() int64 { return s.clock.Add(1) }

// change gives a key another value, for those who come from now on.
func (s *modelSource) change(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions[key]++
}

// begin reads the value at the beginning of a call, as a query that is slow would.
func (s *modelSource) begin(key string) (*call, reply) {
	script := s.scripts[key]
	r := script[s.lines[key]%len(script)]
	s.lines[key]++
	c := &call{key: key, began: s.tick(), until: time.Now().Add(modelTimeout), outcome: r.Kind.outcome(s.versions[key])}
	s.calls = append(s.calls, c)
	return c, r
}

// alone says so if another call of the kind is at work on the key.
func (s *modelSource) alone(c *call) {
	for _, other := range s.calls {
		if other != c && other.key == c.key && other.whole == c.whole && other.ended == 0 && time.Now().Before(other.until) {
			s.complain("two loads of %q at a time", c.key)
		}
	}
}

func (s *modelSource) end(calls ...*call) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range calls {
		c.ended = s.tick()
	}
}

func (s *modelSource) load(ctx context.Context, key string) (int, error) {
	s.mu.Lock()
	c, r := s.begin(key)
	s.alone(c)
	s.mu.Unlock()
	defer s.end(c)
	return c.outcome.value, r.perform(ctx)
}

func (s *modelSource) loadBatch(ctx context.Context, keys []string) (map[string]int, error) {
	return s.loadMany(ctx, keys, func(c *call) { c.many = true })
}

func (s *modelSource) loadAll(ctx context.Context) (map[string]int, error) {
	return s.loadMany(ctx, modelKeys, func(c *call) { c.whole = true })
}

// loadMany answers with the keys whose scripts say so. What that means for the others is the
// word of the script about many.
func (s *modelSource) loadMany(ctx context.Context, keys []string, mark func(*call)) (map[string]int, error) {
	values := map[string]int{}
	var calls []*call
	s.mu.Lock()
	about, r := s.begin(aboutMany)
	mark(about)
	for _, key := range keys {
		c, _ := s.begin(key)
		mark(c)
		s.alone(c)
		calls = append(calls, c)
		has := c.outcome.kind == given
		if has {
			values[key] = c.outcome.value
		}
		switch {
		case r.Kind == answers && has:
		case r.Kind == answers:
			c.outcome = outcome{kind: gone}
		case c.whole && r.Kind != unchanged: // and no filter is asked
			c.outcome = outcome{kind: lost}
		case c.whole, !has:
			c.outcome = r.Kind.outcome(0)
		case r.Kind != fails && r.Kind != unchanged: // with these, what the map holds counts
			c.outcome = outcome{kind: lost}
		}
	}
	s.mu.Unlock()
	defer s.end(append(calls, about)...)
	err := r.perform(ctx)
	if r.Kind == hangs { // whether its answer comes in time is anybody's guess
		return nil, err
	}
	return values, err
}

// takeCalls returns what was asked for since the last time, without what is about many.
func (s *modelSource) takeCalls() []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	calls := slices.DeleteFunc(s.calls, func(c *call) bool { return c.key == aboutMany })
	s.calls = nil
	return calls
}
