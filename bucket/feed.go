package bucket

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
)

// feed carries the changes of a run to its watchers. It is a list to whose end the actor
// adds, and which nobody holds but the watchers, each from where it is:
//
//	page ──▶ page ──▶ page ──▶ page          the actor adds here
//	  ▲                 ▲        ▲
//	a slow watcher    another   one that waits
//
// To add costs the same for any number of watchers: those who wait are woken by one close of a
// channel. A watcher that is too far behind is put at the end, so that what it holds on to is
// bounded, and told so.
type feed[K comparable, V any] struct {
	active atomic.Int32 // watchers; without any there is nothing to do

	mu       sync.Mutex // guards what follows
	last     *page[K, V]
	watchers map[*watcher[K, V]]struct{}
	looked   uint64 // the Seq at which slow watchers were looked for
}

// page is some changes that became visible together.
type page[K comparable, V any] struct {
	changes    []Change[K, V]
	seq        uint64 // of the last of them
	generation uint64

	lost bool // there were changes that nobody has written down

	next   *page[K, V] // read it when turned is closed
	turned chan struct{}
}

// bookmark is how far a watcher has read, or was put.
type bookmark[K comparable, V any] struct {
	*page[K, V]
	missed bool // it was put there
}

// A watcher with more unread changes than mostUnread is told that it has missed them. They are
// looked for after each lookEvery changes.
const (
	mostUnread = 1 << 16
	lookEvery  = 1 << 12
)

type watcher[K comparable, V any] struct {
	at atomic.Pointer[bookmark[K, V]] // nil when it has left
}

func newFeed[K comparable, V any]() *feed[K, V] {
	return &feed[K, V]{
		last:     &page[K, V]{turned: make(chan struct{})},
		watchers: make(map[*watcher[K, V]]struct{}),
	}
}

func (f *feed[K, V]) watched() bool { return f.active.Load() > 0 }

// add appends changes that have become visible. They get their numbers here.
func (f *feed[K, V]) add(changes []Change[K, V], generation uint64) {
	if len(changes) == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for i := range changes {
		changes[i].Seq, changes[i].Generation = f.last.seq+uint64(i)+1, generation
	}
	f.turn(&page[K, V]{changes: changes, seq: f.last.seq + uint64(len(changes)), generation: generation})
	if f.last.seq-f.looked >= lookEvery {
		f.looked = f.last.seq
		f.hurry()
	}
}

// lose tells the watchers that there were changes which nobody has written down.
func (f *feed[K, V]) lose(generation uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.turn(&page[K, V]{seq: f.last.seq + 1, generation: generation, lost: true})
}

func (f *feed[K, V]) turn(next *page[K, V]) {
	next.turned = make(chan struct{})
	f.last.next = next
	close(f.last.turned)
	f.last = next
}

// hurry puts the watchers at the end who are too far behind. The last page does not count: no
// watcher can have read it.
func (f *feed[K, V]) hurry() {
	before := f.last.seq - uint64(len(f.last.changes))
	for w := range f.watchers {
		if at := w.at.Load(); before > at.seq+mostUnread {
			w.at.Store(&bookmark[K, V]{f.last, true})
		}
	}
}

func (f *feed[K, V]) join() (w *watcher[K, V], from uint64) {
	w = &watcher[K, V]{}
	f.mu.Lock()
	defer f.mu.Unlock()
	w.at.Store(&bookmark[K, V]{page: f.last})
	f.watchers[w] = struct{}{}
	f.active.Add(1)
	return w, f.last.seq
}

func (f *feed[K, V]) leave(w *watcher[K, V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, there := f.watchers[w]; there {
		delete(f.watchers, w)
		f.active.Add(-1)
	}
	w.at.Store(nil)
}

// Watch returns the changes of the bucket from now on: what callers write, what is loaded, and
// what full refreshes publish. A value that equals the one before it is none. They come in the
// order in which readers of the bucket see them, each after it has become visible.
//
// It begins with the call, so that a [Snapshot] taken after it lacks nothing that does not come;
// changes that the snapshot shows already may come again. The sequence is for one iteration. It
// ends with ctx, or when the bucket stops, at once if it does not run; and waits for the next change
// otherwise. Give up ctx if it is not iterated over to its end.
//
// Nobody waits for a slow watcher. One that is tens of thousands of changes behind gets a
// [Missed] in their place, and should read a Snapshot again: it is at least of that Generation.
func (b *Bucket[K, V]) Watch(ctx context.Context) iter.Seq[Change[K, V]] {
	_, changes := b.WatchFrom(ctx)
	return changes
}

// WatchFrom is [Bucket.Watch] for who keeps a copy of the bucket: from is the number of the last change
// that does not come, so the next one is its successor.
func (b *Bucket[K, V]) WatchFrom(ctx context.Context) (from uint64, changes iter.Seq[Change[K, V]]) {
	r := b.run.Load()
	if r == nil || r.phase() == phaseOver {
		return 0, func(func(Change[K, V]) bool) {}
	}
	if ctx == nil { // never ends
		ctx = context.Background()
	}
	w, from := r.feed.join()
	forget := context.AfterFunc(ctx, func() { r.feed.leave(w) })
	return from, func(yield func(Change[K, V]) bool) {
		defer forget()
		defer r.feed.leave(w)
		for next := range w.pages(ctx, r.over) {
			for _, change := range next {
				if ctx.Err() != nil || !yield(change) {
					return
				}
			}
		}
	}
}

// Seq returns the number of the last [Change]: a sequence of [Bucket.Watch] that is under way has come
// up to the present when it has brought that one. Zero if the bucket does not run. Nothing is numbered
// while nobody watches.
func (b *Bucket[K, V]) Seq() uint64 {
	r := b.run.Load()
	if r == nil {
		return 0
	}
	r.feed.mu.Lock()
	defer r.feed.mu.Unlock()
	return r.feed.last.seq
}

// pages are the changes from where w is, in the parts in which they became visible, until ctx or
// the run is over.
func (w *watcher[K, V]) pages(ctx context.Context, over <-chan struct{}) iter.Seq[[]Change[K, V]] {
	return func(yield func([]Change[K, V]) bool) {
		for {
			next, missed := w.read(ctx, over)
			switch {
			case next == nil:
				return
			case missed:
				if !yield([]Change[K, V]{{Kind: Missed, Seq: next.seq, Generation: next.generation}}) {
					return
				}
			case !yield(next.changes):
				return
			}
		}
	}
}

// read returns the next page, or the one up to which all has been missed; nil at the end.
func (w *watcher[K, V]) read(ctx context.Context, over <-chan struct{}) (next *page[K, V], missed bool) {
	for {
		at := w.at.Load()
		if at == nil || ctx.Err() != nil {
			return nil, false
		}
		if at.missed {
			if w.at.CompareAndSwap(at, &bookmark[K, V]{page: at.page}) {
				return at.page, true
			}
			continue
		}
		select {
		case <-at.turned:
		case <-ctx.Done():
			return nil, false
		case <-over:
			select {
			case <-at.turned: // what came before the end
			default:
				return nil, false
			}
		}
		if w.at.CompareAndSwap(at, &bookmark[K, V]{page: at.next}) {
			return at.next, at.next.lost
		}
	}
}

// changed is the change from one record of a key to another; nil is none. It says false if
// there is no difference.
func (r *run[K, V]) changed(key K, old, next *record[V]) (Change[K, V], bool) {
	c := Change[K, V]{Key: key}
	switch {
	case old == nil && next == nil:
		return c, false
	case old == nil:
		c.Kind, c.New = Added, next.value
	case next == nil:
		c.Kind, c.Old = Removed, old.value
	case old.stamp.version() == next.stamp.version() || r.equalSafely(old.value, next.value):
		return c, false
	default:
		c.Kind, c.Old, c.New = Changed, old.value, next.value
	}
	return c, true
}
