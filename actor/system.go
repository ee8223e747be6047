package actor

import (
	"log/slog"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
)

// NewSystem returns an actor system whose own log goes through logger; nil is
// logrus' standard logger. The options are protoactor's and win over ours.
//
// A system is worth one per process: it takes milliseconds and megabytes to
// make. Its Shutdown stops no actor; stop what you started.
func NewSystem(logger logrus.FieldLogger, opts ...protoactor.ConfigOption) *protoactor.ActorSystem {
	if logger == nil {
		logger = logrus.StandardLogger()
	}
	ours := protoactor.WithLoggerFactory(func(system *protoactor.ActorSystem) *slog.Logger {
		return slog.New(LogHandler(logger)).With("lib", "Proto.Actor", "system", system.ID)
	})
	return protoactor.NewActorSystem(append([]protoactor.ConfigOption{ours}, opts...)...)
}
