package bucket

import (
	"context"
	"fmt"

	"github.com/dataworker-go/dataworker/loader"
)

// Rule says why a generation must not be published; nil if it may be. It is called once for
// each full refresh, beside all that goes on, by one goroutine at a time; under LoadTimeout.
// If it panics or takes longer, the generation is refused. It must not wait for the bucket.
type Rule func(Candidate) error

// Candidate is a generation that a full refresh has made, before it is published.
type Candidate struct {
	Before  int    // entries that the bucket held when the refresh began
	Entries int    // entries of the candidate
	Report  Report // of the refresh, as far as it is known: without Generation and Took
}

// Gate judges every generation before it is published: the first rule that says no has it
// refused. Then the old generation stays, [Bucket.Refresh] returns [ErrRefused] with the reason,
// [Bucket.Health] says so until a refresh gets through, and [RefreshRefused] is published.
//
// Without a Gate, a generation is refused if it would leave nothing of two or more entries: a
// source that has lost its data must not empty the bucket. Gate() without rules lets
// everything pass.
func Gate(rules ...Rule) Option {
	return func(c *Config) { c.Gate = append([]Rule{}, rules...) }
}

// MaxLoss refuses a generation without more than that share of the keys that there were
// before: MaxLoss(0.2) lets 2 of 10 go, and not 3. New keys do not make up for those that are lost.
func MaxLoss(share float64) Rule {
	return func(c Candidate) error {
		if float64(c.Report.Removed) > share*float64(c.Before) {
			return fmt.Errorf("%d of %d keys would be lost, and MaxLoss is %v of them", c.Report.Removed, c.Before, share)
		}
		return nil
	}
}

// MaxFailures refuses a generation if the loads of more than that share of the keys have
// failed.
func MaxFailures(share float64) Rule {
	return func(c Candidate) error {
		if float64(c.Report.Failed) > share*float64(c.Before) {
			return fmt.Errorf("the loads of %d of %d keys failed, and MaxFailures is %v of them: the first: %w",
				c.Report.Failed, c.Before, share, c.Report.Failures[0])
		}
		return nil
	}
}

// MinEntries refuses a generation of fewer entries.
func MinEntries(n int) Rule {
	return func(c Candidate) error {
		if c.Entries < n {
			return fmt.Errorf("there would be %d entries, and MinEntries is %d", c.Entries, n)
		}
		return nil
	}
}

// notNothing is the gate of those who have none.
func notNothing(c Candidate) error {
	if c.Before > 1 && c.Entries == 0 {
		return fmt.Errorf("nothing would be left of %d entries: if that can be right, give the bucket a Gate", c.Before)
	}
	return nil
}

// judge returns why what a pass has made must not be published. The rules are the user's code.
func (p *pass[K, V]) judge() error {
	rules := p.config.Gate
	if rules == nil {
		rules = []Rule{notNothing}
	}
	p.mu.Lock()
	candidate := Candidate{Before: p.before, Entries: p.next.len(), Report: p.report}
	p.mu.Unlock()
	_, err := loader.Call(p.ctx, p.config.LoadTimeout, func(context.Context) (struct{}, error) {
		for _, rule := range rules {
			if rule == nil {
				continue
			}
			if err := rule(candidate); err != nil {
				return struct{}{}, err
			}
		}
		return struct{}{}, nil
	})
	return err
}
