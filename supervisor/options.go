package supervisor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sirupsen/logrus"
)

// The defaults of the options.
const (
	DefaultMaxRestarts    = 10
	DefaultRestartWindow  = time.Minute
	DefaultInitialBackoff = 10 * time.Millisecond
	DefaultMaxBackoff     = 5 * time.Second
)

// Option changes how a supervisor works. A bad value is an [ErrConfig] of the start.
type Option func(*settings)

type settings struct {
	maxRestarts    int
	window         time.Duration
	initialBackoff time.Duration
	maxBackoff     time.Duration
	children       []Child
	logger         logrus.FieldLogger
}

// MaxRestarts allows a child n restarts within any period as long as window; one
// more failure and it is stopped for good. Zero restarts means that the first
// failure is the last. The default is [DefaultMaxRestarts] in
// [DefaultRestartWindow].
func MaxRestarts(n int, window time.Duration) Option {
	return func(s *settings) { s.maxRestarts, s.window = n, window }
}

// Backoff sets the pause before the restart after a first failure, and the longest
// one. Each further failure inside the window of [MaxRestarts] doubles it; up to a
// fifth is added or taken at random. Zero and zero restart at once. The default is
// [DefaultInitialBackoff] and [DefaultMaxBackoff].
func Backoff(initial, longest time.Duration) Option {
	return func(s *settings) { s.initialBackoff, s.maxBackoff = initial, longest }
}

// With gives the supervisor children that it starts by itself, in this order, each
// time it is started or spawned. It is how a supervisor in somebody else's actor
// tree gets them back after that tree was restarted.
func With(children ...Child) Option {
	return func(s *settings) { s.children = append(s.children, children...) }
}

// Logger sets where the supervisor logs; the default is logrus' standard logger.
func Logger(logger logrus.FieldLogger) Option { return func(s *settings) { s.logger = logger } }

func newSettings(options []Option) (settings, error) {
	s := settings{
		maxRestarts:    DefaultMaxRestarts,
		window:         DefaultRestartWindow,
		initialBackoff: DefaultInitialBackoff,
		maxBackoff:     DefaultMaxBackoff,
		logger:         logrus.StandardLogger(),
	}
	for i, option := range options {
		if option == nil {
			return s, fmt.Errorf("%w: option %d is nil: leave it out", ErrConfig, i+1)
		}
		option(&s)
	}

	var wrong []error
	if s.maxRestarts < 0 || s.window <= 0 {
		wrong = append(wrong, fmt.Errorf("%w: MaxRestarts(%d, %v): give a number that is not negative, and a window longer than zero",
			ErrConfig, s.maxRestarts, s.window))
	}
	if s.initialBackoff < 0 || s.maxBackoff < s.initialBackoff {
		wrong = append(wrong, fmt.Errorf("%w: Backoff(%v, %v): the first pause must not be negative, nor longer than the longest",
			ErrConfig, s.initialBackoff, s.maxBackoff))
	}
	if s.logger == nil {
		wrong = append(wrong, fmt.Errorf("%w: Logger(nil): give a logrus logger, or leave the option out", ErrConfig))
	}
	return s, errors.Join(wrong...)
}

// pause is how long to wait before the restart after the nth failure in the window,
// counted from 1.
func (s *settings) pause(n int) time.Duration {
	pause := s.initialBackoff
	for ; n > 1 && 0 < pause && pause < s.maxBackoff; n-- {
		pause += min(pause, s.maxBackoff-pause) // doubled, up to the cap
	}
	jitter := pause / 5
	pause -= jitter
	return pause + min(rand.N(2*jitter+1), s.maxBackoff-pause)
}
