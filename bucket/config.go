package bucket

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// The defaults of the options.
const (
	DefaultRefreshEvery       = 15 * time.Minute
	DefaultJitter             = 0.1
	DefaultLoadTimeout        = 30 * time.Second
	DefaultInitTimeout        = time.Minute
	DefaultMaxConcurrentLoads = 64
	DefaultMaxWaiting         = 100_000
	DefaultRefreshConcurrency = 8
	DefaultStallTimeout       = 10 * time.Minute
	DefaultBatchSize          = 500
)

// Config is what a bucket runs with, after every option has had its say. The
// options of the same names explain the fields.
type Config struct {
	File               string
	Sync               SyncPolicy
	OnCorrupt          CorruptPolicy
	Codec              dump.Codec `json:"-"`
	KeyCodec           dump.Codec `json:"-"`
	Schema             uint32
	Migrate            dump.Migration `json:"-"`
	CompactAfter       int64
	FileSystem         dump.FS `json:"-"`
	MaxDumpAge         time.Duration
	RefreshEvery       time.Duration
	RefreshAtStart     bool
	Jitter             float64
	CacheEnabled       bool
	LoadTimeout        time.Duration
	InitTimeout        time.Duration
	MaxConcurrentLoads int
	MaxWaiting         int
	RefreshConcurrency int
	RefreshRate        float64
	StallTimeout       time.Duration
	BatchSize          int
	BatchWindow        time.Duration
	Gate               []Rule                   `json:"-"`
	Equal              any                      `json:"-"` // a func(a, b V) bool, or nil
	Logger             logrus.FieldLogger       `json:"-"`
	OptionsFunc        func() ([]Option, error) `json:"-"`
}

func defaultConfig() Config {
	return Config{
		Sync:               dump.DefaultSync,
		OnCorrupt:          Quarantine,
		CompactAfter:       dump.DefaultCompactAfter,
		RefreshEvery:       DefaultRefreshEvery,
		Jitter:             DefaultJitter,
		CacheEnabled:       true,
		LoadTimeout:        DefaultLoadTimeout,
		InitTimeout:        DefaultInitTimeout,
		MaxConcurrentLoads: DefaultMaxConcurrentLoads,
		MaxWaiting:         DefaultMaxWaiting,
		RefreshConcurrency: DefaultRefreshConcurrency,
		StallTimeout:       DefaultStallTimeout,
		BatchSize:          DefaultBatchSize,
		Logger:             logrus.StandardLogger(),
	}
}

// apply lets options have their say. An Option may be anybody's function, so it
// may panic.
func (c *Config) apply(options []Option) (err error) {
	at := 0
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: option %d panicked: %v", ErrConfig, at+1, p)
		}
	}()
	for i, option := range options {
		if at = i; option == nil {
			return fmt.Errorf("%w: option %d is nil: leave it out", ErrConfig, i+1)
		}
		option(c)
	}
	return nil
}

// check finds everything that is wrong, so that it can be mended in one go.
func (c *Config) check() error {
	var wrong []error
	refuse := func(option string, value any, remedy string) {
		wrong = append(wrong, fmt.Errorf("%w: %s(%v): %s", ErrConfig, option, value, remedy))
	}

	atLeastZero := func(option string, d time.Duration) {
		if d < 0 {
			refuse(option, d, "must not be negative; 0 turns it off")
		}
	}
	atLeastOne := func(option string, n int) {
		if n < 1 {
			refuse(option, n, "must be at least 1")
		}
	}

	atLeastZero("MaxDumpAge", c.MaxDumpAge)
	atLeastZero("RefreshEvery", c.RefreshEvery)
	atLeastZero("LoadTimeout", c.LoadTimeout)
	atLeastZero("InitTimeout", c.InitTimeout)
	atLeastZero("StallTimeout", c.StallTimeout)
	atLeastZero("BatchWindow", c.BatchWindow)
	atLeastOne("MaxConcurrentLoads", c.MaxConcurrentLoads)
	atLeastOne("RefreshConcurrency", c.RefreshConcurrency)
	atLeastOne("BatchSize", c.BatchSize)
	if c.MaxWaiting < 0 {
		refuse("MaxWaiting", c.MaxWaiting, "must not be negative; 0 lets nobody wait")
	}
	if !(c.Jitter >= 0 && c.Jitter <= 1) { // written so that NaN is refused, too
		refuse("Jitter", c.Jitter, "must be between 0 and 1")
	}
	if !(c.RefreshRate >= 0) || math.IsInf(c.RefreshRate, 0) {
		refuse("RefreshRate", c.RefreshRate, "must be a number that is not negative; 0 is no bound")
	}
	if v := reflect.ValueOf(c.Logger); c.Logger == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		refuse("Logger", "nil", "give a logrus logger, or leave the option out")
	}
	if !c.Sync.Valid() {
		refuse("Sync", c.Sync, "give SyncAlways, SyncNever, Buffered, or SyncEvery with a positive interval")
	}
	if c.OnCorrupt > SalvagePrefix {
		refuse("OnCorrupt", c.OnCorrupt, "give Quarantine, Fail or SalvagePrefix")
	}
	if c.CompactAfter < 1 {
		refuse("CompactAfter", c.CompactAfter, "must be positive")
	}
	return errors.Join(wrong...)
}

func (b *Bucket[K, V]) checkConfig(config *Config) error {
	_, err := equalityOf(config, b.equal)
	return errors.Join(config.check(), err)
}

// checkName refuses names that cannot be the name of an actor and of a kind.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return fmt.Errorf("%w: the name is %q: give the bucket a name", ErrConfig, name)
	case !utf8.ValidString(name), strings.ContainsFunc(name, unicode.IsControl), strings.Contains(name, "/"):
		return fmt.Errorf("%w: the name is %q: leave out slashes and control characters", ErrConfig, name)
	}
	return nil
}

// staticConfig is everything but the options that OptionsFunc returns. They may not mend
// what is wrong before them.
func (b *Bucket[K, V]) staticConfig(more []Option) (Config, error) {
	config := defaultConfig()
	err := checkName(b.name)
	if wrong := loader.Check(b.loader); wrong != nil {
		err = errors.Join(err, fmt.Errorf("%w: %w: give New something that loads", ErrConfig, wrong))
	}
	err = errors.Join(err, config.apply(b.options), config.apply(more), b.checkConfig(&config))
	if err != nil {
		return config, b.errorf("%w", err)
	}
	return config, nil
}

// lateConfig adds the options that OptionsFunc returned.
func (b *Bucket[K, V]) lateConfig(config Config, late []Option, err error) (Config, error) {
	if err != nil {
		return config, b.errorf("%w: OptionsFunc: %w", ErrConfig, err)
	}
	config.OptionsFunc = nil
	if err = config.apply(late); err == nil {
		if config.OptionsFunc != nil {
			err = fmt.Errorf("%w: OptionsFunc returned an OptionsFunc: return the options themselves", ErrConfig)
		} else {
			err = b.checkConfig(&config)
		}
	}
	if err != nil {
		return config, b.errorf("%w", err)
	}
	return config, nil
}
