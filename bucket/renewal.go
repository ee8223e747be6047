package bucket

import (
	"context"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// A bucket's file is written anew after a full refresh, when what was written since has
// outgrown it, and to repair it: from the table, which changes meanwhile, and beside all that
// goes on.
//
//	bucket ── rewrite ──▶ (goroutine) snapshot of the table ──▶ new file
//	bucket ──Write──▶ old file, and from there into the new one
//	bucket ◀──rewritten── (goroutine)

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
	k.rewriting = true
	k.behind, k.outdated = nil, false
	snapshot := r.snapshot()
	r.background.Go(func() {
		note := rewritten{err: loader.ErrGoexit} // of a codec
		defer func() {
			k.rewriteErr = note.err // for a stop, which waits and gets no notes
			r.tell(note)
		}()
		// A stop waits for it: the times of what a refresh found unchanged are nowhere else.
		note.skipped, note.err = rewriting.Run(context.WithoutCancel(r.ctx), snapshot)
	})
}

// snapshot is all that the table holds, for a new file.
func (r *run[K, V]) snapshot() dump.Snapshot[K, V] {
	table := r.table
	return dump.Snapshot[K, V]{
		FreshAt: r.freshAt(),
		Partial: r.vitals.Load().initFailed != nil,
		Entries: func(yield func(dump.Entry[K, V]) bool) {
			table.each(func(key K, held *record[V]) bool {
				return yield(dumped(key, held))
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
	if found := v.recovery; !r.reseeded && !found.Empty() && !found.FreshAt.IsZero() && found.FreshAt.Before(now) {
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
	k.rewriting = false
	if note.err != nil {
		k.outdated = true
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
