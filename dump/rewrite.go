package dump

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"time"
)

// rewriting is a new file on its way to the place of the old one.
//
//	old    ── batch ── batch ──────── batch ──────── batch ─┐
//	new       snapshot ─────────────── end ── batches since ┴─ sync ─ rename ─ sync dir ── batch
//
// The old file takes writes meanwhile. What it took since the beginning is copied behind
// the snapshot, so that it wins; the last of it while no write can come in between. The
// owner's table may change while the snapshot is made of it: a record of the snapshot that
// is older than the copied batches is overwritten by them, and one that is younger is
// written again.
type rewriting struct {
	store *store
	path  string // of the new file
	file  File
	head  header

	end     int64
	first   uint64
	body    int64
	adopted bool // it has taken the place
	spent   File // the old file, when that has happened; nil if there was none

	early  chan error // the sync that runs while more is written; nil if none does
	pushed int64      // where the file ended when it began

	size    int64  // of the old file's snapshot
	healthy bool   // the old file takes writes
	breaks  int    // of it, at the beginning
	from    int64  // what the old file takes from here on is copied
	old     File   // the old file, if it is healthy
	oldHead header // its header
	oldSeen uint64 // records before from
	buffer  []byte
}

// beginRewrite fixes the moment from which on the writes to the old file are copied.
func (s *store) beginRewrite() (*rewriting, error) {
	if !s.rewriting.CompareAndSwap(false, true) {
		return nil, s.fault(ErrBroken, "it is being written anew already", nil)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		s.rewriting.Store(false)
		return nil, s.fault(ErrClosed, "", nil)
	}
	s.flush()
	w := &rewriting{store: s, breaks: s.breaks, size: s.body}
	w.head.generation = s.current.generation + 1
	if w.healthy = s.broken == nil; w.healthy {
		w.from, w.old, w.oldHead, w.oldSeen = s.end, s.file, s.current, s.records
	}
	return w, nil
}

// run writes the new file, with the records that fill gives, and puts it in the place of the
// old one.
func (w *rewriting) run(ctx context.Context, head header, fill func(*blocks) error) error {
	s := w.store
	defer s.rewriting.Store(false)
	defer func() { // also when the iteration over the snapshot panics
		if !w.adopted {
			w.abandon()
		}
	}()
	generation := w.head.generation
	w.head = head
	w.head.generation = generation

	err := w.create()
	if err == nil {
		err = w.snapshot(ctx, fill)
	}
	if err == nil {
		err = w.catchUp(ctx)
	}
	if err == nil {
		err = w.replace()
	}
	if w.spent != nil {
		// Nothing in it is needed any more. To give back its room takes long if it is large, so
		// nobody is held up meanwhile.
		_ = w.spent.Close()
	}
	if err != nil {
		s.mu.Lock()
		s.lastErr = err
		s.mu.Unlock()
	}
	return err
}

// roomy says whether there is room for a snapshot like the old one. Without, the attempt would
// only fill the disk for others.
func (w *rewriting) roomy() error {
	need := w.size + w.size/10
	if free, err := w.store.fs.Free(filepath.Dir(w.store.path)); err == nil && free < need {
		return w.store.fault(ErrNoSpace, fmt.Sprintf("a new file may take %d bytes, and %d are free", need, free), nil)
	}
	return nil
}

func (w *rewriting) create() error {
	if err := w.roomy(); err != nil {
		return err
	}
	s := w.store
	mode := fs.FileMode(modeOfNew)
	if info, err := describe(s.fs, s.path); err == nil && info != nil {
		mode = info.Mode().Perm()
	}
	var random [8]byte
	_, _ = rand.Read(random[:]) // never fails
	w.path = s.path + temporary + hex.EncodeToString(random[:])

	file, err := s.fs.Create(w.path, mode)
	if err != nil {
		return s.fault(ErrIO, "making a new file", err)
	}
	w.file = file
	if err := file.Lock(); err != nil {
		return lockError(w.path, err)
	}
	w.head.identify()
	w.head.created = time.Now().UnixNano()
	if _, err := w.head.encode(); err != nil {
		return s.fault(ErrIO, "", err)
	}
	w.end = w.head.frames()
	return nil
}

// modeOfNew: data may be nobody else's business.
const modeOfNew = 0o600

// abandon leaves nothing of the new file.
func (w *rewriting) abandon() {
	if w.file == nil {
		return
	}
	if w.early != nil {
		<-w.early //nolint:errcheck // nobody needs what it was to save
	}
	_ = w.file.Close()
	_ = w.store.fs.Remove(w.path)
}

// snapshot writes the blocks that fill gives, in a goroutine of its own, so that they are
// made and written at the same time.
func (w *rewriting) snapshot(ctx context.Context, fill func(*blocks) error) error {
	b := newBlocks(ctx)
	go b.drain(func(work block) error { return w.append(frameSnapshot, work.bytes, work.records) })
	if err := b.feed(fill); err != nil {
		return err
	}
	if err := ctx.Err(); err != nil {
		return err
	}

	w.head.records = w.first
	if err := w.append(frameEnd, make([]byte, frameHeader, frameHeader+frameAlign), 0); err != nil {
		return err
	}
	w.body = w.end
	return nil
}

// append writes one frame. b is room for its header, and the payload.
func (w *rewriting) append(kind frameKind, b []byte, records int) error {
	b = seal(b, frame{offset: w.end, kind: kind, first: w.first}, w.head.seed)
	if err := w.write(b, w.end); err != nil {
		return err
	}
	w.end += int64(len(b))
	w.first += uint64(records)
	if w.end-w.pushed >= syncAhead {
		return w.push()
	}
	return nil
}

// syncAhead is how much is written before it is sent on to the disk, so that the disk works
// while the rest is made, and the sync at the end is short.
const syncAhead = 16 << 20

// push lets the disk begin with what was written, unless it is still at work on what was
// pushed before.
func (w *rewriting) push() error {
	select {
	case err := <-w.early:
		w.early = nil
		if err != nil {
			return w.store.fault(ErrIO, "syncing a new file", err)
		}
	default:
	}
	if w.early == nil {
		early := make(chan error, 1)
		w.early, w.pushed = early, w.end
		go func() { early <- w.file.Sync() }()
	}
	return nil
}

// sync waits for the disk. A sync that failed earlier must not be forgotten: the next one
// may succeed without having written what that one lost.
func (w *rewriting) sync() error {
	var err error
	if w.early != nil {
		err = <-w.early
		w.early = nil
	}
	if err == nil {
		err = w.file.Sync()
	}
	if err != nil {
		return w.store.fault(ErrIO, "syncing a new file", err)
	}
	return nil
}

func (w *rewriting) write(b []byte, at int64) error {
	if _, err := w.file.WriteAt(b, at); err != nil {
		return w.store.fault(ErrIO, "writing a new file", err)
	}
	return nil
}

// lastCopy is how much may be left to copy while no write can come in between.
const lastCopy = 1 << 20

// catchUp copies most of what the old file took meanwhile, and syncs the new one: all that
// takes long and need not hold anybody up.
func (w *rewriting) catchUp(ctx context.Context) error {
	s := w.store
	for before := int64(math.MaxInt64); w.healthy; {
		s.mu.Lock()
		s.flush()
		end := s.end
		s.mu.Unlock()
		left := end - w.from
		if left < lastCopy || left >= before {
			break // if they write faster than this copies, they have to wait
		}
		before = left
		if err := w.copy(ctx, end); err != nil {
			return err
		}
	}
	return w.sync()
}

// copy copies the batches of the old file up to end.
func (w *rewriting) copy(ctx context.Context, end int64) error {
	scan := newScan(w.store.path, w.old, end, &w.oldHead, slot{length: end})
	scan.offset, scan.first, scan.batch = w.from, w.oldSeen, true
	_, err := scan.run(ctx, func(f frame) error {
		w.buffer = append(append(w.buffer[:0], emptyHeader[:]...), f.payload...)
		return w.append(frameBatch, w.buffer, f.records)
	})
	w.from, w.oldSeen = scan.offset, scan.first
	return err
}

var emptyHeader [frameHeader]byte

// replace is the step from one file to the next. Nobody writes or syncs meanwhile.
func (w *rewriting) replace() error {
	s := w.store
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()

	s.flush()
	switch {
	case s.closed:
		return s.fault(ErrClosed, "", nil)
	case w.healthy && s.breaks != w.breaks:
		return s.fault(ErrBroken, "while a new file was written", s.broken)
	}
	if w.healthy {
		if err := w.copy(context.Background(), s.end); err != nil {
			return err
		}
	}
	if err := w.complete(); err != nil {
		return err
	}
	if err := w.rename(); err != nil {
		return err
	}
	return w.adopt()
}

// complete writes what goes to the front of the file, and syncs it.
func (w *rewriting) complete() error {
	b, err := w.head.encode()
	if err != nil {
		return w.store.fault(ErrIO, "", err)
	}
	// The slots promise what is synced only after them, but nobody reads them before: the
	// file has no name yet.
	for counter := uint64(1); counter <= slotsPerFile; counter++ {
		promise := slot{counter: counter, length: w.end}
		if err := w.write(promise.encode(w.head.seed), promise.offset(&w.head)); err != nil {
			return err
		}
	}
	if err := w.write(b, 0); err != nil {
		return err
	}
	return w.sync()
}

// keepAside gives what is at the path a second name, so that there is something at the path
// at every moment. Where files have only one name, it loses this one.
func (s *store) keepAside() error {
	if s.keepAs == "" {
		return nil
	}
	err := s.fs.Link(s.path, s.keepAs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		err = s.fs.Rename(s.path, s.keepAs)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return s.fault(ErrIO, "keeping what is there as "+s.keepAs, err)
	}
	s.keepAs = ""
	return nil
}

// rename gives the new file its name. What was there and is not ours to lose is kept.
func (w *rewriting) rename() error {
	s := w.store
	if err := s.keepAside(); err != nil {
		return err
	}
	if err := s.fs.Rename(w.path, s.path); err != nil {
		// An error need not mean that it was not done.
		at, unknown := w.file.IsAt(s.path)
		if unknown != nil { // the old file may have lost its name
			return s.breakDown("putting a new file in its place", fmt.Errorf("%w, after %w", unknown, err))
		}
		if !at {
			return s.fault(ErrIO, "putting a new file in its place", err)
		}
	}
	return nil
}

// adopt makes the new file the one that is written to. The old one has lost its name, so
// there is no way back.
func (w *rewriting) adopt() error {
	s := w.store
	w.spent = s.file
	s.file, s.current = w.file, w.head
	s.body, s.end, s.synced, s.records = w.body, w.end, w.end, w.first
	s.slot = slot{counter: slotsPerFile, length: w.end}
	s.broken = nil
	s.rewrites++
	w.adopted = true
	if err := s.fs.SyncDir(filepath.Dir(s.path)); err != nil {
		// After a power cut the old file may be back, without what is written from now on.
		return s.breakDown("syncing its directory", err)
	}
	return nil
}
