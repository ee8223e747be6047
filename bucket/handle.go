package bucket

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"iter"
	"time"
)

// FetchOption changes one Fetch.
type FetchOption func(*fetchTerms)

type fetchTerms struct {
	maxAge  time.Duration
	limited bool
}

func (t fetchTerms) accept(loadedAt int64, now time.Time) bool {
	return !t.limited || now.Sub(time.Unix(0, loadedAt)) <= t.maxAge
}

// MaxAge asks for a value that the source gave, or called unchanged, no longer ago
// than age. An older one is loaded again first; if that fails, so does the Fetch.
func MaxAge(age time.Duration) FetchOption {
	return func(t *fetchTerms) { t.maxAge, t.limited = age, true }
}

// Fetch returns the value of key: from the table, without waiting, or else from
// the loader, and then it is saved first.
//
// A Fetch that loads blocks until the load is over or ctx ends. The load is not
// ctx's: it is shared with everybody else who asks for the key, runs under the
// bucket's own time-out, and goes on when ctx ends. While the bucket starts, Fetch
// waits for that, too.
//
// The error is a [*loader.Error] if the load failed; ctx's as soon as it ends (a hit does
// not look at it); [ErrNotRunning], [ErrStopped], [ErrBusy] or [ErrCrashed]; or [ErrKeyType]. The
// value is shared with every other reader and must not be changed.
func (b *Bucket[K, V]) Fetch(ctx context.Context, key K, opts ...FetchOption) (V, error) {
	return b.fetch(ctx, key, opts) // small enough to be written out where it is called
}

// fetch has the look-up of most hits written out. Each call that it goes without makes it faster by
// more than a call takes: the shorter it is, the more of the next look-up is under way while the
// processor waits for the memory.
func (b *Bucket[K, V]) fetch(ctx context.Context, key K, opts []FetchOption) (V, error) {
	if t := b.table.Load(); t != nil && !t.bypass && len(opts) == 0 && b.keys.hashable(key) {
		place := t.place(maphash.Comparable(t.seed, key))
		if place < uint64(len(t.slots)) && t.slots[place].key == key {
			if held := t.slots[place].held(); held != nil {
				t.hits.add()
				return held.value, nil
			}
		}
	}
	if len(opts) == 0 {
		if value, ok := b.hit(key); ok {
			return value, nil
		}
	}
	return b.fetchOn(ctx, key, opts)
}

// fetchOn is a Fetch with terms, or one that found nothing.
func (b *Bucket[K, V]) fetchOn(ctx context.Context, key K, opts []FetchOption) (V, error) {
	var terms fetchTerms
	if len(opts) > 0 {
		terms = termsOf(opts)
		if value, ok := b.hitOn(key, terms); ok {
			return value, nil
		}
	}
	a := newMiss[K, V](opFetch, key)
	a.terms = terms
	got, err := b.ask(ctx, a)
	return got.value, err
}

func termsOf(opts []FetchOption) (terms fetchTerms) {
	for _, option := range opts {
		if option != nil {
			option(&terms)
		}
	}
	return terms
}

// FetchNoSave is [Bucket.Fetch] without saving what is loaded. loaded says whether
// the loader ran for it. A load that others share is saved for them.
func (b *Bucket[K, V]) FetchNoSave(ctx context.Context, key K) (v V, loaded bool, err error) {
	if value, ok := b.hit(key); ok {
		return value, false, nil
	}
	a := newMiss[K, V](opFetch, key)
	a.noSave = true
	got, err := b.ask(ctx, a)
	return got.value, got.loaded, err
}

// Get is [Bucket.Fetch] for callers who do not care why there is no value.
func (b *Bucket[K, V]) Get(ctx context.Context, key K) (V, bool) {
	value, err := b.Fetch(ctx, key)
	return value, err == nil
}

// FetchMany fetches several keys at once. What is held is all of one generation; what is missing
// is loaded, in batches if there is a [loader.BatchLoader]. The map holds what was had, and the
// error joins what [Bucket.Fetch] would have said of the others; it is nil if there are none. It
// blocks until the last load is over or ctx ends.
func (b *Bucket[K, V]) FetchMany(ctx context.Context, keys []K) (map[K]V, error) {
	found := make(map[K]V, len(keys))
	var errs []error
	misses := &askMany[K, V]{}
	asked := make(map[K]bool)
	t := b.table.Load() // what is held is of one generation
	for _, key := range keys {
		if !b.keys.hashable(key) {
			errs = append(errs, b.errorf("%w", b.keys.check(key)))
			continue
		}
		if held, ok := t.hit(key); ok {
			found[key] = held.value
			continue
		}
		if asked[key] {
			continue
		}
		asked[key] = true
		if err := b.keys.check(key); err != nil {
			errs = append(errs, b.errorf("%w", err))
			continue
		}
		a := newAsk[K, V](opFetch, key)
		a.many = true
		misses.asks = append(misses.asks, a)
	}
	if len(misses.asks) == 0 {
		return found, errors.Join(errs...)
	}

	if err := b.postMany(ctx, misses); err != nil {
		return found, errors.Join(append(errs, err)...)
	}
	var ended error // ctx's, which is said once and not for each key
	for _, a := range misses.asks {
		got, err := a.run.await(ctx, a)
		switch {
		case err == nil:
			found[a.key] = got.value
		case ctx != nil && err == ctx.Err(): //nolint:errorlint // a load may have failed with another of the kind
			ended = err
		default:
			errs = append(errs, err)
		}
	}
	return found, errors.Join(append(errs, ended)...)
}

// DirectGet returns the value that the bucket holds for key. It never blocks and
// never asks the loader. While the bucket does not run, nothing is there.
func (b *Bucket[K, V]) DirectGet(key K) (V, bool) {
	if t := b.table.Load(); t != nil && b.keys.hashable(key) {
		if held, ok := t.get(key); ok {
			return held.value, true
		}
	}
	var none V
	return none, false
}

// DirectSet saves v under key. It blocks until that is done, or ctx ends: then the
// value may or may not be saved. A load of the key that runs meanwhile is
// overtaken: those who wait for it get v.
//
// The error is ctx's; [ErrNotRunning], [ErrStopped] or [ErrCrashed]; [ErrKeyType]; or, of a
// bucket with a file, [ErrPersist]: then v is not saved.
//
// The bucket keeps v itself, so it must not be changed afterwards.
func (b *Bucket[K, V]) DirectSet(ctx context.Context, key K, v V) error {
	if b.setAtOnce(ctx, key, v) {
		return nil
	}
	a := newAsk[K, V](opSet, key)
	a.value = v
	_, err := b.ask(ctx, a)
	return err
}

// Delete removes key from the bucket, not from the source: the next Fetch loads it
// again. It is no error if the key is not there. It blocks as [Bucket.DirectSet]
// does, and has its errors.
func (b *Bucket[K, V]) Delete(ctx context.Context, key K) error {
	_, err := b.ask(ctx, newAsk[K, V](opDelete, key))
	return err
}

// Keys returns the keys that the bucket holds, all of one generation, in no particular order.
func (b *Bucket[K, V]) Keys() []K {
	t := b.table.Load()
	if t == nil {
		return nil
	}
	keys := make([]K, 0, t.len())
	t.each(func(key K, _ *record[V]) bool {
		keys = append(keys, key)
		return true
	})
	return keys
}

// All iterates over what the bucket holds, in no particular order. It is of one generation, as
// a [Snapshot] is, taken when the iteration begins.
func (b *Bucket[K, V]) All() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) { b.Snapshot().All()(yield) }
}

// Len returns how many keys the bucket holds.
func (b *Bucket[K, V]) Len() int {
	if t := b.table.Load(); t != nil {
		return t.len()
	}
	return 0
}

// Refresh loads again everything that the bucket holds, publishes it as a new generation and
// says what came of it. Keys whose load fails keep their value and are counted in the report;
// that is not an error of Refresh. The error is an [ErrRefused], with the report, if the [Gate]
// did not let the generation pass; or one of [Bucket.Fetch].
//
// What it brings is never older than the question. So a full refresh that is under way is joined
// only if its loads have yet to begin, and nothing was written since it began; else this one comes
// after it, once for all who have asked meanwhile.
//
// It blocks until the refresh is over or ctx ends; the refresh then goes on.
func (b *Bucket[K, V]) Refresh(ctx context.Context, opts ...RefreshOption) (Report, error) {
	var terms refreshTerms
	for _, option := range opts {
		if option != nil {
			option(&terms)
		}
	}
	var nokey K
	a := newAsk[K, V](opRefresh, nokey)
	a.progress = terms.progress
	got, err := b.ask(ctx, a)
	if got.report == nil {
		return Report{}, err
	}
	return *got.report, err
}

// RefreshKey loads key again now, whether the bucket holds it or not, and joins a
// load of it that is under way. If it fails, the bucket keeps the value it has; if
// the source says [loader.ErrNotFound], the entry is removed. The error is that of
// [Bucket.Fetch].
func (b *Bucket[K, V]) RefreshKey(ctx context.Context, key K) (V, error) {
	got, err := b.ask(ctx, newMiss[K, V](opReload, key))
	return got.value, err
}

// Entry returns what the bucket knows about key, if it holds it.
func (b *Bucket[K, V]) Entry(key K) (Entry[V], bool) {
	if record, ok := b.record(key); ok {
		return record.entry(), true
	}
	return Entry[V]{}, false
}

// hitOn is a hit that has to be young enough.
func (b *Bucket[K, V]) hitOn(key K, terms fetchTerms) (V, bool) {
	if t := b.table.Load(); t != nil && !t.bypass && terms.limited && b.keys.hashable(key) {
		if record, ok := t.get(key); ok && terms.accept(record.loadedAt, time.Now()) {
			t.hits.add()
			return record.value, true
		}
	}
	var none V
	return none, false
}

// hit is a look-up that must cost next to nothing: no message, no lock, and no allocation unless the
// key holds an interface, whose content has to be looked at first.
func (b *Bucket[K, V]) hit(key K) (V, bool) {
	if t := b.table.Load(); t != nil && !t.bypass && b.keys.hashable(key) {
		if record, ok := t.get(key); ok {
			t.hits.add()
			return record.value, true
		}
	}
	var none V
	return none, false
}

// hit is a look-up for a Fetch of a key that can be hashed; t may be nil.
func (t *table[K, V]) hit(key K) (*record[V], bool) {
	if t == nil || t.bypass {
		return nil, false
	}
	held, ok := t.get(key)
	if ok {
		t.hits.add()
	}
	return held, ok
}

func (b *Bucket[K, V]) record(key K) (*record[V], bool) {
	if t := b.table.Load(); t != nil && b.keys.hashable(key) {
		return t.get(key)
	}
	return nil, false
}

// ask sends a to the actor and waits for the answer.
func (b *Bucket[K, V]) ask(ctx context.Context, a *ask[K, V]) (answer[V], error) {
	if err := b.post(ctx, a); err != nil {
		return answer[V]{}, err
	}
	return a.run.await(ctx, a)
}

// post puts a into the actor's mailbox.
func (b *Bucket[K, V]) post(ctx context.Context, a *ask[K, V]) error {
	if ctx != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	if a.op != opRefresh {
		if err := b.keys.check(a.key); err != nil {
			return b.errorf("%w", err)
		}
	}
	a.run = b.run.Load()
	if a.run == nil {
		return b.errNeverStarted()
	}
	a.bell = a.run.bells.take()
	return a.run.post(a)
}

// postMany puts asks, whose keys are right, into the actor's mailbox.
func (b *Bucket[K, V]) postMany(ctx context.Context, many *askMany[K, V]) error {
	if ctx != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	r := b.run.Load()
	if r == nil {
		return b.errNeverStarted()
	}
	for _, a := range many.asks {
		a.run, a.bell = r, r.bells.take()
	}
	return r.post(many)
}

// await waits for the answer to an ask that was posted. A nil ctx never ends.
func (r *run[K, V]) await(ctx context.Context, a *ask[K, V]) (answer[V], error) {
	var ended <-chan struct{}
	if ctx != nil {
		ended = ctx.Done()
	}

	var tick <-chan time.Time
	if a.progress != nil {
		ticker := time.NewTicker(progressEvery)
		defer ticker.Stop()
		tick = ticker.C
	}

	for waiting := true; waiting; {
		select {
		case <-a.bell:
			return a.heard()
		case <-ended:
			r.tell(&left[K, V]{a})
			return answer[V]{}, ctx.Err()
		case <-tick:
			if done, total, ok := r.progress(); ok {
				a.progress(done, total)
			}
		case <-r.over:
			waiting = false
		}
	}

	// The actor answers everybody before it is over.
	select {
	case <-a.bell:
		return a.heard()
	default:
		return answer[V]{}, fmt.Errorf("bucket %q: %w", r.bucket.name, r.why())
	}
}
