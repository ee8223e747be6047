package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// keeper holds what a run knows about its file. It belongs to the actor's turn, but for the
// dump itself, which the start opens and the goroutine of a rewrite uses.
//
// Changes that come one behind the other are written together:
//
//	Set ──▶ stage          writesDue is behind all that waited
//	Set ──▶ stage          in the mailbox when the first came
//	writesDue ──▶ flush    one write, one sync; then all are made and answered
//
// Anything that has to see what was staged, such as a Fetch, flushes first. So from the
// outside each message is served before the next.
type keeper[K comparable, V any] struct {
	dump  *dump.Dump[K, V]
	batch *dump.Batch[K, V]
	full  []*dump.Batch[K, V] // those that come before it

	staged  []change[K, V] // in the batches, and not made
	writes  int            // of them, those of callers
	awaited bool           // somebody waits for one of them
	told    bool           // writesDue is on its way
	written bool           // the batch is: what is staged has only to be made
	outcome error          // of writing it

	// behind are the keys of which the file knows less than the table. More than a few, and
	// a rewrite is cheaper.
	behind   map[K]struct{}
	lagging  map[K]struct{} // those that the rewrite at work makes good
	overrun  bool           // there are more than mostBehind
	overran  bool           // there were, when the rewrite at work began
	trouble  error          // nil while all is well
	attempts int            // at the repair, since it was not

	rewriting bool // a goroutine is at it
	closing   bool // no more rewrites
	wanted    bool // once what is staged is made
	redo      bool // the last one failed
	retry     *actor.Timer
}

const (
	mostStaged      = 4096
	mostStagedBytes = 1 << 20
	mostBehind      = 4096

	// mostBatch leaves room for one more entry of any size.
	mostBatch = dump.MaxBatch - dump.MaxKey - dump.MaxValue - 64
)

// stage adds a change to the batch. What cannot be encoded is found out here.
func (r *run[K, V]) stage(c change[K, V]) {
	k := r.keeper
	if err := r.encode(&c); err != nil {
		r.flush() // those who came before get their answers before
		r.refuseWrite(&c, err)
		return
	}
	k.staged = append(k.staged, c)
	k.awaited = k.awaited || c.awaits
	if c.ask != nil {
		k.writes++
	}
	if !k.told {
		k.told = true
		r.tell(writesDue{})
	}
}

// settleStaged comes before each message but the notes that see to it themselves. It is not
// for stage to flush what it has staged: a crash in there would be the crash of a message
// that was staged, and is answered later.
func (r *run[K, V]) settleStaged(msg any) {
	k := r.keeper
	if k == nil || len(k.staged) == 0 {
		return
	}
	full := len(k.staged) >= mostStaged || len(k.full) > 0 || k.batch.Size() >= mostStagedBytes
	if full || k.written || !r.isWrite(msg) {
		r.flush()
	}
}

func (r *run[K, V]) isWrite(msg any) bool {
	switch msg := msg.(type) {
	case *ask[K, V]:
		return msg.op == opSet || msg.op == opDelete
	case Set, Delete, *loaded[K, V], *left[K, V]:
		return true
	default:
		return false
	}
}

// encode puts the edits into the batch. A loaded value that cannot be encoded is kept in
// memory only, and the file must not bring back an older one.
func (r *run[K, V]) encode(c *change[K, V]) error {
	k := r.keeper
	for _, e := range c.edits {
		if e.private {
			continue
		}
		if k.batch.Size() >= mostBatch {
			k.full, k.batch = append(k.full, k.batch), k.dump.NewBatch()
		}
		if e.next == nil {
			_ = k.batch.Delete(e.key) // a key that cannot be encoded is not in the file
			continue
		}
		err := k.batch.Put(dump.Entry[K, V]{Key: e.key, Value: e.next.value, At: e.next.loadedAt})
		if err == nil {
			continue
		}
		if c.ask != nil {
			return err
		}
		r.log(func(log logrus.FieldLogger) {
			log.WithError(safeError{err}).Warn("entry is kept in memory only; it will be loaded again after the next start")
		})
		r.counters.unwritable.Add(1)
		_ = k.batch.Delete(e.key)
	}
	return nil
}

// writesDue is the note behind a series of writes.
func (r *run[K, V]) writesDue() {
	if r.keeper != nil {
		r.keeper.told = false
		r.flush()
	}
}

// clearRunway makes way for a landing, which decides by what the table holds: loads of
// different keys may be staged together, but not behind a write, and not where a load may
// bring keys of others.
func (r *run[K, V]) clearRunway() {
	if k := r.keeper; k != nil && (k.writes > 0 || r.bucket.companions.RelatedLoader != nil) {
		r.flush()
	}
}

// flush writes what is staged, makes it and answers. If it is cut short by a crash, calling
// it again goes on.
func (r *run[K, V]) flush() {
	k := r.keeper
	if k == nil || len(k.staged) == 0 {
		return
	}
	if !k.written {
		k.outcome = r.write()
		k.written = true
		if k.outcome != nil {
			r.troubled(k.outcome)
		}
	}
	for len(k.staged) > 0 {
		r.fulfil(&k.staged[0], k.outcome) // may be cut short, and can be done again
		k.staged = k.staged[1:]
	}
	k.staged, k.full, k.writes, k.awaited, k.written = nil, nil, 0, false, false
	k.batch.Reset()
	r.tend()
}

func (r *run[K, V]) write() error {
	k := r.keeper
	for _, batch := range k.full {
		if err := k.dump.WriteLater(batch); err != nil {
			return err
		}
	}
	if k.awaited {
		return k.dump.Write(k.batch)
	}
	return k.dump.WriteLater(k.batch)
}

// fulfil is the last step of a change, after its write.
func (r *run[K, V]) fulfil(c *change[K, V], err error) {
	if err != nil {
		for _, e := range c.edits {
			if !e.private {
				r.fallBehind(e.key)
			}
		}
		if c.ask != nil {
			r.refuseWrite(c, err)
			return
		}
	}
	r.apply(c.edits)
	r.conclude(c)
}

func (r *run[K, V]) refuseWrite(c *change[K, V], err error) {
	r.counters.persistFailures.Add(1)
	c.ask.reply(answer[V]{err: r.bucket.errorf("%w, and so not made: %w", ErrPersist, err)})
}

// fallBehind remembers a key whose state the file lacks. For a write that was refused it is
// the old state, and writing that again shows when the trouble is over.
func (r *run[K, V]) fallBehind(key K) {
	k := r.keeper
	if len(k.behind) >= mostBehind {
		k.overrun = true
		return
	}
	if k.behind == nil {
		k.behind = make(map[K]struct{})
	}
	k.behind[key] = struct{}{}
}

// tend gives the file what it needs, when nothing is staged: a rewrite would miss what is
// written and not yet made.
func (r *run[K, V]) tend() {
	k := r.keeper
	if k == nil || len(k.staged) > 0 || k.rewriting || k.closing || r.phase() != phaseReady {
		return
	}
	if k.wanted || k.trouble == nil && k.dump.Overgrown() {
		k.wanted = false
		r.rewrite()
	}
}

// renewFile has the file written anew, as soon as that is possible.
func (r *run[K, V]) renewFile() {
	if r.keeper != nil {
		r.keeper.wanted = true
		r.tend()
	}
}

// rewrite writes the file anew, beside all that goes on.
func (r *run[K, V]) rewrite() {
	k := r.keeper
	rewriting, err := k.dump.BeginRewrite()
	if err != nil {
		r.troubled(err)
		return
	}
	k.rewriting, k.redo = true, false
	k.lagging, k.behind = k.behind, nil
	k.overran, k.overrun = k.overrun, false
	snapshot := r.snapshot()
	r.background.Go(func() {
		note := rewritten{err: loader.ErrGoexit} // of a codec
		defer func() { r.tell(note) }()
		note.skipped, note.err = rewriting.Run(r.ctx, snapshot)
	})
}

// snapshot is all that the table holds, for a new file.
func (r *run[K, V]) snapshot() dump.Snapshot[K, V] {
	table := r.table
	return dump.Snapshot[K, V]{
		FreshAt: r.freshAt(),
		Partial: r.vitals.Load().initFailed != nil,
		Entries: func(yield func(dump.Entry[K, V]) bool) {
			table.records.Range(func(key K, held *record[V]) bool {
				return yield(dump.Entry[K, V]{Key: key, Value: held.value, At: held.loadedAt})
			})
		},
	}
}

// freshAt is when all that the bucket holds was last known to be right: at its last full
// refresh, or that of an earlier run, or when it was seeded.
func (r *run[K, V]) freshAt() time.Time {
	v, now := r.vitals.Load(), time.Now()
	if !v.completedAt.IsZero() {
		return v.completedAt
	}
	if found := v.recovery; !found.Empty() && !found.FreshAt.IsZero() && found.FreshAt.Before(now) {
		return found.FreshAt
	}
	return now
}

// fileRewritten ends a rewrite.
func (r *run[K, V]) fileRewritten(note rewritten) {
	k := r.keeper
	if k == nil || !k.rewriting {
		return
	}
	lagging, overran := k.lagging, k.overran
	k.rewriting, k.lagging, k.overran = false, nil, false
	if note.err != nil {
		for key := range lagging {
			r.fallBehind(key)
		}
		k.overrun = k.overrun || overran
		k.redo = true
		r.troubled(note.err)
		return
	}
	r.logSkipped(note.skipped)
	r.catchUp()
	r.tend() // another may have been wanted meanwhile
}

func (r *run[K, V]) logSkipped(skipped dump.Skipped) {
	if skipped.Entries > 0 {
		r.log(func(log logrus.FieldLogger) {
			log.WithError(safeError{skipped.First}).WithField("entries", skipped.Entries).Warn("entries are kept in memory only")
		})
	}
}

// repair is what the timer calls for: another attempt.
func (r *run[K, V]) repair() {
	k := r.keeper
	if k == nil || k.trouble == nil || k.rewriting || r.phase() != phaseReady {
		return
	}
	r.flush()
	if k.overrun || k.redo || k.dump.Broken() != nil {
		r.rewrite()
		return
	}
	r.catchUp()
}

// catchUp writes what the file is behind with. When that succeeds, all is well again.
func (r *run[K, V]) catchUp() {
	k := r.keeper
	if k.trouble == nil && len(k.behind) == 0 {
		return
	}
	if err := r.writeBehind(); err != nil {
		r.troubled(err)
		return
	}
	k.behind = nil
	if k.overrun {
		r.setRetry()
		return
	}
	r.recovered()
}

func (r *run[K, V]) writeBehind() error {
	k := r.keeper
	batch := k.dump.NewBatch()
	for key := range k.behind {
		if batch.Size() >= mostStagedBytes {
			if err := k.dump.Write(batch); err != nil {
				return err
			}
			batch.Reset()
		}
		held, ok := r.table.get(key)
		if ok && batch.Put(dump.Entry[K, V]{Key: key, Value: held.value, At: held.loadedAt}) == nil {
			continue
		}
		_ = batch.Delete(key) // see encode
	}
	return k.dump.Write(batch)
}

// dumpTroubled hears from the dump, perhaps of what was repaired meanwhile.
func (r *run[K, V]) dumpTroubled(err error) {
	k := r.keeper
	if k == nil || k.trouble == nil && k.dump.Broken() == nil && errors.Is(err, dump.ErrBroken) {
		return
	}
	r.troubled(err)
}

// troubled takes note of something that went wrong with the file. The bucket goes on; the
// file is repaired in the background.
func (r *run[K, V]) troubled(err error) {
	k := r.keeper
	if r.phase() == phaseOver {
		return
	}
	first := k.trouble == nil
	k.trouble = err
	r.changeVitals(func(v *vitals) { v.dumpTrouble = err })
	if k.retry == nil {
		r.setRetry()
	}
	if !first {
		return // it was said
	}
	r.log(func(log logrus.FieldLogger) {
		log.WithError(safeError{err}).Error("the dump is in trouble; reading and loading go on, and it is tried again")
	})
	r.publish(DumpFailed{Bucket: r.bucket.name, Err: err})
}

func (r *run[K, V]) recovered() {
	k := r.keeper
	if k.trouble == nil {
		return
	}
	k.trouble, k.attempts = nil, 0
	k.retry.Stop()
	k.retry = nil
	r.changeVitals(func(v *vitals) { v.dumpTrouble = nil })
	r.log(func(log logrus.FieldLogger) { log.Info("the dump is whole again") })
	r.publish(DumpRepaired{Bucket: r.bucket.name})
}

// The pauses between attempts at a repair double from the first to the last.
const (
	firstRetry = time.Second
	lastRetry  = 5 * time.Minute
)

func (r *run[K, V]) setRetry() {
	k := r.keeper
	pause := min(firstRetry<<min(k.attempts, 20), lastRetry)
	k.attempts++
	k.retry.Stop()
	k.retry = actor.After(r.system, r.self, pause, actor.Tick{Incarnation: r.incarnation, Message: repairDue{}})
}

// retryRepair is the timer's word.
func (r *run[K, V]) retryRepair() {
	if r.keeper == nil {
		return
	}
	r.keeper.retry = nil
	r.repair()
	if k := r.keeper; k.trouble != nil && k.retry == nil {
		r.setRetry()
	}
}

// dismissStaged answers those whose changes are not made any more.
func (r *run[K, V]) dismissStaged(err error) {
	k := r.keeper
	if k == nil {
		return
	}
	for len(k.staged) > 0 {
		c := k.staged[0]
		k.staged = k.staged[1:]
		if c.ask != nil {
			c.ask.reply(answer[V]{err: err})
			continue
		}
		r.dismiss(&c.flight.waiters, answer[V]{err: err})
		r.dismiss(&c.flight.next, answer[V]{err: err})
	}
}

// resumeKeeper takes up what a crash may have interrupted.
func (r *run[K, V]) resumeKeeper() {
	k := r.keeper
	if k == nil {
		return
	}
	r.flush()
	k.told = false
	if k.trouble != nil {
		r.setRetry() // the old timer's tick was for the incarnation before
	}
	r.tend()
}

// closeKeeper ends it, when the actor has stopped. Whatever the file lacks is written now or
// never.
func (r *run[K, V]) closeKeeper() {
	r.background.Wait()
	file := r.file.Load()
	if file == nil || file.dump == nil {
		return
	}
	known := r.keeper == nil || r.vitals.Load().readyAt.IsZero() // nothing was acknowledged
	var err error
	if !known {
		err = r.lastRepair()
		known = err != nil
	}
	if closed := file.dump.Close(); closed != nil && (!known || !errors.Is(closed, dump.ErrBroken)) {
		err = errors.Join(err, closed)
	}
	if err != nil {
		r.log(func(log logrus.FieldLogger) {
			log.WithError(safeError{err}).Error("the dump was not closed in good order")
		})
	}
}

func (r *run[K, V]) lastRepair() error {
	k := r.keeper
	k.retry.Stop()
	_ = k.dump.Sync() // what it cannot write or sync breaks it now, while that can be repaired
	lacking := k.overrun || k.overran || len(k.lagging) > 0 || k.dump.Broken() != nil
	if !lacking && r.writeBehind() == nil {
		return nil
	}
	if _, err := k.dump.Rewrite(context.WithoutCancel(r.ctx), r.snapshot()); err != nil {
		return fmt.Errorf("what was loaded since the trouble began is lost: %w", err)
	}
	return nil
}
