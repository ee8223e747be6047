package main

import (
	"context"
	"time"

	"github.com/Yiling-J/theine-go"
	"github.com/jellydator/ttlcache/v3"
	"github.com/maypok86/otter/v2"
	"github.com/maypok86/otter/v2/stats"
	"github.com/puzpuzpuz/xsync/v4"
	"github.com/viccon/sturdyc"
)

// The peers with a loading call.

// ottered is otter without a maximum, which is its way to evict nothing, and with its counter.
type ottered[K key] struct {
	held *otter.Cache[K, value]
	load otter.LoaderFunc[K, value]
}

func openOtter[K key](_ context.Context, keys []K, _ int, load loadFunc[K]) (store[K], error) {
	return newOtter(keys, load)
}

func newOtter[K key](keys []K, load loadFunc[K]) (*ottered[K], error) {
	held, err := otter.New(&otter.Options[K, value]{
		StatsRecorder:   stats.NewCounter(),
		InitialCapacity: len(keys),
	})
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		held.Set(key, valueAt(i))
	}
	return &ottered[K]{held, otter.LoaderFunc[K, value](load)}, nil
}

func (o *ottered[K]) Get(ctx context.Context, key K) (value, error) {
	return o.held.Get(ctx, key, o.load)
}

func (o *ottered[K]) Set(_ context.Context, key K, v value) error {
	o.held.Set(key, v)
	return nil
}

func (o *ottered[K]) Close() error {
	o.held.StopAllGoroutines()
	return nil
}

// theined is theine's LoadingCache. Its statistics cannot be switched off.
type theined[K key] struct {
	held *theine.LoadingCache[K, value]
}

func openTheine[K key](_ context.Context, keys []K, more int, load loadFunc[K]) (store[K], error) {
	held, err := theine.NewBuilder[K, value](int64(len(keys) + more)).Loading(
		func(ctx context.Context, key K) (theine.Loaded[value], error) {
			v, err := load(ctx, key)
			return theine.Loaded[value]{Value: v, Cost: 1}, err
		}).Build()
	if err != nil {
		return nil, err
	}
	for i, key := range keys {
		held.Set(key, valueAt(i), 1)
	}
	held.Wait()
	return &theined[K]{held}, nil
}

func (t *theined[K]) Get(ctx context.Context, key K) (value, error) { return t.held.Get(ctx, key) }

func (t *theined[K]) Set(_ context.Context, key K, v value) error {
	t.held.Set(key, v, 1)
	return nil
}

func (t *theined[K]) Close() error {
	t.held.Close()
	return nil
}

// sturdy is sturdyc, with as many shards as in its own benchmark and without its background
// evictions, which cannot be stopped and have nothing to do here.
type sturdy struct {
	held *sturdyc.Client[value]
	load loadFunc[string]
}

const (
	sturdyShards = 100
	forEver      = 24 * time.Hour // sturdyc must have a time to live
)

func openSturdyc(_ context.Context, keys []string, more int, load loadFunc[string]) (store[string], error) {
	// The capacity is divided among shards that do not fill evenly. Nothing is allocated for it.
	capacity := 2*(len(keys)+more) + 100*sturdyShards
	held := sturdyc.New[value](capacity, sturdyShards, forEver, 10,
		sturdyc.WithNoContinuousEvictions(),
		sturdyc.WithMetrics(newTally()))
	for i, key := range keys {
		held.Set(key, valueAt(i))
	}
	return &sturdy{held, load}, nil
}

func (s *sturdy) Get(ctx context.Context, key string) (value, error) {
	return s.held.GetOrFetch(ctx, key, func(ctx context.Context) (value, error) { return s.load(ctx, key) })
}

func (s *sturdy) Set(_ context.Context, key string, v value) error {
	s.held.Set(key, v)
	return nil
}

func (*sturdy) Close() error { return nil }

// tally counts for sturdyc, which leaves that to its user, with the counter that
// DataWorker counts hits with.
type tally struct{ hits, misses *xsync.Counter }

func newTally() tally { return tally{xsync.NewCounter(), xsync.NewCounter()} }

func (t tally) CacheHit()                 { t.hits.Inc() }
func (t tally) CacheMiss()                { t.misses.Inc() }
func (tally) AsynchronousRefresh()        {}
func (tally) SynchronousRefresh()         {}
func (tally) MissingRecord()              {}
func (tally) ForcedEviction()             {}
func (tally) EntriesEvicted(int)          {}
func (tally) ShardIndex(int)              {}
func (tally) CacheBatchRefreshSize(int)   {}
func (tally) ObserveCacheSize(func() int) {}

// ttlCached is ttlcache without a time to live, with its loader that shares loads. Its
// statistics cannot be switched off.
type ttlCached[K key] struct {
	held *ttlcache.Cache[K, value]
}

func openTTLCache[K key](_ context.Context, keys []K, _ int, load loadFunc[K]) (store[K], error) {
	one := ttlcache.LoaderFunc[K, value](func(held *ttlcache.Cache[K, value], key K) *ttlcache.Item[K, value] {
		v, err := load(context.Background(), key) // ttlcache hands no context on
		if err != nil {
			return nil
		}
		return held.Set(key, v, ttlcache.NoTTL)
	})
	held := ttlcache.New(ttlcache.WithLoader(ttlcache.NewSuppressedLoader(one, nil)))
	for i, key := range keys {
		held.Set(key, valueAt(i), ttlcache.NoTTL)
	}
	return &ttlCached[K]{held}, nil
}

func (t *ttlCached[K]) Get(_ context.Context, key K) (value, error) {
	item := t.held.Get(key)
	if item == nil {
		return value{}, errMissing
	}
	return item.Value(), nil
}

func (t *ttlCached[K]) Set(_ context.Context, key K, v value) error {
	t.held.Set(key, v, ttlcache.NoTTL)
	return nil
}

func (*ttlCached[K]) Close() error { return nil }
