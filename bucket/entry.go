package bucket

import (
	"fmt"
	"time"
)

// Entry is what a bucket knows about one key.
type Entry[V any] struct {
	Value V

	// LoadedAt is when the source last gave the value, or said that it is
	// unchanged.
	LoadedAt time.Time

	// Source is how the value came into the bucket.
	Source Source

	// Version grows with every value that the bucket saves, so a later value of a
	// key has a higher one. It does not change when a refresh finds an equal value.
	Version uint64

	// LastError is why the last refresh of the key failed; nil if it did not.
	LastError error

	// Failures counts the refreshes that failed since the last that did not.
	Failures int
}

// Source is how a value came into a bucket.
type Source uint8

// The sources.
const (
	SourceDump    Source = iota + 1 // read from the file at start
	SourceInit                      // seeded by Init
	SourceLoad                      // loaded because it was missing
	SourceRefresh                   // loaded again
	SourceSet                       // set by DirectSet or Set
)

// String returns the source's name in lower case.
func (s Source) String() string {
	names := [...]string{"", "dump", "init", "load", "refresh", "set"}
	if s == 0 || int(s) >= len(names) {
		return fmt.Sprintf("Source(%d)", uint8(s))
	}
	return names[s]
}

// MarshalText is for dashboards.
func (s Source) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// record is an entry as the table holds it. It is never changed: the actor
// replaces it by another, so readers need no lock.
type record[V any] struct {
	value    V
	loadedAt int64    // unix nanoseconds
	stamp    stamp    // 0 only if it stands for no entry
	trouble  *trouble // nil while refreshes succeed
}

// stamp is an entry's version and source in one word.
type stamp uint64

const sourceBits = 3

func newStamp(version uint64, source Source) stamp { return stamp(version<<sourceBits) | stamp(source) }

func (s stamp) version() uint64 { return uint64(s) >> sourceBits }
func (s stamp) source() Source  { return Source(s & (1<<sourceBits - 1)) }

type trouble struct {
	err      error
	failures int
}

func (r *record[V]) entry() Entry[V] {
	e := Entry[V]{
		Value:    r.value,
		LoadedAt: time.Unix(0, r.loadedAt),
		Source:   r.stamp.source(),
		Version:  r.stamp.version(),
	}
	if r.trouble != nil {
		e.LastError, e.Failures = r.trouble.err, r.trouble.failures
	}
	return e
}

// weight is what the record counts for: an entry, and perhaps one in trouble. r may be nil.
func (r *record[V]) weight() (entries, failing int64) {
	switch {
	case r == nil:
		return 0, 0
	case r.trouble != nil:
		return 1, 1
	default:
		return 1, 0
	}
}

// failed is the record after one more refresh that failed with err.
func (r *record[V]) failed(err error) record[V] {
	next := *r
	next.trouble = &trouble{err: err, failures: 1}
	if r.trouble != nil {
		next.trouble.failures += r.trouble.failures
	}
	return next
}

// renewed is the record after a refresh that found the value unchanged.
func (r *record[V]) renewed(now time.Time) record[V] {
	next := *r
	next.loadedAt, next.stamp, next.trouble = now.UnixNano(), newStamp(r.stamp.version(), SourceRefresh), nil
	return next
}
