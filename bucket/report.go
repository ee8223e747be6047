package bucket

import (
	"cmp"
	"slices"
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

	// Slowest holds the loads that took longest, the slowest first.
	Slowest []SlowLoad

	Took time.Duration
}

// SlowLoad is one load of a full refresh.
type SlowLoad struct {
	Key  any // the first of them, if it was a load of many; nil of a load of everything
	Keys int // how many it was asked for
	Took time.Duration
}

// mostSlowest bounds Report.Slowest.
const mostSlowest = 5

// slowerThan says whether a load belongs to the slowest.
func (r *Report) slowerThan(took time.Duration) bool {
	return len(r.Slowest) < mostSlowest || took > r.Slowest[len(r.Slowest)-1].Took
}

func (r *Report) addSlow(load SlowLoad) {
	if !r.slowerThan(load.Took) {
		return
	}
	at, _ := slices.BinarySearchFunc(r.Slowest, load.Took, func(other SlowLoad, took time.Duration) int {
		return cmp.Compare(took, other.Took)
	})
	r.Slowest = slices.Insert(r.Slowest, at, load)
	r.Slowest = r.Slowest[:min(len(r.Slowest), mostSlowest)]
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
	for _, load := range part.Slowest {
		r.addSlow(load)
	}
	failed := r.Failed + part.Failed
	for _, failure := range part.Failures {
		r.addFailure(failure)
	}
	r.Failed = failed
}
