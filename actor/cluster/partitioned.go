package cluster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// mostPartitions is far beyond what helps.
const mostPartitions = 1 << 16

// Partitioned divides a bucket into that many partitions, by a hash of the key as its codec writes it.
// Each lives once in the cluster, as a bucket with one owner does: see [OneOwner]. It has its own
// keys, and loads, refreshes and dumps them by itself, so the bounds of the options are those of each.
// All members name the bucket with the same number; a few times as many partitions as members spread
// well.
//
// A loader that gives everything in one go, for Init or LoadAll, is called by each partition, which
// takes what is its own. [PartitionOf] tells it which that is, so that it need not give the rest. A
// [bucket.File] is the name of one file for each partition, made of its path and their numbers.
//
// To change the number is to begin anew: the files of before are not read.
func Partitioned[K comparable, V any](b *bucket.Bucket[K, V], partitions int, opts ...bucket.Option) Placed {
	placed := Placed{carried: Carry(b), bucket: b}
	codec, err := keyCodec(b)
	switch {
	case partitions < 1 || partitions > mostPartitions:
		placed.err = fmt.Errorf("%w: Partitioned(%q, %d): between 1 and %d", ErrConfig, b.Name(), partitions, mostPartitions)
		return placed
	case err != nil:
		placed.err = fmt.Errorf("%w: Partitioned(%q): %w", ErrConfig, b.Name(), err)
		return placed
	}
	where := hashed[K](codec, partitions)
	placed.open = func(border *Border) place {
		p := &placement[K, V]{border: border, name: b.Name(), where: where}
		for i := range partitions {
			own := Partition{i, partitions}
			name := b.Name() + own.suffix()
			share := b.Like(name, func(l loader.Loader[K, V]) loader.Loader[K, V] {
				return partitioned[K, V]{own, where}.of(l)
			})
			p.parts = append(p.parts, newPart(name, share, slices.Concat(opts, []bucket.Option{lastly(own.file)})))
		}
		return p
	}
	return placed
}

// Partition is one of a bucket's partitions.
type Partition struct {
	Index int // from zero
	Of    int
}

// String is for people, and counts from one.
func (p Partition) String() string { return fmt.Sprintf("partition %d of %d", p.Index+1, p.Of) }

// suffix is added to the names of the bucket and of its file.
func (p Partition) suffix() string { return fmt.Sprintf(".%d-of-%d", p.Index+1, p.Of) }

// file is an option that gives the partition a file of its own.
func (p Partition) file(c *bucket.Config) {
	if c.File != "" && !strings.HasSuffix(c.File, p.suffix()) {
		c.File += p.suffix()
	}
}

// PartitionError says which partition could not be asked. What the others gave is there.
type PartitionError struct {
	Bucket    string
	Partition Partition
	Err       error
}

// Error names the bucket and the partition.
func (e *PartitionError) Error() string {
	return fmt.Sprintf("bucket %q: %v: %v", e.Bucket, e.Partition, e.Err)
}

// Unwrap returns the cause.
func (e *PartitionError) Unwrap() error { return e.Err }

type partitionKey struct{}

// owning is what PartitionOf finds in a context.
type owning[K comparable] struct {
	partition Partition
	owns      func(key K) bool
}

// PartitionOf tells a loader for which partition it is called, and which keys are in it; a loader that
// would give more need not. It says false if the bucket has no partitions.
func PartitionOf[K comparable](ctx context.Context) (partition Partition, owns func(key K) bool, ok bool) {
	own, ok := ctx.Value(partitionKey{}).(owning[K])
	return own.partition, own.owns, ok
}

// hashed says in which partition a key is. All members say the same: it is a hash of the key as it is
// written, and not of what it is in memory.
func hashed[K comparable](codec dump.Codec, partitions int) func(key K) (int, error) {
	return func(key K) (int, error) {
		var zero K
		if key == zero {
			key = zero // a negative zero is the same key, and written in another way
		}
		if text, ok := any(key).(string); ok && codec == dump.Raw() {
			return int(xxhash.Sum64String(text) % uint64(partitions)), nil
		}
		var room [64]byte
		written, err := codec.Encode(room[:0], &key)
		if err != nil {
			return 0, fmt.Errorf("%w: key %v: %w", ErrNotCarried, key, err)
		}
		return int(xxhash.Sum64(written) % uint64(partitions)), nil
	}
}

// partitioned makes of a loader that of a partition.
type partitioned[K comparable, V any] struct {
	partition Partition
	where     func(key K) (int, error)
}

func (p partitioned[K, V]) owns(key K) bool {
	at, err := p.where(key)
	return err == nil && at == p.partition.Index
}

// own are those entries that belong to the partition. The source's map is its own.
func (p partitioned[K, V]) own(all map[K]V) map[K]V {
	if all == nil {
		return nil
	}
	own := make(map[K]V, len(all)/p.partition.Of)
	for key, value := range all {
		if p.owns(key) {
			own[key] = value
		}
	}
	return own
}

func (p partitioned[K, V]) of(l loader.Loader[K, V]) loader.Loader[K, V] {
	f := loader.FuncsOf(l)
	told := func(ctx context.Context) context.Context {
		return context.WithValue(ctx, partitionKey{}, owning[K]{p.partition, p.owns})
	}
	if init := f.InitFunc; init != nil {
		f.InitFunc = func(ctx context.Context) (map[K]V, error) {
			all, err := init(told(ctx))
			return p.own(all), err
		}
	}
	if related := f.LoadRelatedFunc; related != nil {
		f.LoadRelatedFunc = func(ctx context.Context, key K) (V, map[K]V, error) {
			value, all, err := related(told(ctx), key)
			return value, p.own(all), err
		}
	}
	if all := f.LoadAllFunc; all != nil {
		f.LoadAllFunc = func(ctx context.Context) (map[K]V, error) {
			values, err := all(told(ctx))
			return p.own(values), err
		}
	}
	return f
}
