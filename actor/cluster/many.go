package cluster

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/dataworker-go/dataworker/bucket"
)

// FetchMany is [bucket.Bucket.FetchMany]. All partitions are asked at the same time; of each that could
// not be asked there is a [*PartitionError] in the error, beside what went wrong with single keys.
func (h *Handle[K, V]) FetchMany(ctx context.Context, keys []K) (map[K]V, error) {
	if h.invalid != nil {
		return nil, h.invalid
	}
	found := make(map[K]V, len(keys))
	missing, errs := h.missing(keys, found)
	var mu sync.Mutex
	failed := h.each(func(part int) error {
		if len(missing[part]) == 0 {
			return nil
		}
		keep := h.fetching(missing[part], part)
		values, err := h.fetchPart(ctx, part, missing[part])
		keep(values)
		mu.Lock()
		defer mu.Unlock()
		for i, key := range values.keys {
			found[key] = values.values[i]
		}
		errs = append(errs, values.errs...)
		return err
	})
	return found, errors.Join(errors.Join(errs...), failed)
}

// fetching has what is fetched kept, where anything is; see mirror.fetch.
func (h *Handle[K, V]) fetching(keys []K, part int) (keep func(f fetched[K, V])) {
	m := h.mirror
	if m == nil || m.maxAge == 0 {
		return func(fetched[K, V]) {}
	}
	under := make(map[K]*fetching, len(keys))
	for _, key := range keys {
		if under[key] == nil {
			under[key] = m.begin(key, part)
		}
	}
	return func(f fetched[K, V]) {
		for i, key := range f.keys {
			if under[key] != nil {
				m.end(key, under[key], f.values[i], true)
				delete(under, key)
			}
		}
		for key, failed := range under {
			if failed != nil {
				var none V
				m.end(key, failed, none, false)
			}
		}
	}
}

// missing sorts the keys by their part, but for those that are kept here.
func (h *Handle[K, V]) missing(keys []K, found map[K]V) (missing [][]K, errs []error) {
	missing = make([][]K, len(h.seats))
	for part := range missing {
		missing[part] = make([]K, 0, len(keys)/len(missing)*5/4)
	}
	for _, key := range keys {
		if h.mirror != nil {
			if value, ok := h.mirror.get(key); ok {
				found[key] = value
				continue
			}
		}
		part, err := h.placement.where(key)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		missing[part] = append(missing[part], key)
	}
	return missing, errs
}

// fetched is what came of a FetchMany of one part.
type fetched[K comparable, V any] struct {
	keys   []K // those that were found
	values []V
	errs   []error // of single keys
}

func (f *fetched[K, V]) add(key K, value V) {
	f.keys, f.values = append(f.keys, key), append(f.values, value)
}

func (h *Handle[K, V]) fetchPart(ctx context.Context, part int, keys []K) (fetched[K, V], error) {
	if here := h.here(part); here != nil {
		found, err := here.FetchMany(ctx, keys)
		if ctx.Err() != nil || !slices.ContainsFunc(single(err), again) {
			var f fetched[K, V]
			for key, value := range found {
				f.add(key, value)
			}
			if ctx.Err() != nil {
				return f, err
			}
			f.errs = []error{err}
			return f, nil
		}
		h.seats[part].owner.Store(nil)
	}
	answer, err := ask[bucket.FoundMany](ctx, h.seats[part], bucket.FetchMany{Keys: keys})
	values, _ := answer.Values.([]V)
	switch {
	case errors.Is(err, ErrTooLarge) && len(keys) > 1:
		return h.fetchHalves(ctx, part, keys)
	case err != nil:
		return fetched[K, V]{}, err
	case len(values) != len(keys):
		return fetched[K, V]{}, fmt.Errorf("%w: %d keys are answered with %d values (%T)",
			bucket.ErrValueType, len(keys), len(values), answer.Values)
	}
	f := fetched[K, V]{keys: make([]K, 0, len(keys)), values: make([]V, 0, len(keys))}
	var unserved []K // the bucket has stopped meanwhile
	for i, key := range keys {
		if answer.Errs != nil && answer.Errs[i] != nil {
			if again(answer.Errs[i]) {
				unserved = append(unserved, key)
			} else {
				f.errs = append(f.errs, answer.Errs[i])
			}
			continue
		}
		f.add(key, values[i])
	}
	if len(unserved) > 0 {
		h.seats[part].owner.Store(nil)
		return f.and(h.fetchPart(ctx, part, unserved))
	}
	return f, nil
}

// single takes the error of a [bucket.Bucket.FetchMany] to pieces: one for each key that it is about.
func single(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// fetchHalves is for what is too large for one message.
func (h *Handle[K, V]) fetchHalves(ctx context.Context, part int, keys []K) (fetched[K, V], error) {
	first, err := h.fetchPart(ctx, part, keys[:len(keys)/2])
	if err != nil {
		return first, err
	}
	return first.and(h.fetchPart(ctx, part, keys[len(keys)/2:]))
}

// and adds what came of others.
func (f fetched[K, V]) and(more fetched[K, V], err error) (fetched[K, V], error) {
	return fetched[K, V]{
		append(f.keys, more.keys...), append(f.values, more.values...), append(f.errs, more.errs...),
	}, err
}

// Refresh is [bucket.Bucket.Refresh]. The report of a bucket with partitions is the sum of theirs; its
// Generation is the smallest, and it took as long as the slowest. With an error, a [*PartitionError] for
// each partition that could not, it is about the others.
func (h *Handle[K, V]) Refresh(ctx context.Context) (bucket.Report, error) {
	if h.invalid != nil {
		return bucket.Report{}, h.invalid
	}
	reports := make([]bucket.Report, len(h.seats))
	asked := make([]bool, len(h.seats))
	err := h.each(func(part int) error {
		refreshed, err := askFor[bucket.Refreshed](ctx, h.seats[part], bucket.Refresh{}, endlessPatience)
		reports[part], asked[part] = refreshed.Report, err == nil
		return err
	})
	if h.mirror != nil {
		for part := range h.seats {
			if asked[part] {
				h.catchUp(ctx, part)
			}
		}
	}
	return sum(reports, asked), err
}

// Keys is [bucket.Bucket.Keys]. What the owner holds is listed: all partitions are asked at the same
// time, and of each that could not be asked there is a [*PartitionError] in the error, beside the keys
// of the others. A copy that is whole is not asked for.
func (h *Handle[K, V]) Keys(ctx context.Context) ([]K, error) {
	if h.invalid != nil {
		return nil, h.invalid
	}
	if h.mirror != nil {
		if whole := h.mirror.whole(); whole != nil {
			return whole.bucket.Keys(), nil
		}
	}
	var mu sync.Mutex
	var keys []K
	err := h.each(func(part int) error {
		list, err := ask[bucket.KeyList](ctx, h.seats[part], bucket.Keys{})
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, key := range list.Keys {
			k, ok := typed[K](key)
			if !ok {
				return fmt.Errorf("%w: got a %T", bucket.ErrKeyType, key)
			}
			keys = append(keys, k)
		}
		return nil
	})
	return keys, err
}

// each asks all parts at the same time, and says which of them have failed.
func (h *Handle[K, V]) each(ask func(part int) error) error {
	if len(h.seats) == 1 {
		return ask(0)
	}
	errs := make([]error, len(h.seats))
	var asking sync.WaitGroup
	for part := range h.seats {
		asking.Go(func() {
			if err := ask(part); err != nil {
				errs[part] = &PartitionError{h.bucket.Name(), Partition{part, len(h.seats)}, err}
			}
		})
	}
	asking.Wait()
	return errors.Join(errs...)
}

// sum adds up the reports that there are.
func sum(reports []bucket.Report, there []bool) bucket.Report {
	var all bucket.Report
	first := true
	for i, r := range reports {
		if !there[i] {
			continue
		}
		if first || r.Generation < all.Generation {
			all.Generation = r.Generation
		}
		first = false
		all.Loaded += r.Loaded
		all.Unchanged += r.Unchanged
		all.Added += r.Added
		all.Changed += r.Changed
		all.Removed += r.Removed
		all.Failed += r.Failed
		all.Refused = errors.Join(all.Refused, r.Refused)
		all.Failures = append(all.Failures, r.Failures...)
		all.Slowest = append(all.Slowest, r.Slowest...)
		all.Took = max(all.Took, r.Took)
	}
	slices.SortFunc(all.Slowest, func(a, b bucket.SlowLoad) int { return cmp.Compare(b.Took, a.Took) })
	all.Slowest = all.Slowest[:min(len(all.Slowest), most)]
	all.Failures = all.Failures[:min(len(all.Failures), 2*most)]
	return all
}

// most bounds the lists of a sum, as those of a bucket's report are.
const most = 5
