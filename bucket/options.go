package bucket

import (
	"time"

	"github.com/sirupsen/logrus"
)

// Option sets one field of a [Config]. Options cascade, and a later one wins: the
// defaults, those given to [New], those given to [Bucket.With], and those that
// [OptionsFunc] returns at the start. A bad value is an [ErrConfig] of the start. An
// Option is applied in the actor's turn and must not block.
type Option func(*Config)

// File names the file that holds the bucket while its process is down. It cannot
// be used yet: a bucket that has one does not start. The default is none.
func File(path string) Option { return func(c *Config) { c.File = path } }

// RefreshEvery sets the pause between the end of one full refresh and the start of
// the next; the default is [DefaultRefreshEvery]. Zero turns refreshing off.
func RefreshEvery(pause time.Duration) Option {
	return func(c *Config) { c.RefreshEvery = pause }
}

// Jitter spreads the pause of [RefreshEvery], so that many processes do not
// refresh in step: each pause is between 1-fraction and 1+fraction times as long,
// at random. The fraction is between 0 and 1; the default is [DefaultJitter].
func Jitter(fraction float64) Option { return func(c *Config) { c.Jitter = fraction } }

// CacheEnabled says whether the bucket keeps what it loads; the default is true.
// With false every Fetch and Get asks the loader (one that finds a load of its key
// under way shares it), nothing that was loaded is saved, Init's seed included, and
// nothing is refreshed. What DirectSet saves, DirectGet still finds.
func CacheEnabled(enabled bool) Option { return func(c *Config) { c.CacheEnabled = enabled } }

// LoadTimeout bounds one call of the loader; the default is [DefaultLoadTimeout].
// Zero means no bound, and then a loader that hangs holds its slot for ever.
func LoadTimeout(bound time.Duration) Option { return func(c *Config) { c.LoadTimeout = bound } }

// InitTimeout bounds Init, and the function of [OptionsFunc]; the default is
// [DefaultInitTimeout]. Zero means no bound.
func InitTimeout(bound time.Duration) Option { return func(c *Config) { c.InitTimeout = bound } }

// MaxConcurrentLoads bounds how many loads run at a time, those of a refresh
// included; the default is [DefaultMaxConcurrentLoads]. More wait in the order of
// their arrival.
func MaxConcurrentLoads(n int) Option { return func(c *Config) { c.MaxConcurrentLoads = n } }

// MaxWaiting bounds how many callers wait: for the bucket to start, for a load to
// begin, or in company for one that runs. The default is [DefaultMaxWaiting]. One
// more gets [ErrBusy] at once. A FetchMany counts once for each key that it waits for.
func MaxWaiting(n int) Option { return func(c *Config) { c.MaxWaiting = n } }

// RefreshConcurrency bounds how many of the loads that run at a time belong to a
// refresh; the default is [DefaultRefreshConcurrency].
func RefreshConcurrency(n int) Option { return func(c *Config) { c.RefreshConcurrency = n } }

// RefreshRate bounds how many loads a refresh begins in a second. Zero, the
// default, is no bound.
func RefreshRate(perSecond float64) Option { return func(c *Config) { c.RefreshRate = perSecond } }

// BatchSize bounds how many keys one call of a [loader.BatchLoader] gets; the
// default is [DefaultBatchSize].
func BatchSize(n int) Option { return func(c *Config) { c.BatchSize = n } }

// Logger sets where the bucket logs; the default is logrus' standard logger. Its hooks run
// in the actor's turn: they must not block, nor wait for the bucket. A panic of theirs is
// caught.
func Logger(logger logrus.FieldLogger) Option { return func(c *Config) { c.Logger = logger } }

// OptionsFunc sets a function that returns more options at the start, for what is
// known only then. It is called once a start, under InitTimeout; an error or a panic of it
// is an [ErrConfig] of the start. It cannot mend a bad value that it finds.
func OptionsFunc(f func() ([]Option, error)) Option {
	return func(c *Config) { c.OptionsFunc = f }
}
