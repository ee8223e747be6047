//go:build !race

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	clustertest "github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

const partitions = 8

func inPartitions[V any](b *bucket.Bucket[string, V]) cluster.Placed {
	return cluster.Partitioned(b, partitions)
}

// ledger is a source that writes down what it is asked for.
type ledger struct {
	mu     sync.Mutex
	loads  map[string]int
	seeded map[int]int // by partition, how many keys it was told that it owns
}

func (l *ledger) funcs(seed ...string) loader.Funcs[string, widget] {
	load := widgets().Load
	all := func(ctx context.Context) map[string]widget {
		values := map[string]widget{}
		for _, key := range seed {
			values[key], _ = load(ctx, key)
		}
		return values
	}
	return loader.Funcs[string, widget]{
		LoadFunc: func(ctx context.Context, key string) (widget, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.loads[key]++
			return load(ctx, key)
		},
		InitFunc: func(ctx context.Context) (map[string]widget, error) {
			l.mu.Lock()
			defer l.mu.Unlock()
			if partition, owns, ok := cluster.PartitionOf[string](ctx); ok {
				l.seeded[partition.Index] = 0
				for _, key := range seed {
					if owns(key) {
						l.seeded[partition.Index]++
					}
				}
			}
			return all(ctx), nil
		},
	}
}

func newLedger() *ledger { return &ledger{loads: map[string]int{}, seeded: map[int]int{}} }

func keysNamed(name string, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%s %d", name, i)
	}
	return keys
}

func TestPartitioned_divides_the_keys_and_joins_the_answers(t *testing.T) {
	t.Parallel()
	source := newLedger()
	seed, others := keysNamed("seed", 200), keysNamed("key", 300)
	_, shops := openShops(t, 3, plan{place: inPartitions[widget], loader: source.funcs(seed...)})
	ctx := soon(t)

	for i, key := range others[:60] {
		got, err := shops[i%3].handle.Fetch(ctx, key)
		require.NoError(t, err)
		require.Equal(t, key, got.Name)
	}
	found, err := shops[1].handle.FetchMany(ctx, append(append(others, others[0], "no such"), seed...))
	require.ErrorIs(t, err, loader.ErrNotFound)
	var partial *cluster.PartitionError
	require.NotErrorAs(t, err, &partial, "all partitions have answered")
	assert.Len(t, found, len(others)+len(seed))
	for key, value := range found {
		assert.Equal(t, key, value.Name)
	}
	for key, loads := range source.loads {
		assert.Equal(t, 1, loads, "%s has one owner", key)
	}
	total := 0
	for _, keys := range source.seeded {
		total += keys
	}
	assert.Equal(t, len(seed), total, "each key of the seed is in one partition")
	assert.Len(t, source.seeded, partitions)

	for _, s := range shops {
		keys, err := s.handle.Keys(ctx)
		require.NoError(t, err)
		assert.ElementsMatch(t, append(append([]string{}, others...), seed...), keys)
	}
	require.NoError(t, shops[2].handle.DirectSet(ctx, "mine", widget{Name: "set"}))
	got, ok := shops[0].handle.Get(ctx, "mine")
	assert.True(t, ok)
	assert.Equal(t, "set", got.Name)
	require.NoError(t, shops[1].handle.Delete(ctx, "mine"))
	report, err := shops[0].handle.Refresh(ctx)
	require.NoError(t, err)
	assert.Equal(t, len(others)+len(seed), report.Loaded)
	assert.LessOrEqual(t, len(report.Slowest), 5)
}

func TestPartitioned_names_the_partitions_that_fail(t *testing.T) {
	t.Parallel()
	closed := errors.New("closed on Sundays")
	keys := keysNamed("key", 200)
	inFirst := map[string]bool{}
	var mu sync.Mutex
	vetoed := loader.Funcs[string, widget]{
		LoadFunc: widgets().Load,
		InitFunc: func(ctx context.Context) (map[string]widget, error) {
			partition, owns, ok := cluster.PartitionOf[string](ctx)
			if !ok || partition.Index != 0 {
				return nil, nil
			}
			mu.Lock()
			defer mu.Unlock()
			for _, key := range keys {
				inFirst[key] = owns(key)
			}
			return nil, loader.Veto(closed)
		},
	}
	_, shops := openShops(t, 2, plan{place: inPartitions[widget], loader: vetoed})
	found, err := shops[0].handle.FetchMany(soon(t), keys)
	var partial *cluster.PartitionError
	require.ErrorAs(t, err, &partial)
	assert.Equal(t, cluster.Partition{Index: 0, Of: partitions}, partial.Partition)
	assert.True(t, loader.IsVeto(err))
	require.ErrorContains(t, err, `bucket "widgets": partition 1 of 8:`)
	for _, key := range keys {
		_, ok := found[key]
		assert.Equal(t, !inFirst[key], ok, key)
	}
	listed, err := shops[1].handle.Keys(soon(t))
	require.ErrorAs(t, err, &partial)
	assert.Len(t, listed, len(found))
	report, err := shops[1].handle.Refresh(soon(t))
	require.ErrorAs(t, err, &partial)
	assert.Equal(t, len(found), report.Loaded)
}

// A question that ends with its context says so for each partition, and gives what it has.
func TestPartitioned_gives_what_it_has_when_the_context_ends(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	slow := loader.Func(func(ctx context.Context, key string) (widget, error) {
		if key == "slow" {
			<-release
		}
		return widgets().Load(ctx, key)
	})
	defer close(release)
	_, shops := openShops(t, 2, plan{place: inPartitions[widget], loader: slow})
	keys := keysNamed("key", 50)
	_, err := shops[0].handle.FetchMany(soon(t), keys)
	require.NoError(t, err)
	for _, s := range shops {
		ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
		began := time.Now()
		found, err := s.handle.FetchMany(ctx, append(keys, "slow"))
		cancel()
		require.ErrorIs(t, err, context.DeadlineExceeded)
		assert.Less(t, time.Since(began), 2*time.Second)
		assert.GreaterOrEqual(t, len(found), len(keys)/2, "what the other partitions have")
	}
}

func TestPartitioned_keeps_each_part_in_its_own_file(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	p := plan{place: inPartitions[widget], loader: widgets(), options: []bucket.Option{
		bucket.OptionsFunc(func() ([]bucket.Option, error) { return []bucket.Option{bucket.File(dir + "/widgets.dump")}, nil }),
	}}
	_, shops := openShops(t, 2, p) // on one disk
	keys := keysNamed("key", 100)
	for _, key := range keys {
		require.NoError(t, shops[0].handle.DirectSet(soon(t), key, widget{Name: "set " + key}))
	}
	for _, s := range shops {
		s.leave(true)
	}
	files, err := os.ReadDir(dir)
	require.NoError(t, err)
	names := map[string]bool{}
	for _, file := range files {
		if !strings.Contains(file.Name(), "lock") {
			names[file.Name()] = true
		}
	}
	for i := range partitions {
		assert.True(t, names[fmt.Sprintf("widgets.dump.%d-of-%d", i+1, partitions)], "%v", names)
	}

	down := errors.New("the source is down")
	p.loader = loader.Func(func(context.Context, string) (widget, error) { return widget{}, down })
	_, shops = openShops(t, 1, p)
	found, err := shops[0].handle.FetchMany(soon(t), keys)
	require.NoError(t, err, "all from the files")
	for key, value := range found {
		assert.Equal(t, "set "+key, value.Name)
	}
	assert.Len(t, found, len(keys))
}

func TestPartitioned_in_another_number_is_told_so(t *testing.T) {
	t.Parallel()
	agent := clustertest.NewInMemAgent()
	p := plan{place: inPartitions[widget], loader: widgets()}
	here := openShop(t, agent, p)
	p.guest = true
	p.place = func(b *bucket.Bucket[string, widget]) cluster.Placed { return cluster.Partitioned(b, 16) }
	there := openShop(t, agent, p)
	know(t, here, there)
	_, err := there.handle.Fetch(soon(t), "a")
	require.ErrorIs(t, err, cluster.ErrConfig)
	require.ErrorContains(t, err, "in the same way")
	assert.NotEmpty(t, here.log.AllEntries())
	_, err = here.handle.Fetch(soon(t), "a")
	require.NoError(t, err)
}

func TestOpen_refuses_places_that_make_no_sense(t *testing.T) {
	t.Parallel()
	b := bucket.New("widgets", widgets())
	for name, placed := range map[string][]cluster.Option{
		"no partitions": {cluster.Partitioned(b, 0)},
		"too many":      {cluster.Partitioned(b, 1<<20)},
		"bad bucket":    {cluster.Partitioned(bucket.New("widgets", widgets(), bucket.BatchSize(-1)), 2)},
		"twice":         {cluster.OneOwner(b), cluster.Partitioned(b, 2)},
	} {
		_, err := cluster.Open(join(t).ActorSystem, placed...)
		require.ErrorIs(t, err, cluster.ErrConfig, name)
	}
}

func TestOf_what_has_no_place_says_so(t *testing.T) {
	t.Parallel()
	s := openShop(t, clustertest.NewInMemAgent(), plan{place: oneOwner[widget], loader: widgets()})
	b := bucket.New("gadgets", widgets())
	for _, h := range []*cluster.Handle[string, widget]{
		cluster.Of(b, s.cluster),
		cluster.Of(s.widgets, s.cluster, cluster.NearCache(-1)),
	} {
		_, fetched := h.Fetch(soon(t), "a")
		_, many := h.FetchMany(soon(t), []string{"a"})
		_, listed := h.Keys(soon(t))
		_, refreshed := h.Refresh(soon(t))
		for _, err := range []error{
			fetched, many, listed, refreshed, h.Ready(soon(t)), h.DirectSet(soon(t), "a", widget{}), h.Delete(soon(t), "a"),
		} {
			require.ErrorIs(t, err, cluster.ErrConfig)
		}
		h.Close()
	}
}
