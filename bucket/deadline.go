package bucket

import (
	"context"
	"sync"
	"time"
)

// deadline is a context that ends at a time, as that of [context.WithDeadline]. It has a timer
// only if somebody asks when it ends: most loads of a refresh do not, and the timer would cost
// more than they do.
type deadline struct {
	context.Context // its parent
	at              time.Time

	mu     sync.Mutex // guards what follows
	timed  context.Context
	cancel context.CancelFunc
	over   bool
}

// Deadline is part of [context.Context].
func (d *deadline) Deadline() (time.Time, bool) {
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

// Done is part of [context.Context].
func (d *deadline) Done() <-chan struct{} { return d.withTimer().Done() }

// Err is part of [context.Context].
func (d *deadline) Err() error {
	d.mu.Lock()
	timed, over := d.timed, d.over
	d.mu.Unlock()
	switch {
	case timed != nil:
		return timed.Err()
	case d.Context.Err() != nil:
		return d.Context.Err()
	case over:
		return context.Canceled
	case !time.Now().Before(d.at):
		return context.DeadlineExceeded
	default:
		return nil
	}
}

// Value is part of [context.Context]. The context package finds its own contexts by it.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	timed := d.timed
	d.mu.Unlock()
	if timed != nil {
		return timed.Value(key)
	}
	return d.Context.Value(key)
}

func (d *deadline) withTimer() context.Context {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
		if d.over {
			d.cancel()
		}
	}
	return d.timed
}

// end ends it: what was to be done until then is done.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.over = true
	if d.cancel != nil {
		d.cancel()
	}
}
