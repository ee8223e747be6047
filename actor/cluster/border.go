package cluster

import (
	"errors"
	"fmt"
	"sync/atomic"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
)

// Border is where the messages of package bucket leave one member and enter another. protoactor
// carries only protobuf, so what leaves is encoded and what enters is decoded; on neither side does
// anybody notice:
//
//	member A                                              member B
//	asker ──Fetch──▶ exit ──wire──▶ protoactor's remote ──▶ entry ──Fetch──▶ bucket
//	asker ◀──Found── entry ◀────── protoactor's remote ◀──wire── exit ◀──Found──┘
//
// A message that cannot be carried is answered with a [bucket.Failed] that says why: a question to
// its asker, and instead of an answer its asker gets one, too. All other messages pass as they are.
type Border struct {
	system   *protoactor.ActorSystem
	settings settings
	types    *types
	places   map[any]place // by the bucket
	losses   *losses
	parts    *parts
	log      logrus.FieldLogger
	remote   atomic.Pointer[remote.Remote]
	wholes   atomic.Uint64 // messages that were sent in parts
}

// Open makes the border of an actor system. It must be opened before the system's remote is
// started, and before others use the system: it sets the sender middleware of the system's root
// context. A system has one border.
//
//	border, err := cluster.Open(system, cluster.Carry(Widgets), cluster.Carry(Prices))
//	config, err := border.Remote("127.0.0.1", 8090)
//	remote.NewRemote(system, config).Start()
//
// The error is an [ErrConfig].
func Open(system *protoactor.ActorSystem, options ...Option) (*Border, error) {
	if system == nil {
		return nil, fmt.Errorf("%w: Open(nil): give the actor system", ErrConfig)
	}
	s := defaultSettings()
	for i, option := range options {
		if option == nil {
			return nil, fmt.Errorf("%w: option %d is nil: leave it out", ErrConfig, i+1)
		}
		option.apply(&s)
	}
	if err := s.check(); err != nil {
		return nil, err
	}
	ts, err := newTypes(s.carried)
	if err != nil {
		return nil, err
	}
	b := &Border{system: system, settings: s, types: ts, log: s.logger}
	b.parts = newParts(s.maxMessage)
	b.losses = newLosses(system.EventStream)
	if err := b.openPlaces(); err != nil {
		return nil, err
	}
	system.Extensions.Register(b)
	system.Root.WithSenderMiddleware(b.enter)
	system.ProcessRegistry.RegisterAddressResolver(b.resolve)
	return b, nil
}

// resolve is asked for PIDs of other members, before the resolver of protoactor's remote is.
func (b *Border) resolve(*protoactor.PID) (protoactor.Process, bool) {
	r := b.started()
	if r == nil {
		return nil, false
	}
	return &exit{b, r}, true
}

// started is protoactor's remote, nil before it has been started.
func (b *Border) started() *remote.Remote {
	if r := b.remote.Load(); r != nil {
		return r
	}
	if b.system.Address() == nowhere {
		return nil
	}
	r := remote.GetRemote(b.system)
	b.remote.Store(r)
	return r
}

// exit is where messages for another member leave.
type exit struct {
	*Border
	r *remote.Remote
}

// SendUserMessage implements protoactor.Process. It encodes in the sender's goroutine: what cannot be
// carried is known at once, and the one goroutine that writes to the other member is not held up.
func (e *exit) SendUserMessage(pid *protoactor.PID, message any) {
	header, msg, sender := protoactor.UnwrapEnvelope(message)
	if !plain(msg) {
		e.r.SendMessage(pid, header, msg, sender, -1)
		return
	}
	encoded, err := e.types.encodeMessage(msg)
	if err == nil {
		if err = e.send(pid, header, encoded, sender); err == nil {
			return
		}
	}
	e.refuse(pid, msg, sender, err)
}

// refuse tells those who wait that a message has not left.
func (e *exit) refuse(pid *protoactor.PID, msg any, sender *protoactor.PID, err error) {
	switch {
	case sender != nil: // it was a question
		e.system.Root.Send(sender, bucket.Failed{Err: err})
	case answers(msg):
		if e.send(pid, nil, e.types.failed(err), nil) == nil {
			return
		}
		fallthrough
	default:
		e.log.WithError(err).WithField("to", pid.String()).Warnf("a %T has not left", msg)
	}
}

// answers says that somebody may wait for the message.
func answers(msg any) bool {
	switch msg.(type) {
	case bucket.Found, bucket.FoundMany, bucket.Refreshed, bucket.KeyList, bucket.Status, bucket.Missing, bucket.Done:
		return true
	}
	return false
}

// SendSystemMessage implements protoactor.Process.
func (e *exit) SendSystemMessage(pid *protoactor.PID, message any) {
	if theirs, ok := e.theirs(pid); ok {
		theirs.SendSystemMessage(pid, message)
	}
}

// Stop implements protoactor.Process.
func (e *exit) Stop(pid *protoactor.PID) {
	if theirs, ok := e.theirs(pid); ok {
		theirs.Stop(pid)
	}
}

// theirs is what protoactor's remote has for a PID. Only that knows how to watch.
func (e *exit) theirs(pid *protoactor.PID) (protoactor.Process, bool) {
	for _, resolve := range e.system.ProcessRegistry.RemoteHandlers {
		if process, ok := resolve(pid); ok {
			if _, ours := process.(*exit); !ours {
				return process, true
			}
		}
	}
	return nil, false
}

// enter decodes what comes from another member: protoactor's remote delivers by the root context.
func (b *Border) enter(next protoactor.SenderFunc) protoactor.SenderFunc {
	return func(c protoactor.SenderContext, target *protoactor.PID, envelope *protoactor.MessageEnvelope) {
		msg, ok := envelope.Message.(*wire.Message)
		if !ok {
			b.pass(next, c, target, envelope)
			return
		}
		if part := msg.GetPart(); part != nil {
			whole, err := b.parts.add(part)
			if whole == nil && err == nil {
				return // there are more to come
			}
			if msg = whole; err != nil {
				b.reject(target, envelope.Sender, msg, err)
				return
			}
		}
		decoded, err := b.types.decodeMessage(msg)
		if err != nil {
			b.reject(target, envelope.Sender, msg, err)
			return
		}
		next(c, target, &protoactor.MessageEnvelope{Header: envelope.Header, Message: decoded, Sender: envelope.Sender})
	}
}

// pass sends a message on as if there were no middleware. protoactor puts every message into an
// envelope for one, and its own endpoints of the remote take none.
func (b *Border) pass(
	next protoactor.SenderFunc, c protoactor.SenderContext, target *protoactor.PID, envelope *protoactor.MessageEnvelope,
) {
	if envelope.Sender != nil || envelope.Header != nil || target == nil {
		next(c, target, envelope)
		return
	}
	process, _ := b.system.ProcessRegistry.Get(target)
	process.SendUserMessage(target, envelope.Message)
}

// reject answers a message that cannot be read: the asker if it is a question, and whoever it is for
// otherwise, for they wait.
func (b *Border) reject(target, sender *protoactor.PID, msg *wire.Message, err error) {
	to := target
	if sender != nil {
		to = sender
	}
	if errors.Is(err, ErrUnknownMessage) {
		err = fmt.Errorf("%w: it is of a newer version of the program: update %s", ErrUnknownMessage, b.system.Address())
	}
	b.log.WithError(err).WithField("for", target.String()).Warnf("a %T from another member cannot be read", msg.GetBody())
	b.system.Root.Send(to, bucket.Failed{Err: err})
}
