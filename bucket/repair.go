package bucket

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/dump"
)

// Trouble with the file is said once, and then worked on until it is over:
//
//	a write failed       ──▶ troubled ── (timer) ──▶ repair ──▶ write the keys it is behind with
//	the file is broken   ──▶ troubled ── (timer) ──▶ repair ──▶ write it anew
//	                            ▲                       │
//	                            └───── that failed ─────┤
//	                                                    └──▶ recovered

// repair is what the timer calls for: another attempt.
func (r *run[K, V]) repair() {
	k := r.keeper
	if k == nil || k.trouble == nil || k.rewriting || r.phase() != phaseReady {
		return
	}
	if k.outdated || k.dump.Broken() != nil {
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
	if k.outdated {
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
		if ok && batch.Put(dumped(key, held)) == nil {
			continue
		}
		_ = batch.Delete(key) // see encode
	}
	if batch.Len() == 0 {
		return k.dump.Sync() // it has to show that it can still write
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
	outdated := k.wanted || k.outdated || k.rewriting && k.rewriteErr != nil || k.dump.Broken() != nil
	// What cannot be synced is found out now, while that can be repaired.
	if !outdated && r.writeBehind() == nil && k.dump.Sync() == nil {
		return nil
	}
	if _, err := k.dump.Rewrite(context.WithoutCancel(r.ctx), r.snapshot()); err != nil {
		return fmt.Errorf("what was loaded since the trouble began is lost: %w", err)
	}
	return nil
}
