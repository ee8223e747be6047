package cluster

import (
	"crypto/tls"
	"fmt"

	"github.com/sirupsen/logrus"
)

// Option says how a [Border] is to be. A [Carried] is one.
type Option interface{ apply(s *settings) }

type settings struct {
	carried    []Carried
	placed     []Placed
	maxMessage int
	tls        *tls.Config
	trusting   bool
	logger     logrus.FieldLogger
}

func defaultSettings() settings {
	return settings{maxMessage: DefaultMaxMessage, logger: logrus.StandardLogger()}
}

func (s *settings) check() error {
	switch {
	case s.maxMessage < partSize:
		return fmt.Errorf("%w: MaxMessage(%d): at least %d bytes", ErrConfig, s.maxMessage, partSize)
	case s.logger == nil:
		return fmt.Errorf("%w: Logger(nil): leave it out for logrus' standard logger", ErrConfig)
	}
	return nil
}

// apply implements [Option].
func (c Carried) apply(s *settings) { s.carried = append(s.carried, c) }

type optionFunc func(s *settings)

func (f optionFunc) apply(s *settings) { f(s) }

// DefaultMaxMessage is what [MaxMessage] is if it is not given.
const DefaultMaxMessage = 64 << 20

// MaxMessage bounds, in bytes, the messages that cross the border: a value, or all keys of a bucket.
// A larger one is not sent, and whoever waits for it gets an [ErrTooLarge]. All members must have the
// same. The limits of the transport need not be touched: what is large goes in parts.
func MaxMessage(bytes int) Option {
	return optionFunc(func(s *settings) { s.maxMessage = bytes })
}

// Logger receives what the border has to say.
func Logger(logger logrus.FieldLogger) Option {
	return optionFunc(func(s *settings) { s.logger = logger })
}

// TLS has members prove to each other who they are, and nobody else read what they say. The
// configuration is for both roles: Certificates are shown to the other side, whose own are checked
// against RootCAs when it is called, and against ClientCAs when it calls. Without ClientCAs those of
// RootCAs are used.
//
// Whoever can connect to a member can send any message to any of its actors, and stop them.
func TLS(config *tls.Config) Option {
	return optionFunc(func(s *settings) { s.tls = config })
}

// TrustTheNetwork allows addresses that other machines can reach without [TLS]: whoever can connect
// to a member can then send any message to any of its actors, and stop them.
func TrustTheNetwork() Option {
	return optionFunc(func(s *settings) { s.trusting = true })
}
