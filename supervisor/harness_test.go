package supervisor_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// errClosed is the reason of the vetoes in these tests.
var errClosed = errors.New("the shop is closed")

// inBubble runs test in fake time and gives what ends by itself the time to do so: a
// dead letter leaves a goroutine for a second.
func inBubble(t *testing.T, test func(t *testing.T)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(2 * time.Second) })
		test(t)
	})
}

func newSystem() *protoactor.ActorSystem {
	logger, _ := logtest.NewNullLogger()
	return actor.NewSystem(logger)
}

// newSupervisor makes a silent supervisor that is stopped when the test ends.
func newSupervisor(t testing.TB, system *protoactor.ActorSystem, opts ...supervisor.Option) *supervisor.Supervisor {
	t.Helper()
	sup := supervisor.New(system, append([]supervisor.Option{noLog()}, opts...)...)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		assert.NoError(t, sup.Stop(ctx), "stop at the end of the test")
	})
	return sup
}

func noLog() supervisor.Option {
	logger, _ := logtest.NewNullLogger()
	return supervisor.Logger(logger)
}

// numbers is the bucket of these tests. It maps a text to its length.
type numbers = *bucket.Bucket[string, int]

// newBucket declares a bucket that is seeded with one entry.
func newBucket(name string, opts ...bucket.Option) numbers {
	return bucketWithInit(name, func(context.Context) (map[string]int, error) {
		return map[string]int{"seed": 4}, nil
	}, opts...)
}

// vetoing declares a bucket that does not start.
func vetoing(name string) numbers {
	return bucketWithInit(name, func(context.Context) (map[string]int, error) {
		return nil, loader.Veto(errClosed)
	})
}

func bucketWithInit(name string, init func(context.Context) (map[string]int, error), opts ...bucket.Option) numbers {
	return bucketOf(name, loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, key string) (int, error) { return len(key), nil },
		InitFunc: init,
	}, opts...)
}

func bucketOf(name string, l loader.Loader[string, int], opts ...bucket.Option) numbers {
	logger, _ := logtest.NewNullLogger()
	return bucket.New(name, l, append([]bucket.Option{bucket.Logger(logger)}, opts...)...)
}

// crash makes a bucket's actor panic and waits until everybody has heard of it.
func crash(t testing.TB, system *protoactor.ActorSystem, pid *protoactor.PID, reason any) {
	t.Helper()
	require.NotNil(t, pid, "nobody to crash")
	system.Root.Send(pid, bucket.Crash{Reason: reason})
	synctest.Wait()
}

// stranger is a child that is no bucket, but an actor as somebody else would write it.
// It writes its life into a diary and does what it is told.
type stranger struct {
	name  string
	diary *diary
	first func(ctx protoactor.Context) // has the first word on each message; may be nil
	opts  []protoactor.PropsOption
}

// do is a message to a stranger: it is called in the actor's turn.
type do func(ctx protoactor.Context)

func (s stranger) Name() string { return s.name }

func (s stranger) Props() *protoactor.Props { return protoactor.PropsFromFunc(s.receive, s.opts...) }

func (s stranger) receive(ctx protoactor.Context) {
	switch ctx.Message().(type) {
	case *protoactor.Started:
		s.diary.note(s.name + " started")
	case *protoactor.Stopping:
		s.diary.note(s.name + " stopping")
	case *protoactor.Stopped:
		s.diary.note(s.name + " stopped")
	case *protoactor.Restarting:
		s.diary.note(s.name + " restarting")
	}
	if s.first != nil {
		s.first(ctx)
	}
	if task, ok := ctx.Message().(do); ok {
		task(ctx)
	}
}

// on calls f for messages of type M.
func on[M any](f func(ctx protoactor.Context)) func(protoactor.Context) {
	return func(ctx protoactor.Context) {
		if _, ok := ctx.Message().(M); ok {
			f(ctx)
		}
	}
}

// parentOf makes a stranger spawn another one when it starts.
func parentOf(child stranger) func(protoactor.Context) {
	return on[*protoactor.Started](func(ctx protoactor.Context) {
		if _, err := ctx.SpawnNamed(child.Props(), child.name); err != nil {
			panic(err)
		}
	})
}

// diary is what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(line string) {
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, line)
}

// read returns what was written since the last read.
func (d *diary) read() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	lines := d.lines
	d.lines = nil
	return lines
}

// gate is what a test lets others wait at. It opens at the end of the test at the
// latest, so that a test that fails does not hang.
type gate struct {
	open    func()
	barrier chan struct{}
}

func newGate(t testing.TB) gate {
	barrier := make(chan struct{})
	g := gate{open: sync.OnceFunc(func() { close(barrier) }), barrier: barrier}
	t.Cleanup(g.open)
	return g
}

func (g gate) wait() { <-g.barrier }

// waitIn waits in the turn of an actor.
func (g gate) waitIn(protoactor.Context) { g.wait() }

// events are what a supervisor publishes.
type events struct {
	mu  sync.Mutex
	all []any
}

func listen(system *protoactor.ActorSystem) *events {
	var e events
	system.EventStream.Subscribe(func(event any) {
		switch event.(type) {
		case supervisor.Started, supervisor.Vetoed, supervisor.Restarted, supervisor.GaveUp, supervisor.Stopped:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.all = append(e.all, event)
		}
	})
	return &e
}

// heard returns the events since it was asked last.
func (e *events) heard() []any {
	e.mu.Lock()
	defer e.mu.Unlock()
	all := e.all
	e.all = nil
	return all
}

// titles is heard for a test that cares for the order alone: "Started a".
func (e *events) titles() []string {
	var titles []string
	for _, event := range e.heard() {
		switch event := event.(type) {
		case supervisor.Started:
			titles = append(titles, "Started "+event.Child)
		case supervisor.Vetoed:
			titles = append(titles, "Vetoed "+event.Child)
		case supervisor.Restarted:
			titles = append(titles, "Restarted "+event.Child)
		case supervisor.GaveUp:
			titles = append(titles, "GaveUp "+event.Child)
		case supervisor.Stopped:
			titles = append(titles, "Stopped "+event.Child)
		}
	}
	return titles
}

// background runs f in a goroutine of its own and returns when it has come as far as it
// can.
func background(f func() error) <-chan error {
	outcome := make(chan error, 1)
	go func() { outcome <- f() }()
	synctest.Wait()
	return outcome
}

func requirePending(t testing.TB, outcome <-chan error, what string) {
	t.Helper()
	synctest.Wait()
	select {
	case err := <-outcome:
		t.Fatalf("%s has returned: %v", what, err)
	default:
	}
}

// requireStartError is for an err that must name the child which did not start.
func requireStartError(t testing.TB, err error, child string) {
	t.Helper()
	var refused *supervisor.StartError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, child, refused.Child)
}

// status returns what sup knows about a child.
func status(t testing.TB, sup *supervisor.Supervisor, name string) supervisor.ChildStatus {
	t.Helper()
	for _, child := range sup.Status() {
		if child.Name == name {
			return child
		}
	}
	t.Fatalf("%q is not among the children: %v", name, states(sup))
	return supervisor.ChildStatus{}
}

// states returns the children and their states: "a running".
func states(sup *supervisor.Supervisor) []string {
	states := []string{}
	for _, child := range sup.Status() {
		states = append(states, fmt.Sprintf("%s %s", child.Name, child.State))
	}
	return states
}

// alive says whether an actor lives at pid.
func alive(system *protoactor.ActorSystem, pid *protoactor.PID) bool {
	_, alive := system.ProcessRegistry.Get(pid)
	return alive
}

func ended() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}
