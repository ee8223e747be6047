package actor

import (
	"sync"
	"sync/atomic"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// mailbox is protoactor's default mailbox with the holes of its stop and restart
// machine closed. It stands on both sides of the queue: as the Mailbox to which
// senders post, and as the MessageInvoker to which the queue hands each message
// in the actor's turn.
//
//	sender ──post──▶ mailbox ──▶ queue ──(actor's turn)──▶ mailbox ──invoke──▶ actor
type mailbox struct {
	protoactor.Mailbox // the queue

	answer Answer
	turn   *Turn
	actor  protoactor.MessageInvoker // protoactor's context of the actor
	info   actorInfo                 // the same, for its PID and system

	// A name is known to others before its mailbox is wired: the spawner enters it
	// into the registry first. What arrives until then is held, so that Started is
	// the first message and no sender meets a queue without a dispatcher.
	open atomic.Bool
	mu   sync.Mutex // guards held, and the step to open
	held []func()

	// These belong to the actor's turn.
	stopping bool
	halted   bool        // by a crash, until the supervisor has decided
	exit     *CrashError // of a Goexit that has yet to be escalated
	exitMsg  any         // the message at work then
}

// actorInfo is the part of protoactor's context that the mailbox reads.
type actorInfo interface {
	Self() *protoactor.PID
	ActorSystem() *protoactor.ActorSystem
}

func newMailbox(answer Answer, turn *Turn) *mailbox {
	return &mailbox{Mailbox: protoactor.Unbounded()(), answer: answer, turn: turn}
}

// RegisterHandlers wires the queue to the actor, through us.
func (m *mailbox) RegisterHandlers(actor protoactor.MessageInvoker, dispatcher protoactor.Dispatcher) {
	m.actor = actor
	m.info, _ = actor.(actorInfo)
	m.Mailbox.RegisterHandlers(m, newTirelessDispatcher(dispatcher, m))
}

// Start is called by the spawner, after it has posted Started.
func (m *mailbox) Start() {
	m.Mailbox.Start()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, post := range m.held {
		post()
		m.turn.awake.Add(-1)
	}
	m.held = nil
	m.open.Store(true)
}

// PostUserMessage takes a message of a sender. A nil is dropped: the queue counts it, but
// can never take it out, and would look for it for ever.
func (m *mailbox) PostUserMessage(msg any) {
	if msg == nil {
		return
	}
	if m.open.Load() || !m.hold(func() { m.Mailbox.PostUserMessage(msg) }) {
		m.Mailbox.PostUserMessage(msg)
	}
}

func (m *mailbox) PostSystemMessage(msg any) {
	if _, first := msg.(*protoactor.Started); first || m.open.Load() || !m.hold(func() { m.Mailbox.PostSystemMessage(msg) }) {
		m.Mailbox.PostSystemMessage(msg)
	}
}

func (m *mailbox) hold(post func()) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.open.Load() {
		return false
	}
	m.turn.awake.Add(1)
	m.held = append(m.held, post)
	return true
}

// InvokeSystemMessage lets a stop be final.
//
// protoactor restarts an actor that is stopping when the order is Stop, Restart:
// the actor got a Stop while it was at work on a message that then panicked, or
// while a back-off timer was running. With children the Stop is lost; without
// them a zombie starts that no PID leads to.
//
// The same can happen to its children, which may not be guarded. They have all been
// told to stop, so the verdict on one that crashes now can only do harm.
func (m *mailbox) InvokeSystemMessage(msg any) {
	m.turn.mu.Lock()
	defer m.turn.mu.Unlock()
	switch msg.(type) {
	case *protoactor.Restart, *protoactor.Failure:
		if m.stopping {
			return
		}
	case *protoactor.Stop:
		m.stopping = true
		// A crash has suspended the queue, and the restart that would resume it
		// is not coming. What waits in it deserves its answer.
		defer m.Mailbox.PostSystemMessage(&protoactor.ResumeMailbox{})
	}
	if _, restart := msg.(*protoactor.Restart); restart || m.stopping {
		m.goOn()
	}
	m.invoke(m.actor.InvokeSystemMessage, msg, func(*CrashError) {})
}

// InvokeUserMessage answers for an actor that cannot do so itself.
func (m *mailbox) InvokeUserMessage(msg any) {
	m.turn.mu.Lock()
	defer m.turn.mu.Unlock()
	m.goOn()
	if m.stopping {
		m.answerFor(msg, ErrStopped)
		return
	}
	m.invoke(m.actor.InvokeUserMessage, msg, func(crash *CrashError) { m.answerFor(msg, crash) })
}

// invoke has a message handled. A panic goes on as a CrashError, which the queue hands
// to the supervisor.
func (m *mailbox) invoke(handle func(any), msg any, crashed func(*CrashError)) {
	returned := false
	defer func() {
		if returned {
			return
		}
		value := recover()
		crash := newCrash(m.info.Self(), value)
		// Goexit, be it the actor's or that of its Answer, cannot be held up;
		// tirelessDispatcher escalates once it is through.
		m.exit, m.exitMsg = crash, msg
		crashed(crash)
		if value != nil {
			m.exit = nil
			panic(crash)
		}
	}()
	handle(msg)
	returned = true
}

// EscalateFailure tells the supervisor, or at least the log if there is nothing left
// to decide.
func (m *mailbox) EscalateFailure(reason, msg any) {
	if m.stopping {
		crash, ok := reason.(*CrashError)
		if !ok {
			crash = &CrashError{Who: m.info.Self(), Value: reason}
		}
		logLateCrash(m.info.ActorSystem().Logger(), crash)
		return
	}
	if !m.halted { // what waits in the queue comes before what others do in the actor's place
		m.halted = true
		m.turn.awake.Add(1)
	}
	m.actor.EscalateFailure(reason, msg)
}

// goOn is for a queue that a crash has halted, and that works again.
func (m *mailbox) goOn() {
	if m.halted {
		m.halted = false
		m.turn.awake.Add(-1)
	}
}

func (m *mailbox) answerFor(envelope any, err error) {
	_, msg, sender := protoactor.UnwrapEnvelope(envelope)
	if _, poison := msg.(*protoactor.PoisonPill); poison {
		return
	}
	if reply := m.answer(msg, err); reply != nil && sender != nil {
		m.info.ActorSystem().Root.Send(sender, reply)
	}
}

// tirelessDispatcher restarts a mailbox loop that runtime.Goexit has ended. Left
// alone, the mailbox would count as running for ever and never run again.
type tirelessDispatcher struct {
	protoactor.Dispatcher
	mailbox *mailbox
	loop    func() // the queue's processMessages, always the same
	runLoop func() // run, made a func once
}

func newTirelessDispatcher(dispatcher protoactor.Dispatcher, m *mailbox) *tirelessDispatcher {
	d := &tirelessDispatcher{Dispatcher: dispatcher, mailbox: m}
	d.runLoop = d.run
	return d
}

// Schedule is called by whoever wins the right to run the loop, so by one
// goroutine at a time.
func (d *tirelessDispatcher) Schedule(loop func()) {
	d.mailbox.turn.awake.Add(1)
	d.loop = loop
	d.Dispatcher.Schedule(d.runLoop)
}

func (d *tirelessDispatcher) run() {
	growStack(0)
	returned := false
	defer func() {
		if !returned {
			go d.resume()
		}
	}()
	d.loop()
	returned = true
	d.mailbox.turn.awake.Add(-1)
}

// growStack gives the goroutine of a turn the stack that it will need, while there is next to
// nothing on it. Each turn has a new goroutine, which begins with a stack so small that
// protoactor's own frames nearly fill it; to move them to a larger one later costs more than all
// else that the turn of a small message does.
//
//go:noinline
func growStack(at int) byte {
	var room [1536]byte
	return room[at]
}

func (d *tirelessDispatcher) resume() {
	m := d.mailbox
	if crash := m.exit; crash != nil {
		m.exit = nil
		m.EscalateFailure(crash, m.exitMsg)
	}
	d.run()
}
