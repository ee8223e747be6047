package bucket

import (
	"time"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/dump"
)

// Option sets one field of a [Config]. Options cascade, and a later one wins: the
// defaults, those given to [New], those given to [Bucket.With], and those that
// [OptionsFunc] returns at the start. A bad value is an [ErrConfig] of the start. An
// Option is applied in the actor's turn and must not block.
type Option func(*Config)

// File names the file that holds the bucket while its process is down; the default is none.
// Whatever the bucket saves is written to it before it is acknowledged. If it is there at the
// start, the bucket starts with what it holds and Init is skipped; if not, it is made. Its
// directory must exist. A file belongs to one bucket of one process at a time. See package
// dump.
func File(path string) Option { return func(c *Config) { c.File = path } }

// Sync says what has happened to a write when it is acknowledged; the default is
// SyncEvery(time.Second).
func Sync(policy SyncPolicy) Option { return func(c *Config) { c.Sync = policy } }

// OnCorrupt says what to do with a file that is damaged; the default is [Quarantine]. A file
// of another bucket, codec or schema, one that is locked, or cannot be read, is a mistake and
// always an error of the start.
func OnCorrupt(policy CorruptPolicy) Option { return func(c *Config) { c.OnCorrupt = policy } }

// Codec sets how values are written to the file. The default is [dump.Raw] for strings, byte
// slices and numbers, and [dump.CBOR] for everything else. A type that would not come back as
// it was is an [ErrConfig] of the start.
func Codec(codec dump.Codec) Option { return func(c *Config) { c.Codec = codec } }

// KeyCodec sets how keys are written to the file; the default is that of [Codec].
func KeyCodec(codec dump.Codec) Option { return func(c *Config) { c.KeyCodec = codec } }

// Schema sets the version of what the values mean, to be raised when their type changes in a
// way that the codec does not bear; the default is 0. A file with another one is an error of
// the start, unless [Migrate] says how to read it.
func Schema(version uint32) Option { return func(c *Config) { c.Schema = version } }

// Migrate sets how values are read that were written with another schema version or codec;
// the file is then written anew. See [dump.MigrateFrom].
func Migrate(migration dump.Migration) Option { return func(c *Config) { c.Migrate = migration } }

// CompactAfter sets how many bytes of writes make the file worth being written anew, if they
// are also more than the rest of it; the default is [dump.DefaultCompactAfter].
func CompactAfter(bytes int64) Option { return func(c *Config) { c.CompactAfter = bytes } }

// FileSystem sets where the file is; the default is the operating system's file system. It is
// for tests that let a disk fail, see package dumptest.
func FileSystem(fsys dump.FS) Option { return func(c *Config) { c.FileSystem = fsys } }

// SyncPolicy says what has happened to a write when it is acknowledged.
type SyncPolicy = dump.SyncPolicy

// The policies of [Sync], beside [SyncEvery]; [dump.SyncPolicy] compares them.
const (
	SyncAlways = dump.SyncAlways // written and synced; not even a power cut takes it back
	SyncNever  = dump.SyncNever  // written; the kernel syncs when it gets round to it
	Buffered   = dump.Buffered   // kept in memory; a kill takes what came in the last second
)

// SyncEvery is the policy to acknowledge what was written, and to sync it after interval at
// the latest. It must be positive.
func SyncEvery(interval time.Duration) SyncPolicy { return dump.SyncEvery(interval) }

// CorruptPolicy says what to do with a damaged file.
type CorruptPolicy = dump.CorruptPolicy

// The policies of [OnCorrupt].
const (
	Quarantine    = dump.Quarantine    // keep it under another name, start without it and run Init
	Fail          = dump.Fail          // do not start
	SalvagePrefix = dump.SalvagePrefix // keep it, and start with what stands before the damage
)

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
// Zero means no bound, and then a loader that hangs holds its slot for ever, or until a full refresh
// has waited for it, or for the slot, for the [StallTimeout].
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

// RefreshAtStart has the bucket refresh as soon as it is ready, beside all that goes on, unless
// Init has just seeded it: a bucket with a file serves what that held meanwhile, and one whose
// loader gives everything in one go needs no Init. The default is to wait for the clock.
func RefreshAtStart(refresh bool) Option { return func(c *Config) { c.RefreshAtStart = refresh } }

// MaxDumpAge has Init asked for a seed, in place of what the bucket's file holds, if that was
// last known to be right longer ago than age. If Init fails, what the file holds is better than
// nothing. Zero, the default, is any age; without an Init it makes no difference.
func MaxDumpAge(age time.Duration) Option { return func(c *Config) { c.MaxDumpAge = age } }

// RefreshConcurrency bounds how many of the loads that run at a time belong to a
// refresh; the default is [DefaultRefreshConcurrency].
func RefreshConcurrency(n int) Option { return func(c *Config) { c.RefreshConcurrency = n } }

// RefreshRate bounds how many loads a refresh begins in a second. Zero, the
// default, is no bound.
func RefreshRate(perSecond float64) Option { return func(c *Config) { c.RefreshRate = perSecond } }

// StallTimeout bounds for how long a full refresh may stand still, with no load of it coming to
// an end, on top of the [LoadTimeout] and of the pauses of the [RefreshRate]. Then, or up to a
// quarter of that time later, it is given up. Its loads are abandoned, and those of callers that
// have taken as long; it begins anew for those who wait for it; [Bucket.Health] says so until one
// gets through, and [RefreshStalled] is published. The default is [DefaultStallTimeout]. Zero means
// no bound.
func StallTimeout(bound time.Duration) Option { return func(c *Config) { c.StallTimeout = bound } }

// BatchSize bounds how many keys one call of a [loader.BatchLoader] gets; the
// default is [DefaultBatchSize].
func BatchSize(n int) Option { return func(c *Config) { c.BatchSize = n } }

// BatchWindow has a miss wait so long for others, to be loaded together by a
// [loader.BatchLoader] as those of a [Bucket.FetchMany] are. A full batch does not wait, nor does
// a miss that a FetchMany can take along. Zero, the default, has each miss loaded by itself, at
// once; so does a [loader.RelatedLoader].
func BatchWindow(pause time.Duration) Option { return func(c *Config) { c.BatchWindow = pause } }

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
