package cluster

import (
	"sync/atomic"
	"time"
)

// coarseClock tells whether something is too old: to ask the system's clock would take longer than the
// look-up.
type coarseClock struct {
	ticks atomic.Int64
	over  chan struct{}
}

const (
	// clockTicks is how many times the clock ticks in the maximum age. What is kept goes up to two of
	// them early, and never late.
	clockTicks = 16

	// mostTicks is for how many of them something is young. One is lost because it may have come at the
	// end of one, and one because the clock may be late.
	mostTicks = clockTicks - 2
)

// newCoarseClock makes a clock, which also calls sweep once in the maximum age.
func newCoarseClock(maxAge time.Duration, sweep func()) *coarseClock {
	c := &coarseClock{over: make(chan struct{})}
	tick := max(maxAge/clockTicks, time.Millisecond)
	began := time.Now()
	ticker := time.NewTicker(tick)
	go func() {
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				now := int64(time.Since(began) / tick) // ticks are left out if we are late
				if c.ticks.Swap(now)/clockTicks < now/clockTicks {
					sweep()
				}
			case <-c.over:
				return
			}
		}
	}()
	return c
}

func (c *coarseClock) now() int64 { return c.ticks.Load() }

// young says whether what was kept at that tick is not too old.
func (c *coarseClock) young(at int64) bool { return c.ticks.Load()-at <= mostTicks }

func (c *coarseClock) stop() { close(c.over) }
