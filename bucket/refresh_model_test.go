package bucket_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// Whatever the source does, however it is asked, and whoever writes meanwhile: a bucket that
// refreshes keeps the rules of refreshRules.
func TestRefresh_keeps_its_rules_whatever_the_source_and_the_callers_do(t *testing.T) {
	checks := 200
	if torturing {
		checks = 20_000
	}
	require.NoError(t, flag.Set("rapid.checks", fmt.Sprint(checks)))
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	rapid.Check(t, func(check *rapid.T) {
		// All is drawn before: what a bubble does must not end in the middle of it.
		plan := rapid.Custom(drawPlan).Draw(check, "plan")
		var run *modelRun
		inBubble(t, func(t *testing.T) {
			run = newModelRun(plan)
			run.all(t)
		})
		for _, fault := range run.faults {
			check.Error(fault)
		}
	})
}

// modelPlan is all that a run of the model depends on, but for the scheduler.
type modelPlan struct {
	Way     string // of loading
	Reload  bool   // loads that know the value which is held
	Sieve   bool   // a filter
	MaxLoss float64

	Concurrency, Slots, Batch int
	Rate                      float64
	Window                    time.Duration // in which misses wait for company

	Seed    []string
	Scripts map[string][]reply
	Rounds  []modelRound
}

const (
	oneByOne = "one by one"
	inBatch  = "in batches"
	inOneGo  = "all in one go"
	noGate   = -1
)

var modelKeys = []string{"a", "b", "c", "d", "e", "f"}

// modelRound is what callers do at about the same time. One without acts is a refresh that nobody
// disturbs.
type modelRound struct {
	Changes []string // keys of the source that change before
	Acts    []modelAct
}

type modelAct struct {
	Kind     actKind
	Key      string
	At       time.Duration
	Patience time.Duration // after which the caller leaves; zero: never
}

type actKind string

const (
	actSet        actKind = "DirectSet"
	actDelete     actKind = "Delete"
	actFetch      actKind = "Fetch"
	actFetchMany  actKind = "FetchMany"
	actRefreshKey actKind = "RefreshKey"
	actRefresh    actKind = "Refresh"
	actChange     actKind = "change at the source"
	actWatch      actKind = "Watch"
	actCrash      actKind = "Crash"
)

func drawPlan(t *rapid.T) modelPlan {
	plan := modelPlan{
		Way:         rapid.SampledFrom([]string{oneByOne, inBatch, inOneGo}).Draw(t, "way"),
		Reload:      rapid.Bool().Draw(t, "reload"),
		Sieve:       rapid.Bool().Draw(t, "sieve"),
		MaxLoss:     rapid.SampledFrom([]float64{noGate, noGate, 1, 0.5, 0.2}).Draw(t, "max loss"),
		Concurrency: rapid.IntRange(1, 4).Draw(t, "concurrency"),
		Slots:       rapid.SampledFrom([]int{64, 2, 1}).Draw(t, "slots"),
		Batch:       rapid.IntRange(1, 4).Draw(t, "batch"),
		Rate:        rapid.SampledFrom([]float64{0, 0, 50}).Draw(t, "rate"),
		Window:      rapid.SampledFrom([]time.Duration{0, 0, 7 * time.Millisecond}).Draw(t, "window"),
		Seed:        rapid.SliceOfDistinct(rapid.SampledFrom(modelKeys), rapid.ID).Draw(t, "seed"),
		Scripts:     map[string][]reply{},
	}
	kinds := []replyKind{answers, answers, answers, answers, notFound, unchanged, fails, panics, exits, hangs, ignores}
	for _, key := range modelKeys {
		plan.Scripts[key] = drawScript(t, key, kinds)
	}
	kinds = []replyKind{answers, answers, answers, answers, answers, answers, unchanged, fails, panics, exits, hangs, ignores}
	plan.Scripts[aboutMany] = drawScript(t, aboutMany, kinds)
	plan.Rounds = rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelRound { return drawRound(t, plan.Way) }), 1, 8).Draw(t, "rounds")
	return plan
}

func drawScript(t *rapid.T, name string, kinds []replyKind) []reply {
	return rapid.SliceOfN(rapid.Custom(func(t *rapid.T) reply {
		return reply{
			Kind:  rapid.SampledFrom(kinds).Draw(t, "kind"),
			Delay: rapid.SampledFrom([]time.Duration{0, 10 * time.Millisecond, 30 * time.Millisecond}).Draw(t, "delay"),
		}
	}), 1, 4).Draw(t, "script of "+name)
}

func drawRound(t *rapid.T, way string) modelRound {
	kinds := []actKind{
		actRefresh, actRefresh, actRefresh, actSet, actSet, actDelete, actFetch, actFetchMany,
		actRefreshKey, actRefreshKey, actChange, actChange, actChange, actWatch, actCrash,
	}
	round := modelRound{
		Changes: rapid.SliceOfN(rapid.SampledFrom(modelKeys), 0, 4).Draw(t, "changes"),
		Acts: rapid.SliceOfN(rapid.Custom(func(t *rapid.T) modelAct {
			return modelAct{
				Kind:     rapid.SampledFrom(kinds).Draw(t, "kind"),
				Key:      rapid.SampledFrom(modelKeys).Draw(t, "key"),
				At:       time.Duration(rapid.IntRange(0, 30).Draw(t, "at")) * 5 * time.Millisecond,
				Patience: time.Duration(rapid.SampledFrom([]int{0, 0, 0, 15, 120}).Draw(t, "patience")) * time.Millisecond,
			}
		}), 0, 16).Draw(t, "acts"),
	}
	return round
}

// modelRun carries out a plan, and holds what comes of it against the rules.
type modelRun struct {
	plan   modelPlan
	source *modelSource
	bucket *bucket.Bucket[string, int]

	mu       sync.Mutex
	faults   []string
	written  int // by callers, downwards: what the source gives is positive
	writes   []*modelWrite
	asked    []*modelAsk
	replicas []*replica

	held     map[string]bucket.Entry[int] // when all was quiet last
	refusals int64                        // until then
	refused  bool                         // there were some since
}

func newModelRun(plan modelPlan) *modelRun {
	m := &modelRun{plan: plan}
	m.source = &modelSource{scripts: plan.Scripts, complain: m.complain, versions: map[string]int{}, lines: map[string]int{}}
	funcs := loader.Funcs[string, int]{
		LoadFunc: m.source.load,
		InitFunc: func(context.Context) (map[string]int, error) {
			seed := map[string]int{}
			for _, key := range plan.Seed {
				seed[key] = m.source.versions[key]
			}
			return seed, nil
		},
	}
	for _, key := range modelKeys {
		m.source.versions[key] = 1
	}
	if plan.Reload {
		funcs.ReloadFunc = func(ctx context.Context, key string, _ int) (int, error) { return m.source.load(ctx, key) }
	}
	if plan.Sieve {
		funcs.FilterRefreshFunc = filterBySieve
	}
	switch plan.Way {
	case inBatch:
		funcs.LoadBatchFunc = m.source.loadBatch
	case inOneGo:
		funcs.LoadAllFunc = m.source.loadAll
	}
	opts := []bucket.Option{
		quiet(), bucket.RefreshEvery(0), bucket.LoadTimeout(modelTimeout), bucket.RefreshConcurrency(plan.Concurrency),
		bucket.MaxConcurrentLoads(plan.Slots), bucket.BatchSize(plan.Batch), bucket.RefreshRate(plan.Rate), bucket.BatchWindow(plan.Window),
	}
	if plan.MaxLoss != noGate {
		opts = append(opts, bucket.Gate(bucket.MaxLoss(plan.MaxLoss)))
	}
	m.bucket = bucket.New("widgets", funcs, opts...)
	return m
}

func (m *modelRun) complain(format string, args ...any) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.faults = append(m.faults, fmt.Sprintf(format, args...))
}

func (m *modelRun) all(t *testing.T) {
	system, sup := start(t, m.bucket)
	m.watch(true)
	m.quiet()
	m.held = m.entries()
	for _, round := range m.plan.Rounds {
		for _, key := range round.Changes {
			m.source.change(key)
		}
		if len(round.Acts) == 0 {
			m.undisturbed()
		}
		var callers sync.WaitGroup
		for _, act := range round.Acts {
			callers.Go(func() {
				time.Sleep(act.At)
				if act.Kind == actCrash {
					system.Root.Send(m.bucket.PID(), bucket.Crash{Reason: "drill"})
					return
				}
				m.do(act)
			})
		}
		callers.Wait()
		m.quiet()
		m.judge()
	}
	if err := sup.Stop(context.Background()); err != nil {
		m.complain("stop: %v", err)
	}
	m.quiet()
	if stats := m.bucket.Stats(); stats.Running != 0 || stats.Abandoned != 0 {
		m.complain("after the stop %d loads run, and %d are abandoned", stats.Running, stats.Abandoned)
	}
	for _, r := range m.replicas {
		if !r.ended() {
			m.complain("a Watch goes on after the stop")
		}
	}
}

// quiet lets all come to its end: also a refresh whose asker has left, and a load that nobody
// waits for.
func (m *modelRun) quiet() {
	time.Sleep(time.Minute)
	synctest.Wait()
}

func (m *modelRun) entries() map[string]bucket.Entry[int] {
	entries := map[string]bucket.Entry[int]{}
	for key := range m.bucket.All() {
		entries[key], _ = m.bucket.Entry(key)
	}
	return entries
}

func (m *modelRun) do(act modelAct) {
	ctx := context.Background()
	if act.Patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, act.Patience)
		defer cancel()
	}
	switch act.Kind {
	case actSet, actDelete:
		m.write(act)
	case actFetch:
		value, err := m.bucket.Fetch(ctx, act.Key)
		m.answered(act.Kind, act.Key, value, err)
	case actFetchMany:
		_, err := m.bucket.FetchMany(ctx, modelKeys)
		m.answered(act.Kind, act.Key, 0, err)
	case actRefreshKey:
		a := m.ask(act.Key)
		a.value, a.err = m.bucket.RefreshKey(ctx, act.Key)
		a.until = m.source.tick()
		m.answered(act.Kind, act.Key, a.value, a.err)
	case actRefresh:
		a := m.ask("")
		_, a.err = m.bucket.Refresh(ctx)
		a.until = m.source.tick()
		m.answered(act.Kind, "", 0, a.err)
	case actChange:
		m.source.change(act.Key)
	case actWatch:
		m.watch(false)
	}
}

// write is not impatient: whether the write of a caller who has left is made, nobody knows.
func (m *modelRun) write(act modelAct) {
	w := &modelWrite{key: act.Key, deleted: act.Kind == actDelete}
	m.mu.Lock()
	m.written--
	w.value = m.written
	m.writes = append(m.writes, w)
	m.mu.Unlock()
	w.from = m.source.tick()
	var err error
	if w.deleted {
		err = m.bucket.Delete(context.Background(), act.Key)
	} else {
		err = m.bucket.DirectSet(context.Background(), act.Key, w.value)
	}
	w.until = m.source.tick()
	if err != nil {
		m.complain("%s: %v", act.Kind, err)
	}
}

func (m *modelRun) ask(key string) *modelAsk {
	a := &modelAsk{key: key, from: m.source.tick()}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, a)
	return a
}

// answered knows all errors that there may be.
func (m *modelRun) answered(kind actKind, key string, value int, err error) {
	var failure *loader.Error
	switch {
	case err == nil && (kind == actFetch || kind == actRefreshKey) && value == 0:
		m.complain("%s of %q: a value that nobody has given", kind, key)
	case err == nil, errors.As(err, &failure), errors.Is(err, context.DeadlineExceeded):
	case kind == actRefresh && errors.Is(err, bucket.ErrRefused):
	default:
		m.complain("%s of %q: %v", kind, key, err)
	}
}

// replica applies the changes of a bucket to a snapshot.
type replica struct {
	strict bool // the watch began, and the snapshot was taken, when all was quiet

	mu       sync.Mutex
	content  map[string]int
	seq      uint64
	versions map[string]int
	over     bool
}

func (m *modelRun) watch(strict bool) {
	changes := m.bucket.Watch(context.Background())
	r := &replica{strict: strict, content: maps.Collect(m.bucket.Snapshot().All()), versions: map[string]int{}}
	m.mu.Lock()
	m.replicas = append(m.replicas, r)
	m.mu.Unlock()
	go func() {
		for c := range changes {
			m.follow(r, c)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.over = true
	}()
}

func (r *replica) ended() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.over
}
