package bucket

import (
	"time"

	"github.com/dataworker-go/dataworker/loader"
)

// Report says what a full refresh did.
type Report struct {
	// Generation is the number of the state that the refresh made. The seed is 1.
	Generation uint64

	Loaded    int // values that the source gave, equal to the old ones or not
	Unchanged int // keys whose value stayed: equal (pointers by what they point to), or loader.ErrUnchanged
	Added     int // keys that the bucket did not hold, brought by a related load
	Changed   int // keys with another value than before
	Removed   int // keys that the source no longer has
	Failed    int // keys that keep their old value because their load failed

	// Refused is why the gate did not let the generation pass; nil if it did. Generation is
	// then that of the old one, which stays, and the counts are what would have been.
	Refused error

	// Failures holds the first few failed loads.
	Failures []*loader.Error

	Took time.Duration
}

// mostFailures bounds Report.Failures: a source that is down fails every key for
// the same reason.
const mostFailures = 10

func (r *Report) addFailure(failure *loader.Error) {
	r.Failed++
	if len(r.Failures) < mostFailures {
		r.Failures = append(r.Failures, failure)
	}
}

// add counts part in.
func (r *Report) add(part Report) {
	r.Loaded += part.Loaded
	r.Unchanged += part.Unchanged
	r.Added += part.Added
	r.Changed += part.Changed
	r.Removed += part.Removed
	failed := r.Failed + part.Failed
	for _, failure := range part.Failures {
		r.addFailure(failure)
	}
	r.Failed = failed
}
