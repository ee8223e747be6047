package bucket_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// errDown is what the scripted source says when it is down.
var errDown = errors.New("source is down")

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

// quiet comes first among the options of a test's bucket.
func quiet() bucket.Option {
	logger, _ := logtest.NewNullLogger()
	return bucket.Logger(logger)
}

// noLog is quiet for a supervisor.
func noLog() supervisor.Option {
	logger, _ := logtest.NewNullLogger()
	return supervisor.Logger(logger)
}

func captured() (bucket.Option, *logtest.Hook) {
	logger, hook := logtest.NewNullLogger()
	logger.SetLevel(logrus.DebugLevel)
	return bucket.Logger(logger), hook
}

// start runs children under a supervisor that restarts at once, and stops them when
// the test ends.
func start(t testing.TB, children ...supervisor.Child) (*protoactor.ActorSystem, *supervisor.Supervisor) {
	t.Helper()
	system := newSystem()
	return system, startIn(t, system, children...)
}

func startIn(t testing.TB, system *protoactor.ActorSystem, children ...supervisor.Child) *supervisor.Supervisor {
	t.Helper()
	sup := supervisor.New(system, noLog(),
		supervisor.MaxRestarts(1_000_000, time.Minute), supervisor.Backoff(0, 0))
	require.NoError(t, sup.Start(context.Background(), children...))
	t.Cleanup(func() { require.NoError(t, sup.Stop(context.Background())) })
	return sup
}

// source is a scripted source of numbers. It counts its loads and notices two loads
// of one key at a time.
type source struct {
	mu      sync.Mutex
	values  map[string]int
	errs    map[string]error
	gates   map[string]chan struct{} // a load of the key waits until its gate is closed
	pending map[string]int

	loads   atomic.Int64
	overlap atomic.Bool
	begun   chan string // every load says that it has begun, if somebody listens
}

func newSource(values map[string]int) *source {
	return &source{
		values:  maps.Clone(values),
		errs:    map[string]error{},
		gates:   map[string]chan struct{}{},
		pending: map[string]int{},
		begun:   make(chan string, 100_000),
	}
}

func (s *source) set(key string, value int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.values[key] = value
	delete(s.errs, key)
}

func (s *source) fail(key string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs[key] = err
}

// gate makes loads of key wait until the returned function is called.
func (s *source) gate(key string) (open func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	gate := make(chan struct{})
	s.gates[key] = gate
	return sync.OnceFunc(func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.gates, key)
		close(gate)
	})
}

// Load reads the value before it waits at the gate, as a slow query would.
func (s *source) Load(_ context.Context, key string) (int, error) {
	s.mu.Lock()
	s.loads.Add(1)
	if s.pending[key]++; s.pending[key] > 1 {
		s.overlap.Store(true)
	}
	value, ok := s.values[key]
	err, gate := s.errs[key], s.gates[key]
	s.mu.Unlock()
	s.begun <- key
	defer func() {
		s.mu.Lock()
		s.pending[key]--
		s.mu.Unlock()
	}()

	if gate != nil {
		<-gate
	}
	switch {
	case err != nil:
		return 0, err
	case !ok:
		return 0, fmt.Errorf("%w: %s", loader.ErrNotFound, key)
	}
	return value, nil
}

type got struct {
	value int
	err   error
}

// fetch runs a Fetch in a goroutine.
func fetch(ctx context.Context, b *bucket.Bucket[string, int], key string) <-chan got {
	answers := make(chan got, 1)
	go func() {
		value, err := b.Fetch(ctx, key)
		answers <- got{value, err}
	}()
	return answers
}

// request asks as an actor would.
func request(t testing.TB, system *protoactor.ActorSystem, pid *protoactor.PID, msg any) any {
	t.Helper()
	reply, err := system.Root.RequestFuture(pid, msg, time.Hour).Result()
	require.NoError(t, err)
	return reply
}

func failure(t testing.TB, reply any) error {
	t.Helper()
	require.IsType(t, bucket.Failed{}, reply)
	return reply.(bucket.Failed).Err
}

// stopByHand stops a bucket that has no supervisor.
func stopByHand(system *protoactor.ActorSystem, b interface{ PID() *protoactor.PID }) error {
	return actor.Stop(context.Background(), system, b.PID())
}

// goroutines counts those of the bubble. The runtime's own count includes what other tests
// and the runtime itself have going.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	return bytes.Count(stacks[:runtime.Stack(stacks, true)], []byte(", synctest bubble "))
}
