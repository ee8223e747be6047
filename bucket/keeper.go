package bucket

import (
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/dump"
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

	staged  []change[K, V] // in the batches; its memory is used again and again
	made    int            // how many of them are made
	writes  int            // of them, those of callers
	awaited bool           // somebody waits for one of them
	told    bool           // writesDue is on its way
	written bool           // the batch is: what is staged has only to be made
	outcome error          // of writing it

	// behind are the keys of which the file knows less than the table. More than a few, and
	// a rewrite is cheaper.
	behind   map[K]struct{}
	outdated bool  // only a rewrite makes good what the file lacks
	trouble  error // nil while all is well
	attempts int   // at the repair, since it was not

	rewriting  bool  // a goroutine is at it
	rewriteErr error // its outcome; the goroutine's
	closing    bool  // no more rewrites
	wanted     bool  // once what is staged is made
	retry      *actor.Timer
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
		err := k.batch.Put(dumped(e.key, e.next))
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

// dumped is a record as the file holds it.
func dumped[K comparable, V any](key K, held *record[V]) dump.Entry[K, V] {
	return dump.Entry[K, V]{Key: key, Value: held.value, At: held.loadedAt}
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
	for ; k.made < len(k.staged); k.made++ {
		r.fulfil(&k.staged[k.made], k.outcome) // may be cut short, and can be done again
	}
	clear(k.staged)
	k.staged, k.made = k.staged[:0], 0
	k.full, k.writes, k.awaited, k.written = nil, 0, false, false
	if k.batch.Size() > 2*mostStagedBytes { // of something huge; not worth keeping
		k.batch = k.dump.NewBatch()
	}
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
	r.apply(c)
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
		k.outdated = true
		return
	}
	if k.behind == nil {
		k.behind = make(map[K]struct{})
	}
	k.behind[key] = struct{}{}
}

// dismissStaged answers those whose changes are not made any more.
func (r *run[K, V]) dismissStaged(err error) {
	k := r.keeper
	if k == nil {
		return
	}
	for ; k.made < len(k.staged); k.made++ {
		c := &k.staged[k.made]
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
