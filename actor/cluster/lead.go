package cluster

import (
	"context"
	"errors"
	"iter"
	"sync"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
)

const (
	// pageSize is how many entries go in one page.
	pageSize = 256

	// heartbeat is after how long without a change a follower hears that there is none.
	heartbeat = 500 * time.Millisecond

	// patience is how long a follower may take with a page.
	patience = 10 * time.Second

	// mostBehind is how many changes a follower may be behind before it has to begin again.
	mostBehind = 1 << 20
)

// session carries a bucket to one follower, a page at a time.
type session[K comparable, V any] struct {
	border *Border
	name   string // of the bucket
	to     *protoactor.PID
	follow follow
	run    uint64

	number  uint64
	seq     uint64 // of the last change that was sent
	lacking bool   // something was left out, and said to be
}

// lead keeps a follower up to date, until ctx ends, the bucket stops, or nobody hears it any more.
//
// A copy is made beside all that goes on, so it holds some changes that have come since it was begun,
// and lacks others. All of them are sent behind it; the copy is complete with the last that came
// before its own last entry was read.
//
// It says true if there is nothing to follow any more, or something was lost, and the follower has to begin
// again.
func lead[K comparable, V any](
	ctx context.Context, border *Border, b *bucket.Bucket[K, V], to *protoactor.PID, f follow, run uint64,
) (stopped bool) {
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	lost := border.losses.at(to.GetAddress()) // it, or only what was on its way to it
	go func() {
		select {
		case <-lost:
			stop()
		case <-ctx.Done():
		}
	}()
	defer func() {
		select {
		case <-lost:
			stopped = true
		default:
		}
	}()
	from, changes := b.WatchFrom(ctx)
	behind := newBacklog[K, V]()
	go func() {
		defer behind.close()
		for change := range changes {
			if change.Kind == bucket.Missed || !behind.add(change) {
				return
			}
		}
	}()

	s := &session[K, V]{border: border, name: b.Name(), to: to, follow: f, run: run, seq: from}
	if f.Whole && !s.copy(ctx, b.All()) {
		return false
	}
	return s.keepUp(ctx, behind, b.Seq())
}

// copy sends what there is.
func (s *session[K, V]) copy(ctx context.Context, all iter.Seq2[K, V]) bool {
	entries := make([]entry, 0, pageSize)
	for key, value := range all {
		if entries = append(entries, entry{Key: key, Value: value}); len(entries) == pageSize {
			if !s.send(ctx, entries, s.seq, false) {
				return false
			}
			entries = make([]entry, 0, pageSize) // a follower here keeps it
		}
	}
	return s.send(ctx, entries, s.seq, false)
}

// keepUp sends the changes. With the one of that number the copy is complete. It says whether there will
// be no more.
func (s *session[K, V]) keepUp(ctx context.Context, behind *backlog[K, V], whole uint64) (over bool) {
	complete := false
	beat := time.NewTimer(0)
	defer beat.Stop()
	for {
		changes, over := behind.take(pageSize)
		if len(changes) == 0 && over {
			return true
		}
		if len(changes) == 0 {
			select {
			case <-behind.more:
				continue
			case <-beat.C:
			case <-ctx.Done():
				return false
			}
		}
		to := s.seq
		if len(changes) > 0 {
			to = changes[len(changes)-1].Seq
		}
		first := !complete && to >= whole
		if !s.send(ctx, s.entries(changes), to, first) {
			return false
		}
		complete = complete || first
		beat.Reset(heartbeat)
	}
}

func (s *session[K, V]) entries(changes []bucket.Change[K, V]) []entry {
	entries := make([]entry, len(changes))
	for i, change := range changes {
		entries[i] = entry{Key: change.Key, Removed: change.Kind == bucket.Removed}
		if s.follow.Whole && !entries[i].Removed {
			entries[i].Value = change.New
		}
	}
	return entries
}

// send sends a page, and says whether to go on. What is too large for one goes in two; what cannot be
// carried at all is left out, and the follower asks for it when it is asked for it.
func (s *session[K, V]) send(ctx context.Context, entries []entry, to uint64, complete bool) bool {
	err := s.turn(ctx, page{
		Session: s.follow.Session, Number: s.number, Run: s.run, From: s.seq, To: to, Complete: complete, Entries: entries,
	})
	switch {
	case err == nil:
		s.number++
		s.seq = to
		return true
	case !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrNotCarried), len(entries) == 0:
		return false
	case len(entries) > 1:
		half := len(entries) / 2
		return s.send(ctx, entries[:half], s.seq, false) && s.send(ctx, entries[half:], to, complete)
	}
	if !s.lacking {
		s.lacking = true
		s.border.log.WithError(err).WithField("to", s.to.String()).
			Errorf("bucket %q: the copy lacks an entry that cannot be carried, and may lack more", s.name)
	}
	if e := entries[0]; !e.Removed { // it may have an older value
		return s.send(ctx, []entry{{Key: e.Key, Removed: true}}, to, complete)
	}
	return s.send(ctx, nil, to, complete)
}

// errUnheard is that of a page which nobody waits for.
var errUnheard = errors.New("nobody follows")

// turn sends a page, and waits until it was heard.
func (s *session[K, V]) turn(ctx context.Context, p page) error {
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	reply, err := actor.Ask[any](ctx, s.border.system, s.to, p)
	if err != nil {
		return err
	}
	switch reply := reply.(type) {
	case heard:
		if reply.Session == s.follow.Session {
			return nil
		}
	case bucket.Failed:
		return reply.Err
	}
	return errUnheard
}

// backlog holds the changes that have not been sent yet.
type backlog[K comparable, V any] struct {
	more chan struct{} // rings after each

	mu      sync.Mutex
	changes []bucket.Change[K, V]
	over    bool
}

func newBacklog[K comparable, V any]() *backlog[K, V] {
	return &backlog[K, V]{more: make(chan struct{}, 1)}
}

func (b *backlog[K, V]) add(change bucket.Change[K, V]) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.changes = append(b.changes, change)
	b.ring()
	return len(b.changes) < mostBehind
}

func (b *backlog[K, V]) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.over = true
	b.ring()
}

func (b *backlog[K, V]) ring() {
	select {
	case b.more <- struct{}{}:
	default:
	}
}

// take takes the oldest. Over says that none will come any more.
func (b *backlog[K, V]) take(most int) (changes []bucket.Change[K, V], over bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(most, len(b.changes))
	changes = b.changes[:n:n]
	if b.changes = b.changes[n:]; len(b.changes) == 0 {
		b.changes = nil
	}
	return changes, b.over
}
