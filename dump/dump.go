package dump

import (
	"context"
	"fmt"
	"iter"
	"reflect"
	"sync"
	"sync/atomic"
	"time"
)

// Dump is the file of one set of key/value data, open for writing. All methods may be called
// by many goroutines.
//
// An operation whose error is an [ErrBroken] will go on failing until [Dump.Rewrite] has
// succeeded; after any other error it may be tried again.
type Dump[K comparable, V any] struct {
	store   *store
	format  format[K, V]
	options Options
	batches sync.Pool // of *Batch[K, V], for Put and Delete
}

// Options are the terms on which a file is opened. Only Name is needed.
type Options struct {
	// Name says whose data it is. A file with another name is an [ErrForeign].
	Name string

	// Keys and Values turn keys and values into bytes. The default is [Raw] for the types
	// that it is for, and [CBOR] for the others.
	Keys, Values Codec

	// Schema is the version of the meaning of the values, to be raised when the type changes
	// in a way that its codec does not bear. A file with another one is an [ErrSchema]
	// without a Migrate.
	Schema uint32

	// Migrate reads values that were written with another schema or another codec.
	Migrate Migration

	// Sync says what has happened to a write when it is acknowledged; the default is
	// [DefaultSync].
	Sync SyncPolicy

	// OnCorrupt says what to do with a damaged file; the default is [Fail].
	OnCorrupt CorruptPolicy

	// CompactAfter is how many bytes of batches make the file worth a rewrite, if they are
	// also more than the snapshot; the default is [DefaultCompactAfter]. See [Dump.Overgrown].
	CompactAfter int64

	// FS is the file system; the default is the operating system's.
	FS FS

	// Notify is told of trouble that comes while no caller is there to get an error: when
	// the clock syncs or writes. It is called in a goroutine of its own.
	Notify func(error)
}

// DefaultCompactAfter is the default of Options.CompactAfter.
const DefaultCompactAfter = 64 << 20

// Entry is one key with its value.
type Entry[K comparable, V any] struct {
	Key   K
	Value V
	At    int64 // when the value came, in unix nanoseconds; kept, and not looked at
}

// Sink takes the entries of a file when it is opened.
type Sink[K comparable, V any] interface {
	// Begin comes first, with a guess at how many entries there are. It may come again:
	// then what was put before was worth nothing and has to be forgotten.
	Begin(entries int)

	// Put takes an entry, in place of one of the same key. It is called by one goroutine at
	// a time, in the order of the file. What it is given may be kept.
	Put(entry Entry[K, V])

	// Delete removes a key. It is called like Put.
	Delete(key K)
}

// Snapshot is everything that there is, for a new file.
type Snapshot[K comparable, V any] struct {
	// Entries are iterated over once; nil is none. A key may come only once. They may change meanwhile
	// if whatever changes is also written to the dump, first; see [Dump.BeginRewrite].
	Entries iter.Seq[Entry[K, V]]

	// FreshAt is when the whole of it was last known to be right; kept, and not looked at.
	FreshAt time.Time

	// Partial says that the entries are not all that there should have been; kept, and not
	// looked at.
	Partial bool
}

// Skipped says which entries a [Dump.Rewrite] left out, because they cannot be encoded.
type Skipped struct {
	Entries int
	First   error // why the first of them was left out
}

// Open opens the dump at path for writing, and puts what it holds into sink. If there is
// none, or only a damaged one that Options.OnCorrupt says to replace, the first file is
// made by [Dump.Rewrite], which has to come before anything is written; the same holds when
// values were migrated or salvaged. [Recovery] says what was found.
//
// The dump is locked until [Dump.Close], against other processes and this one. A symbolic
// link is followed once, here. The directory must exist.
//
// It blocks until the whole file is read, or ctx ends. The error is an [*Error]: an
// [ErrLocked], [ErrForeign], [ErrCorrupt], [ErrTruncated], [ErrVersion], [ErrCodec],
// [ErrSchema], [ErrDecode], [ErrReadOnly], [ErrNotRegular] or [ErrIO], and then the file is as
// it was; or an [ErrType], or ctx's. Whatever was put into the sink is then worth nothing.
func Open[K comparable, V any](ctx context.Context, path string, sink Sink[K, V], options Options) (*Dump[K, V], Recovery, error) {
	if path == "" || sink == nil {
		return nil, Recovery{}, fmt.Errorf("dump %q: a path and a sink are needed", path)
	}
	format, err := newFormat[K, V](options)
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("dump %q: %w", path, err)
	}
	if !options.Sync.Valid() {
		return nil, Recovery{}, fmt.Errorf("dump %q: %v is no policy: give an interval that is positive", path, options.Sync)
	}
	if options.Sync == 0 {
		options.Sync = DefaultSync
	}
	if options.CompactAfter == 0 {
		options.CompactAfter = DefaultCompactAfter
	}
	if options.FS == nil {
		options.FS = OS()
	}

	d := &Dump[K, V]{format: format, options: options}
	d.batches.New = func() any { return d.NewBatch() }
	restore := newRestore(ctx, path, format, sink, options)
	store, found, err := openStore(ctx, path, storeOptions{
		fs:        options.FS,
		policy:    options.Sync,
		onCorrupt: options.OnCorrupt,
		notify:    options.Notify,
		accept:    restore.accept,
		head: header{
			name:       options.Name,
			keyCodec:   format.keys.Name(),
			valueCodec: format.values.Name(),
			keyType:    shortName(reflect.TypeFor[K]().String()),
			valueType:  shortName(reflect.TypeFor[V]().String()),
			schema:     options.Schema,
			writer:     writerName,
		},
		remedy: whatToDo,
	}, restore)
	if err != nil {
		return nil, found, err
	}
	d.store = store
	d.Stats() // so that there is a call before
	if restore.migrate && !found.Empty() {
		found.Migrated = true
		store.broken = store.fault(ErrBroken, "its values are of another schema", nil)
	}
	return d, found, nil
}

// Path returns where the file is, symbolic links resolved.
func (d *Dump[K, V]) Path() string { return d.store.path }

// Put writes one entry, as [Dump.Write] does.
func (d *Dump[K, V]) Put(entry Entry[K, V]) error {
	b := d.batches.Get().(*Batch[K, V])
	defer d.batches.Put(b)
	b.Reset()
	if err := b.Put(entry); err != nil {
		return err
	}
	return d.Write(b)
}

// Delete removes one key from the file, as [Dump.Write] does.
func (d *Dump[K, V]) Delete(key K) error {
	b := d.batches.Get().(*Batch[K, V])
	defer d.batches.Put(b)
	b.Reset()
	if err := b.Delete(key); err != nil {
		return err
	}
	return d.Write(b)
}

// Write writes a batch: all of it or, with an error, nothing that a later Open would find. Only
// a crash may bring back what failed: a power cut before the next write is synced and, if the
// error is an [ErrBroken], a kill before the next Rewrite.
// When it returns, the terms of Options.Sync are met. Callers of SyncAlways who come
// at the same time share a sync. An empty batch is not written.
func (d *Dump[K, V]) Write(b *Batch[K, V]) error {
	if err := d.owns(b); err != nil || b.records == 0 {
		return err
	}
	// The frame is finished in the batch's own memory, behind its end.
	return d.store.append(b.bytes, b.records)
}

// owns says whether b was made by d: one of another dump may be encoded in another way.
func (d *Dump[K, V]) owns(b *Batch[K, V]) error {
	if b.format != &d.format {
		return d.store.fault(ErrEncode, "the batch is of another dump: use one of NewBatch", nil)
	}
	return nil
}

// WriteLater is Write, but it does not wait for the sync of SyncAlways: that comes with the
// next Write, or after a second at the most. It is for what can be had again.
func (d *Dump[K, V]) WriteLater(b *Batch[K, V]) error {
	if err := d.owns(b); err != nil || b.records == 0 {
		return err
	}
	s := d.store
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _, err := s.appendLocked(b.bytes, b.records)
	return err
}

// Sync makes all that was written survive a power cut, whatever the policy. It blocks until
// that is done.
func (d *Dump[K, V]) Sync() error {
	s := d.store
	if err := s.sync(); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.promise()
}

// Rewrite writes a new file with a snapshot and puts it in the place of the old one. The old
// one takes writes meanwhile, and they count. A crash at any moment leaves one of the two,
// whole. It blocks until the new file is in place, or ctx ends; then the old one stays.
//
// This is the repair for whatever is wrong with the old file, if the snapshot is all that
// there is. Entries that cannot be encoded are left out, and counted. There is one Rewrite at
// a time; a second is an error.
func (d *Dump[K, V]) Rewrite(ctx context.Context, snapshot Snapshot[K, V]) (Skipped, error) {
	rewriting, err := d.BeginRewrite()
	if err != nil {
		return Skipped{}, err
	}
	return rewriting.Run(ctx, snapshot)
}

// BeginRewrite is the first step of a [Dump.Rewrite] whose snapshot changes while it is
// written. Every write that has returned by now must be in the snapshot from the beginning;
// every one that is called later is in the new file in any case. None may be under way. It does
// not block.
func (d *Dump[K, V]) BeginRewrite() (*Rewriting[K, V], error) {
	begun, err := d.store.beginRewrite()
	if err != nil {
		return nil, err
	}
	return &Rewriting[K, V]{dump: d, begun: begun}, nil
}

// Rewriting is a rewrite that has begun. It has to be run, or there can be no other.
type Rewriting[K comparable, V any] struct {
	dump  *Dump[K, V]
	begun *rewriting
	ran   atomic.Bool
}

// Run is the rest of [Dump.Rewrite]. It can be called once; whether it succeeds or fails, the
// next attempt needs a BeginRewrite of its own.
func (r *Rewriting[K, V]) Run(ctx context.Context, snapshot Snapshot[K, V]) (Skipped, error) {
	if !r.ran.CompareAndSwap(false, true) {
		return Skipped{}, r.dump.store.fault(ErrBroken, "this rewrite was run already: begin another", nil)
	}
	head := r.dump.store.head
	head.partial = snapshot.Partial
	if !snapshot.FreshAt.IsZero() {
		head.freshAt = snapshot.FreshAt.UnixNano()
	}
	var skipped Skipped
	err := r.begun.run(ctx, head, func(blocks *blocks) error {
		return r.dump.fill(blocks, snapshot, &skipped)
	})
	return skipped, err
}

// fill encodes a snapshot.
func (d *Dump[K, V]) fill(blocks *blocks, snapshot Snapshot[K, V], skipped *Skipped) error {
	b := d.NewBatch()
	b.bytes = blocks.next()
	if snapshot.Entries == nil {
		return nil
	}
	for entry := range snapshot.Entries {
		if err := b.Put(entry); err != nil {
			if skipped.Entries++; skipped.First == nil {
				skipped.First = err
			}
			continue
		}
		if len(b.bytes) < blockSize {
			continue
		}
		if err := blocks.put(block{b.bytes, b.records}); err != nil {
			return err
		}
		b.bytes, b.records = blocks.next(), 0
	}
	if b.records == 0 {
		return nil
	}
	return blocks.put(block{b.bytes, b.records})
}

// Close syncs, marks the file as complete and gives back the lock. Afterwards every method
// returns an [ErrClosed]; a Rewrite that runs fails. An error says that what was written
// last may not survive a power cut, or that the dump was broken; it is closed all the same.
func (d *Dump[K, V]) Close() error { return d.store.close() }

// Broken returns why nothing can be written before [Dump.Rewrite] has succeeded; nil if it
// can.
func (d *Dump[K, V]) Broken() error {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	return d.store.broken
}

// Overgrown says that the file would be worth a [Dump.Rewrite]: what was written since the
// last takes more room than that, and more than Options.CompactAfter. Done whenever it is
// true, rewriting costs no more than the writes themselves did.
func (d *Dump[K, V]) Overgrown() bool {
	d.store.mu.Lock()
	defer d.store.mu.Unlock()
	s := d.store
	return s.broken == nil && s.end-s.body > max(d.options.CompactAfter, s.body)
}

// Stats describe a dump that is open.
type Stats struct {
	Generation uint64 // of the file: one more with each rewrite
	Snapshot   int64  // bytes of the file, up to the end of the snapshot
	Journal    int64  // bytes behind it: what was written since
	Unsynced   int64  // of them, those that a power cut may take
	Writes     int64  // batches since it was opened
	Syncs      int64
	Rewrites   int64
	LastError  error // of the last write, sync or rewrite that failed; nil if none has
}

// Stats returns the dump's statistics. It never blocks: while the disk is at work, they may be
// those of the call before.
func (d *Dump[K, V]) Stats() Stats {
	s := d.store
	if s.mu.TryLock() {
		stats := s.describe()
		s.described.Store(&stats)
		s.mu.Unlock()
		return stats
	}
	if last := s.described.Load(); last != nil {
		return *last
	}
	return Stats{}
}

func (s *store) describe() Stats {
	return Stats{
		Generation: s.current.generation,
		Snapshot:   s.body,
		Journal:    s.end - s.body,
		Unsynced:   s.end - s.synced,
		Writes:     s.appends,
		Syncs:      s.syncs,
		Rewrites:   s.rewrites,
		LastError:  s.lastErr,
	}
}
