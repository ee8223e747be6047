package bucket

import (
	"context"
	"fmt"
	"maps"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/loader"
)

// The start of a bucket takes turns between the actor and the user's callbacks:
//
//	Started ── OptionsFunc ──▶ resolved ── read the file ──▶ opened ── Init ──▶ seeded ── write the file ──▶ founded ── ready
//	                              │                            │                   │
//	                              └── bad option               └── not ours        └── veto: declined
//
// A step that is not needed is left out: Init, if the file held something; the writing, if
// the file can go on. What callers ask meanwhile is held.

func (a *bucketActor[K, V]) started(ctx protoactor.Context) {
	r := a.own(ctx)
	if r == nil {
		a.declineSecond(ctx)
		return
	}
	a.run = r
	if r.incarnation != 0 {
		r.counters.restarts.Add(1)
	}
	r.incarnation = actor.NewIncarnation()
	a.carryOn(ctx)
}

func (a *bucketActor[K, V]) start(ctx protoactor.Context) {
	if a.run.starting {
		return // an earlier incarnation has begun; the note will reach this one
	}
	config, err := a.bucket.staticConfig(a.options)
	if config.Logger != nil {
		a.run.logger.Store(&config.Logger)
	}
	if err != nil {
		a.decline(ctx, err)
		return
	}
	if config.OptionsFunc == nil {
		a.configured(ctx, config)
		return
	}

	r := a.run
	step := r.takeStep()
	loader.Go(r.ctx, config.InitTimeout,
		func(context.Context) ([]Option, error) { return config.OptionsFunc() },
		func(options []Option, err error) {
			r.tell(&resolved{run: r, config: config, options: options, err: err, step: step})
		})
}

func (a *bucketActor[K, V]) resolved(ctx protoactor.Context, note *resolved) {
	if note.run != any(a.run) || note.step != a.run.step || a.run.phase() != phaseStarting {
		return
	}
	a.run.starting = false
	config, err := a.bucket.lateConfig(note.config, note.options, note.err)
	if err != nil {
		a.decline(ctx, err)
		return
	}
	a.configured(ctx, config)
}

func (a *bucketActor[K, V]) configured(ctx protoactor.Context, config Config) {
	r := a.run
	r.config.Store(&config)
	r.logger.Store(&config.Logger)
	r.equal, _ = equalityOf(&config, a.bucket.equal) // it was checked
	if err := r.claimName(); err != nil {
		a.decline(ctx, a.bucket.errorf("%w", err))
		return
	}
	if config.File != "" {
		a.openFile(ctx, config)
		return
	}
	r.table = newTable[K, V](!config.CacheEnabled, r.counters.hits)
	a.seed(ctx)
}

// takeStep says that a callback of the start is at work.
func (r *run[K, V]) takeStep() (step int) {
	r.starting = true
	r.step++
	return r.step
}

// seed is what Init gave.
type seed[K comparable, V any] struct {
	values map[K]V
	veto   error
}

func initialize[K comparable, V any](ctx context.Context, init loader.Initializer[K, V]) (seed[K, V], error) {
	values, err := init.Init(ctx)
	// Asked here, because the error's own methods may panic, too.
	if err != nil && loader.IsVeto(err) {
		return seed[K, V]{veto: err}, nil
	}
	return seed[K, V]{values: maps.Clone(values)}, err // the map is the user's
}

func (a *bucketActor[K, V]) seeded(ctx protoactor.Context, note *seeded[K, V]) {
	r := a.run
	if note.run != r || note.step != r.step || r.phase() != phaseStarting {
		return
	}
	r.starting = false
	if note.seed.veto != nil {
		a.decline(ctx, a.bucket.errorf("%w", note.seed.veto))
		return
	}
	if note.err != nil {
		r.log(func(log logrus.FieldLogger) {
			log.WithError(safeError{note.err}).Warn("Init failed; the bucket starts without a seed")
		})
		r.changeVitals(func(v *vitals) { v.initFailed = note.err })
	}
	switch {
	case note.err != nil || r.planted || !r.dumpTooOld():
	case len(note.seed.values) == 0:
		r.log(func(log logrus.FieldLogger) {
			log.Warn("Init gave nothing; the bucket starts with what its file held, old as it is")
		})
	default:
		r.table = newTable[K, V](r.table.bypass, r.table.hits)
		r.reseeded = true
	}
	r.plant(note.seed.values)
	r.planted = true
	a.found(ctx)
}

// plant puts a seed into the table, but not over what the file held: that was acknowledged.
func (r *run[K, V]) plant(values map[K]V) {
	if !r.config.Load().CacheEnabled || len(values) == 0 {
		return
	}
	now, old := time.Now(), r.table
	m := newTableMaker[K, V](old.len() + len(values))
	old.each(func(key K, held *record[V]) bool {
		m.add(key, *held)
		return true
	})
	for key, value := range values {
		if _, held := old.get(key); held {
			continue
		}
		if err := r.bucket.keys.check(key); err != nil {
			r.logUnsaved(SourceInit, err)
			continue
		}
		m.add(key, r.newRecord(value, SourceInit, now))
	}
	r.table = m.table(old.bypass, old.hits)
}

// ready opens the bucket: readers get the table, and what was held is answered.
func (a *bucketActor[K, V]) ready(ctx protoactor.Context) {
	r, config, now := a.run, a.run.config.Load(), time.Now()
	fresh := r.freshAt()
	r.changeVitals(func(v *vitals) { v.generation, v.readyAt, v.completedAt = 1, now, fresh })
	r.nextDue = fresh.Add(config.pause())
	r.table.generation = 1
	r.state.Store(int32(phaseReady))
	a.bucket.table.Store(r.table)
	if r.feed.watched() {
		r.feed.lose(r.table.generation)
	}
	a.spawnClock(ctx)
	r.log(func(log logrus.FieldLogger) {
		log.WithFields(logrus.Fields{"entries": r.table.len(), "took": now.Sub(r.spawnedAt).Round(time.Microsecond)}).Info("bucket is ready")
	})
	a.report(nil)
	r.serveHeld()
	r.refreshAtStart()
}

// refreshAtStart begins the refresh that the options ask for, unless what is held is new.
func (r *run[K, V]) refreshAtStart() {
	if !r.config.Load().RefreshAtStart || r.atStart {
		return
	}
	r.atStart = true
	v := r.vitals.Load()
	fromFile := r.keeper != nil && !v.recovery.Empty() && !r.reseeded
	if !r.planted || v.initFailed != nil || fromFile {
		r.refresh(nil)
	}
}

// carryOn takes up what a crash may have interrupted: the start, or the loads in flight, the
// refresh under way and the clock. It does no harm if nothing was.
func (a *bucketActor[K, V]) carryOn(ctx protoactor.Context) {
	if a.run == nil { // it crashed on its Started, and was resumed
		a.started(ctx)
		return
	}
	r := a.run
	r.crash = nil
	switch r.phase() {
	case phaseStarting:
		a.start(ctx)
	case phaseReady:
		a.spawnClock(ctx)
		r.resumeKeeper()
		r.serveHeld()
		r.launch()
		r.refreshAtStart()
		r.tellClock()
		a.report(nil)
	}
}

// declineSecond ends an actor whose bucket has another one.
func (a *bucketActor[K, V]) declineSecond(ctx protoactor.Context) {
	other := "another actor"
	if pid := a.bucket.PID(); pid != nil {
		other = pid.Id
	}
	err := a.bucket.errorf("%w, as %s: stop that one first, or declare another bucket", ErrAlreadyRunning, other)
	if config, _ := a.bucket.staticConfig(a.options); config.Logger != nil {
		logSafely(config.Logger, func(log logrus.FieldLogger) { log.Error(err) })
	}
	a.report(err)
	ctx.Stop(ctx.Self())
}

// decline ends a start that cannot succeed. The bucket's starter and everybody who
// waits get the reason.
func (a *bucketActor[K, V]) decline(ctx protoactor.Context, err error) {
	a.run.log(func(log logrus.FieldLogger) { log.WithError(safeError{err}).Error("bucket does not start") })
	a.run.end(fmt.Errorf("%w: its start failed: %w", ErrNotRunning, err))
	a.report(err)
	ctx.Stop(ctx.Self())
}
