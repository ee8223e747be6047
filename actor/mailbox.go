package actor

import (
	"runtime/debug"
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
	actor  protoactor.MessageInvoker // protoactor's context of the actor
	info   actorInfo                 // the same, for its PID and system

	// A name is known to others before its mailbox is wired: the spawner enters it
	// into the registry first. What arrives until then is held, so that Started is
	// the first message and no sender meets a queue without a dispatcher.
	open atomic.Bool
	mu   sync.Mutex // guards held, and the step to open
	held []func()

	// Both belong to the actor's turn.
	stopping bool
	current  any // the user message at work, for a Goexit that unwinds past it
}

// actorInfo is the part of protoactor's context that the mailbox reads.
type actorInfo interface {
	Self() *protoactor.PID
	ActorSystem() *protoactor.ActorSystem
}

func newMailbox(answer Answer) *mailbox {
	return &mailbox{Mailbox: protoactor.Unbounded()(), answer: answer}
}

// RegisterHandlers wires the queue to the actor, through us.
func (m *mailbox) RegisterHandlers(actor protoactor.MessageInvoker, dispatcher protoactor.Dispatcher) {
	m.actor = actor
	m.info, _ = actor.(actorInfo)
	m.Mailbox.RegisterHandlers(m, &tirelessDispatcher{Dispatcher: dispatcher, mailbox: m})
}

// Start is called by the spawner, after it has posted Started.
func (m *mailbox) Start() {
	m.Mailbox.Start()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, post := range m.held {
		post()
	}
	m.held = nil
	m.open.Store(true)
}

func (m *mailbox) PostUserMessage(msg any) {
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
	m.held = append(m.held, post)
	return true
}

// InvokeSystemMessage lets a stop be final.
//
// protoactor restarts an actor that is stopping when the order is Stop, Restart:
// the actor got a Stop while it was at work on a message that then panicked, or
// while a back-off timer was running. With children the Stop is lost; without
// them a zombie starts that no PID leads to.
func (m *mailbox) InvokeSystemMessage(msg any) {
	switch msg.(type) {
	case *protoactor.Restart:
		if m.stopping {
			return
		}
	case *protoactor.Stop:
		m.stopping = true
		// A crash has suspended the queue, and the restart that would resume it
		// is not coming. What waits in it deserves its answer.
		defer m.Mailbox.PostSystemMessage(&protoactor.ResumeMailbox{})
	}
	m.actor.InvokeSystemMessage(msg)
}

// InvokeUserMessage answers for an actor that cannot do so itself.
func (m *mailbox) InvokeUserMessage(msg any) {
	if m.stopping {
		m.answerFor(msg, ErrStopped)
		return
	}

	returned := false
	m.current = msg
	defer func() {
		if returned {
			return
		}
		value := recover()
		if value == nil {
			// Goexit cannot be held up; tirelessDispatcher escalates once it is through.
			m.answerFor(msg, m.crash(ErrGoexit))
			return
		}
		crash := m.crash(value)
		m.answerFor(msg, crash)
		panic(crash) // the queue hands it to the supervisor
	}()
	m.actor.InvokeUserMessage(msg)
	m.current, returned = nil, true
}

// EscalateFailure tells the supervisor, unless there is nothing left to decide.
func (m *mailbox) EscalateFailure(reason, msg any) {
	if m.stopping {
		return
	}
	m.actor.EscalateFailure(reason, msg)
}

func (m *mailbox) crash(value any) *CrashError {
	return &CrashError{Who: m.info.Self(), Value: value, Stack: debug.Stack()}
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
}

// Schedule is called by whoever wins the right to run the loop, so by one
// goroutine at a time.
func (d *tirelessDispatcher) Schedule(loop func()) {
	d.loop = loop
	d.Dispatcher.Schedule(d.run)
}

func (d *tirelessDispatcher) run() {
	returned := false
	defer func() {
		if !returned {
			go d.resume()
		}
	}()
	d.loop()
	returned = true
}

func (d *tirelessDispatcher) resume() {
	d.mailbox.EscalateFailure(d.mailbox.crash(ErrGoexit), d.mailbox.current)
	d.run()
}
