package actor_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
)

// inBubble runs test in fake time, and gives what ends by itself the time to do so: a
// dead letter leaves a goroutine for a second, and an asker may have all his patience
// left.
func inBubble(t *testing.T, test func(t *testing.T, system *protoactor.ActorSystem)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		t.Cleanup(func() { time.Sleep(patience + 2*time.Second) })
		test(t, quietSystem())
	})
}

// quietSystem logs nothing. Its dead letters leave a goroutine for a millisecond instead
// of a second, because examples run outside of bubbles.
func quietSystem() *protoactor.ActorSystem {
	logger, _ := logtest.NewNullLogger()
	return actor.NewSystem(logger, protoactor.WithDeadLetterThrottleInterval(time.Millisecond))
}

// deadLetters notes in d the dead letters of the system.
func deadLetters(system *protoactor.ActorSystem, d *diary) {
	system.EventStream.Subscribe(func(event any) {
		if letter, ok := event.(*protoactor.DeadLetterEvent); ok {
			d.note("%T", letter.Message)
		}
	})
}

// diary is what happened, in order.
type diary struct {
	mu    sync.Mutex
	lines []string
}

func (d *diary) note(format string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.lines = append(d.lines, fmt.Sprintf(format, args...))
}

// pages is the diary in one line.
func (d *diary) pages() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.lines, " ")
}

// script is what an actor does about a message. The messages of these tests are
// strings.
type script map[string]func(ctx protoactor.Context)

// actor makes a producer of an actor that notes in d what it receives, and then does
// what the script says.
func (s script) actor(d *diary) func() protoactor.Actor {
	return func() protoactor.Actor {
		return protoactor.ReceiveFunc(func(ctx protoactor.Context) {
			name := nameOf(ctx.Message())
			d.note("%s", name)
			if do := s[name]; do != nil {
				do(ctx)
			}
		})
	}
}

// nameOf is the message itself, or the name of its type where that is protoactor's.
func nameOf(msg any) string {
	if text, ok := msg.(string); ok {
		return text
	}
	return strings.TrimPrefix(fmt.Sprintf("%T", msg), "*actor.")
}

func explode(protoactor.Context) { panic("boom") }

func respond(reply any) func(protoactor.Context) {
	return func(ctx protoactor.Context) { ctx.Respond(reply) }
}

// spawnChild spawns props as a child.
func spawnChild(props *protoactor.Props) func(protoactor.Context) {
	return func(ctx protoactor.Context) { ctx.Spawn(props) }
}

// both are the props of an actor without a guard and with one.
func both(produce func() protoactor.Actor, opts ...protoactor.PropsOption) (plain, guarded *protoactor.Props) {
	return protoactor.PropsFromProducer(produce, opts...), actor.Guard(produce, excuse, opts...)
}

// excuse answers with the reason for which the actor does not.
func excuse(_ any, err error) any { return err }

func spawn(t *testing.T, system *protoactor.ActorSystem, props *protoactor.Props) *protoactor.PID {
	t.Helper()
	pid, err := actor.Spawn(system.Root, "it", props)
	require.NoError(t, err)
	return pid
}

func alive(system *protoactor.ActorSystem, pid *protoactor.PID) bool {
	_, alive := system.ProcessRegistry.Get(pid)
	return alive
}

// registered lists the names of everything that lives in the system.
func registered(system *protoactor.ActorSystem) []string {
	var names []string
	for _, shard := range system.ProcessRegistry.LocalPIDs.LocalPIDs {
		shard.IterCb(func(name string, _ any) { names = append(names, name) })
	}
	slices.Sort(names)
	return names
}

// gate holds whoever comes to it until the test opens it.
type gate struct{ arrived, opened chan struct{} }

func newGate() *gate {
	return &gate{arrived: make(chan struct{}, 100), opened: make(chan struct{})}
}

func (g *gate) pass() {
	g.arrived <- struct{}{}
	<-g.opened
}

// hold is an actor's way through the gate.
func (g *gate) hold(protoactor.Context) { g.pass() }

// holdThen is hold with something to do behind it.
func (g *gate) holdThen(do func(protoactor.Context)) func(protoactor.Context) {
	return func(ctx protoactor.Context) {
		g.pass()
		do(ctx)
	}
}

func (g *gate) open() { close(g.opened) }

type reply struct {
	value any
	err   error
}

// patience is how long the askers of these tests wait: longer than any of them
// should.
const patience = time.Hour

// patiently is the context of such a test: what would hang fails instead.
func patiently(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

// ask asks in a goroutine of its own. When it returns, the message has been sent.
func ask(system *protoactor.ActorSystem, pid *protoactor.PID, msg any) <-chan reply {
	replies := make(chan reply, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		value, err := actor.Ask[any](ctx, system, pid, msg)
		if failure, ok := value.(error); ok {
			value, err = nil, failure
		}
		replies <- reply{value, err}
	}()
	synctest.Wait()
	return replies
}

// judge is a supervisor's strategy: it keeps what it hears, and then does as told.
type judge struct {
	mu       sync.Mutex
	failures []any // the reasons
	verdict  func(supervisor protoactor.Supervisor, child *protoactor.PID)
}

func restart(supervisor protoactor.Supervisor, child *protoactor.PID) {
	supervisor.RestartChildren(child)
}

// hesitate leaves the child suspended.
func hesitate(protoactor.Supervisor, *protoactor.PID) {}

func (j *judge) HandleFailure(
	_ *protoactor.ActorSystem,
	supervisor protoactor.Supervisor,
	child *protoactor.PID,
	_ *protoactor.RestartStatistics,
	reason, _ any,
) {
	j.mu.Lock()
	j.failures = append(j.failures, reason)
	j.mu.Unlock()
	j.verdict(supervisor, child)
}

func (j *judge) heard() []any {
	j.mu.Lock()
	defer j.mu.Unlock()
	return slices.Clone(j.failures)
}
