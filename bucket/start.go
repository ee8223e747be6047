package bucket

import (
	"context"
	"fmt"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/loader"
)

// The start of a bucket takes turns between the actor and the user's callbacks:
//
//	Started ── OptionsFunc ──▶ resolved ── Init ──▶ seeded ── ready
//	                              │                    │
//	                              └── bad option       └── veto: declined
//
// A step that is not needed is left out. What callers ask meanwhile is held.

func (a *bucketActor[K, V]) started(ctx protoactor.Context) {
	r := a.bucket.run.Load()
	if r == nil || r.self != ctx.Self() {
		a.report(a.bucket.errorf("%w as %v: stop that one first, or declare another bucket", ErrAlreadyRunning, a.bucket.PID()))
		ctx.Stop(ctx.Self())
		return
	}
	a.run = r
	if r.incarnation != 0 {
		r.counters.restarts.Add(1)
	}
	r.incarnation = actor.NewIncarnation()
	r.crash = nil

	switch r.phase() {
	case phaseStarting:
		a.start(ctx)
	case phaseReady:
		a.resume(ctx)
	}
}

func (a *bucketActor[K, V]) start(ctx protoactor.Context) {
	if a.run.starting {
		return // an earlier incarnation has begun; the note will reach this one
	}
	config, err := a.bucket.staticConfig(a.options)
	if err != nil {
		a.decline(ctx, err)
		return
	}
	if config.OptionsFunc == nil {
		a.configured(ctx, config)
		return
	}

	r := a.run
	r.starting = true
	loader.Go(r.ctx, config.InitTimeout,
		func(context.Context) ([]Option, error) { return config.OptionsFunc() },
		func(options []Option, err error) {
			r.tell(resolved{run: r, config: config, options: options, err: err})
		})
}

func (a *bucketActor[K, V]) resolved(ctx protoactor.Context, note resolved) {
	if note.run != any(a.run) || a.run.phase() != phaseStarting {
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
	if err := r.claimName(); err != nil {
		a.decline(ctx, a.bucket.errorf("%w", err))
		return
	}
	init := a.bucket.companions.Initializer
	if init == nil {
		a.ready(ctx, nil)
		return
	}

	r.starting = true
	loader.Go(r.ctx, config.InitTimeout,
		func(ctx context.Context) (seed[K, V], error) {
			values, err := init.Init(ctx)
			// Asked here, because the error's own methods may panic, too.
			if err != nil && loader.IsVeto(err) {
				return seed[K, V]{veto: err}, nil
			}
			return seed[K, V]{values: values}, err
		},
		func(s seed[K, V], err error) { r.tell(seeded[K, V]{run: r, seed: s, err: err}) })
}

// seed is what Init gave.
type seed[K comparable, V any] struct {
	values map[K]V
	veto   error
}

func (a *bucketActor[K, V]) seeded(ctx protoactor.Context, note seeded[K, V]) {
	r := a.run
	if note.run != r || r.phase() != phaseStarting {
		return
	}
	r.starting = false
	if note.seed.veto != nil {
		a.decline(ctx, a.bucket.errorf("%w", note.seed.veto))
		return
	}
	if note.err != nil {
		r.log().WithError(safeError{note.err}).Warn("Init failed; the bucket starts without a seed")
		r.changeVitals(func(v *vitals) { v.initFailed = note.err })
	}
	a.ready(ctx, note.seed.values)
}

// ready opens the bucket: readers get the table, and what was held is answered.
func (a *bucketActor[K, V]) ready(ctx protoactor.Context, seed map[K]V) {
	r, config, now := a.run, a.run.config.Load(), time.Now()
	r.table = newTable[K, V](!config.CacheEnabled, r.counters.hits)
	if config.CacheEnabled {
		for key, value := range seed {
			r.save(key, value, SourceInit, now)
		}
	}
	r.changeVitals(func(v *vitals) { v.generation, v.readyAt, v.completedAt = 1, now, now })
	r.state.Store(int32(phaseReady))
	a.bucket.table.Store(r.table)
	a.report(nil)
	r.log().WithFields(logrus.Fields{"entries": r.table.len(), "took": now.Sub(r.spawnedAt)}).Info("bucket is ready")

	r.nextDue = now.Add(config.pause())
	a.spawnClock(ctx)
	held := r.held
	r.held = nil
	for _, request := range held {
		r.request(request.msg, request.sender)
	}
}

// resume goes on after a crash: with the table, the loads in flight and the
// refresh under way.
func (a *bucketActor[K, V]) resume(ctx protoactor.Context) {
	a.spawnClock(ctx)
	a.run.launch()
	a.run.advance()
}

// decline ends a start that cannot succeed. The bucket's starter and everybody who
// waits get the reason.
func (a *bucketActor[K, V]) decline(ctx protoactor.Context, err error) {
	a.run.log().WithError(safeError{err}).Error("bucket does not start")
	a.run.end(fmt.Errorf("%w: its start failed: %w", ErrNotRunning, err))
	a.report(err)
	ctx.Stop(ctx.Self())
}
