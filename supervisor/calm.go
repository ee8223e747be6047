package supervisor

import (
	"runtime/debug"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
)

// calm makes the last messages of a child panic free that is somebody else's actor, as
// actor.Guard does it for ours. Otherwise the child, and with it the supervisor, might
// never come to its end:
//
//	it panics in Stopping      it does not stop; protoactor ignores every further Stop
//	in Terminated, after that  the same
//	in Stopped                 it has stopped, and nobody is told
//	in Restarting              it does not restart; its failures go on until it is given up
func (s *Supervisor) calm(next protoactor.ReceiverFunc) protoactor.ReceiverFunc {
	stopping := false // in the child's turn
	return func(ctx protoactor.ReceiverContext, envelope *protoactor.MessageEnvelope) {
		switch envelope.Message.(type) {
		case *protoactor.Started:
			stopping = false // its stop was lost
		case *protoactor.Stopping:
			stopping = true
		}

		switch envelope.Message.(type) {
		case *protoactor.Stopping, *protoactor.Stopped, *protoactor.Restarting:
			defer s.recovered(ctx.Self())
		case *protoactor.Terminated:
			if stopping {
				defer s.recovered(ctx.Self())
			}
		}
		next(ctx, envelope)
	}
}

// recovered is deferred.
func (s *Supervisor) recovered(who *protoactor.PID) {
	p := recover()
	if p == nil {
		return
	}
	stack := string(debug.Stack())
	s.log(func(logger logrus.FieldLogger) {
		logger.WithField("stack", stack).Errorf("actor %s panicked while stopping or restarting: %v", who.Id, p)
	})
}
