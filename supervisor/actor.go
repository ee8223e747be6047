package supervisor

import (
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
)

// treeActor is the supervisor's actor: the parent of the children, and the strategy
// that decides what becomes of one that panics. Every decision is made in its own
// turn, so a stop and a restart cannot cross.
type treeActor struct {
	supervisor *Supervisor
	report     actor.Report

	tree        *tree // nil if the supervisor has another actor
	incarnation actor.Incarnation
	members     []*member
	restarter   protoactor.Supervisor // protoactor's side of this actor; see HandleFailure
}

// member is one child.
type member struct {
	entry    *rollEntry // what the world sees of it
	spec     *spec
	pid      *protoactor.PID
	state    State
	failures []time.Time // inside the window
	restarts int
	failure  error
	refusal  error // why its start is over without success

	starter *protoactor.PID   // who waits for it to be ready
	leavers []*protoactor.PID // who wait for it to stop
	timer   *actor.Timer      // of the restart, or of the next attempt to stop it
}

// Notes to itself.
type (
	// reported is what a child said of its start.
	reported struct {
		member *member
		err    error
	}

	// buried lets the start of a child fail that has terminated. It queues behind a
	// report that was made before: Terminated, a system message, may have overtaken it.
	buried struct{ member *member }

	restartDue struct{ member *member }
	stopAgain  struct{ member *member }
)

func (reported) IgnoreDeadLetterLogging() {}

// Receive is the table of contents. Nothing in it may take the actor down, because
// that would take the children down.
func (a *treeActor) Receive(ctx protoactor.Context) {
	defer func() {
		if p := recover(); p != nil {
			stack := string(debug.Stack())
			a.supervisor.log(func(logger logrus.FieldLogger) {
				logger.WithField("stack", stack).Errorf("supervisor panicked: %v", p)
			})
			a.answer(ctx.Sender(), fmt.Errorf("supervisor: panic: %v", p))
		}
	}()

	switch msg := ctx.Message().(type) {
	case *protoactor.Started:
		a.started(ctx)
	case add:
		a.add(ctx, msg)
	case remove:
		a.remove(ctx, msg)
	case reported:
		a.reported(msg.member, msg.err)
	case *protoactor.Touched:
		a.touched(msg)
	case *protoactor.Terminated:
		a.terminated(ctx, msg)
	case buried:
		a.bury(msg.member)
	case actor.Tick:
		a.tick(msg)
	case *protoactor.Restarting:
		a.shutDown(fmt.Errorf("supervisor: %w: it was restarted", actor.ErrStopped))
	case *protoactor.Stopping:
		a.shutDown(fmt.Errorf("supervisor: %w", actor.ErrStopped))
	}
}

func (a *treeActor) started(ctx protoactor.Context) {
	t := a.supervisor.tree.Load()
	if t == nil || t.self != ctx.Self() {
		a.decline(ctx, fmt.Errorf("supervisor: it runs already, as %v", a.supervisor.PID()))
		return
	}
	if t.isOver() { // restarted by its parent: the children are gone, and so is that life
		t = newTree(a.supervisor, ctx.ActorSystem(), ctx.Self())
		a.supervisor.tree.Store(t)
	}
	a.tree = t
	a.incarnation = actor.NewIncarnation()
	a.enroll()
	if a.supervisor.invalid != nil {
		t.bootErr = a.supervisor.invalid
		close(t.booted)
		a.decline(ctx, t.bootErr)
		return
	}
	go t.boot(a.report)
}

// decline ends a spawn that cannot become a supervisor. Of a spawn by Props nobody else
// would hear why.
func (a *treeActor) decline(ctx protoactor.Context, err error) {
	a.supervisor.log(func(logger logrus.FieldLogger) { logger.WithError(err).Error("supervisor does not start") })
	a.report(err)
	ctx.Stop(ctx.Self())
}

// add spawns a child. The sender is answered when it is ready, or not going to be.
func (a *treeActor) add(ctx protoactor.Context, msg add) {
	if msg.tree.isOver() {
		a.answer(ctx.Sender(), ErrNotRunning) // a child now would be one that nobody stops
		return
	}
	spec := msg.spec
	if old := a.find(spec.name); old != nil {
		if old.pid != nil {
			a.answer(ctx.Sender(), ErrDuplicate)
			return
		}
		a.drop(old) // stopped or given up: the name is free
	}

	m := &member{entry: &rollEntry{child: spec.child}, spec: spec, state: Starting, starter: ctx.Sender()}
	props, err := a.propsOf(m)
	if err == nil {
		m.pid, err = actor.Spawn(ctx, spec.name, props)
	}
	if err != nil {
		a.publish(Vetoed{Child: spec.name, Err: err})
		a.answer(ctx.Sender(), err)
		return
	}
	a.members = append(a.members, m)
	m.show()
	a.enroll()
	a.touch(m)
}

func (a *treeActor) propsOf(m *member) (props *protoactor.Props, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the child panicked: %v", ErrConfig, p)
		}
	}()
	if m.spec.announce == nil {
		return m.spec.props.Clone(protoactor.WithReceiverMiddleware(a.supervisor.calm)), nil
	}
	root, self := a.tree.system.Root, a.tree.self
	props = m.spec.announce(func(err error) { root.Send(self, reported{m, err}) })
	if props == nil {
		err = fmt.Errorf("%w: its Props are nil", ErrConfig)
	}
	return props, err
}

// touch asks a child that does not report for a sign of life: it answers once Started
// has been handled.
func (a *treeActor) touch(m *member) {
	if m.spec.announce == nil {
		a.tree.system.Root.RequestWithCustomSender(m.pid, &protoactor.Touch{}, a.tree.self)
	}
}

func (a *treeActor) touched(msg *protoactor.Touched) {
	if m := a.findPID(msg.Who); m != nil {
		a.reported(m, nil)
	}
}

// reported ends the start of a child. One that declines stops itself, and its name is
// free when it has.
func (a *treeActor) reported(m *member, err error) {
	if m.starter == nil || m.refusal != nil {
		return // it was not about a start, or the start is over
	}
	if err != nil {
		m.refusal = err
		return
	}
	if m.state == Starting {
		m.state = Running
	}
	m.show()
	a.publish(Started{Child: m.spec.name, PID: m.pid})
	a.answer(m.starter, nil)
	m.starter = nil
}

// remove stops a child. The sender is answered when it has stopped.
func (a *treeActor) remove(ctx protoactor.Context, msg remove) {
	if msg.tree.isOver() {
		a.answer(ctx.Sender(), ErrNotRunning)
		return
	}
	m := a.find(msg.name)
	switch {
	case m == nil, msg.spec != nil && msg.spec != m.spec:
		a.answer(ctx.Sender(), fmt.Errorf("%w: %q", ErrUnknownChild, msg.name))
	case m.pid == nil:
		a.drop(m)
		a.answer(ctx.Sender(), nil)
	default:
		m.leavers = append(m.leavers, ctx.Sender())
		m.state = Stopping
		m.show()
		ctx.Stop(m.pid)
		a.after(m, firstStopRetry, stopAgain{m})
	}
}

// firstStopRetry is when a child that was told to stop is told again; see actor.Stop.
const firstStopRetry = 100 * time.Millisecond

func (a *treeActor) tick(tick actor.Tick) {
	if tick.Incarnation != a.incarnation {
		return
	}
	switch due := tick.Message.(type) {
	case restartDue:
		a.restart(due.member)
	case stopAgain:
		m := due.member
		if process, alive := a.tree.system.ProcessRegistry.Get(m.pid); alive && m.pid != nil {
			process.SendSystemMessage(m.pid, &protoactor.Stop{})
			a.after(m, time.Second, stopAgain{m})
		}
	}
}

// terminated takes note of a child that has stopped, for whatever reason.
func (a *treeActor) terminated(ctx protoactor.Context, msg *protoactor.Terminated) {
	m := a.findPID(msg.Who)
	if m == nil {
		return
	}
	m.timer.Stop()
	if m.starter != nil {
		ctx.Send(ctx.Self(), buried{m})
		return
	}
	a.ended(m)
}

// bury ends the start of a child that has terminated before it was ready.
func (a *treeActor) bury(m *member) {
	if !slices.Contains(a.members, m) {
		return // of an incarnation before this one
	}
	if m.starter == nil {
		a.ended(m) // it was ready: the report was there, as buried feared
		return
	}

	reason := m.refusal
	switch {
	case reason != nil:
	case m.state == GivenUp:
		reason = fmt.Errorf("%w: %w", ErrGaveUp, m.failure)
	default:
		reason = ErrStoppedEarly
	}
	m.pid = nil
	a.drop(m)
	a.publish(Vetoed{Child: m.spec.name, Err: reason})
	a.answer(m.starter, reason)
	m.starter = nil
	a.dismiss(m, nil)
}

// ended takes note that a child which was ready has stopped.
func (a *treeActor) ended(m *member) {
	m.pid = nil
	switch m.state {
	case Stopping:
		a.drop(m)
	case GivenUp:
	default:
		m.state = Ended
	}
	m.show()
	a.publish(Stopped{Child: m.spec.name})
	a.dismiss(m, nil)
}

// dismiss answers those who wait for a child to stop.
func (a *treeActor) dismiss(m *member, err error) {
	for _, leaver := range m.leavers {
		a.answer(leaver, err)
	}
	m.leavers = nil
}

// shutDown answers everybody who waits; protoactor stops the children by itself.
func (a *treeActor) shutDown(err error) {
	if a.tree == nil {
		return
	}
	a.tree.cancel()
	for _, m := range slices.Clone(a.members) {
		m.timer.Stop()
		m.state = Stopping
		a.dismiss(m, ErrNotRunning)
		if m.starter != nil {
			a.drop(m)
			a.publish(Vetoed{Child: m.spec.name, Err: ErrNotRunning})
			a.answer(m.starter, ErrNotRunning)
			m.starter = nil
		}
	}
	a.report(err)
}

func (a *treeActor) answer(asker *protoactor.PID, err error) {
	if asker != nil {
		a.tree.system.Root.Send(asker, done{err})
	}
}

func (a *treeActor) publish(event any) {
	if err := actor.Publish(a.tree.system, event); err != nil {
		a.supervisor.log(func(logger logrus.FieldLogger) {
			logger.WithError(err).Error("a subscriber of the event stream panicked")
		})
	}
}

func (a *treeActor) after(m *member, d time.Duration, note any) {
	m.timer.Stop()
	m.timer = actor.After(a.tree.system, a.tree.self, d, actor.Tick{Incarnation: a.incarnation, Message: note})
}

func (a *treeActor) find(name string) *member {
	return a.first(func(m *member) bool { return m.spec.name == name })
}

func (a *treeActor) findPID(pid *protoactor.PID) *member {
	return a.first(func(m *member) bool { return m.pid != nil && m.pid.Equal(pid) })
}

func (a *treeActor) first(is func(*member) bool) *member {
	if i := slices.IndexFunc(a.members, is); i >= 0 {
		return a.members[i]
	}
	return nil
}

func (a *treeActor) drop(m *member) {
	a.members = slices.DeleteFunc(a.members, func(other *member) bool { return other == m })
	a.enroll()
}

// enroll shows the world which children there are. It copies pointers only, because with
// many children it is called many times.
func (a *treeActor) enroll() {
	roll := make([]*rollEntry, 0, len(a.members))
	for _, m := range a.members {
		roll = append(roll, m.entry)
	}
	a.tree.roll.Store(&roll)
}

// show shows the world how a child is.
func (m *member) show() {
	m.entry.status.Store(&ChildStatus{
		Name: m.spec.name, PID: m.pid, State: m.state, Restarts: m.restarts, Failure: m.failure,
	})
}
