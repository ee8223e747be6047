//go:build !race

package cluster_test

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func replicated(b *bucket.Bucket[string, widget]) cluster.Placed { return cluster.Replicated(b) }

// counting is a source that counts its loads and seeds.
func counting(seed ...string) (l loader.Loader[string, widget], loads, seeds *atomic.Int64) {
	loads, seeds = &atomic.Int64{}, &atomic.Int64{}
	return loader.Funcs[string, widget]{
		LoadFunc: func(ctx context.Context, key string) (widget, error) {
			loads.Add(1)
			return widgets().Load(ctx, key)
		},
		InitFunc: func(ctx context.Context) (map[string]widget, error) {
			seeds.Add(1)
			values := map[string]widget{}
			for _, key := range seed {
				values[key], _ = widgets().Load(ctx, key)
			}
			return values, nil
		},
	}, loads, seeds
}

// ownerOf is the shop in which the bucket runs.
func ownerOf(t testing.TB, shops []*shop, key string) (owner *shop, others []*shop) {
	t.Helper()
	for _, s := range shops {
		if cluster.OwnsHere(s.handle, key) {
			owner = s
		} else {
			others = append(others, s)
		}
	}
	require.NotNil(t, owner)
	require.Len(t, others, len(shops)-1)
	return owner, others
}

func TestReplicated_has_a_copy_in_each_member(t *testing.T) {
	t.Parallel()
	seed := keysNamed("seed", 1000)
	source, loads, _ := counting(seed...)
	agent, shops := openShops(t, 3, plan{place: replicated, loader: source})
	ctx := soon(t)
	for _, s := range shops {
		require.NoError(t, s.handle.Ready(ctx))
		keys, err := s.handle.Keys(ctx)
		require.NoError(t, err)
		assert.ElementsMatch(t, seed, keys)
		found, err := s.handle.FetchMany(ctx, seed)
		require.NoError(t, err)
		assert.Len(t, found, len(seed))
	}
	assert.Zero(t, loads.Load())

	// What is missing is loaded once, and is in all copies then.
	got, err := shops[0].handle.Fetch(ctx, "loaded")
	require.NoError(t, err)
	assert.Equal(t, "loaded", got.Name)
	require.NoError(t, shops[1].handle.DirectSet(ctx, "set", widget{Name: "by 1"}))
	require.NoError(t, shops[2].handle.Delete(ctx, seed[0]))
	for _, s := range shops {
		eventually(t, func() bool {
			_, loaded := cluster.Kept(s.handle, "loaded")
			set, _ := cluster.Kept(s.handle, "set")
			_, deleted := cluster.Kept(s.handle, seed[0])
			return loaded && set.Name == "by 1" && !deleted
		}, "the copy of %s", s.system.Address())
	}
	assert.EqualValues(t, 1, loads.Load())

	// One who comes later gets all of it.
	late := openShop(t, agent, plan{place: replicated, loader: source})
	require.NoError(t, late.handle.Ready(soon(t)))
	kept, _ := cluster.Kept(late.handle, "set")
	assert.Equal(t, "by 1", kept.Name)
}

func TestReplicated_shows_a_writer_its_own_write(t *testing.T) {
	t.Parallel()
	_, shops := openShops(t, 3, plan{place: replicated, loader: widgets()})
	for _, s := range shops {
		require.NoError(t, s.handle.Ready(soon(t)))
	}
	var writing sync.WaitGroup
	for n, s := range shops {
		writing.Go(func() {
			for i := range 200 {
				key := fmt.Sprint("of ", n)
				if !assert.NoError(t, s.handle.DirectSet(soon(t), key, widget{Price: i})) {
					return
				}
				kept, ok := cluster.Kept(s.handle, key)
				if !assert.True(t, ok) || !assert.Equal(t, i, kept.Price) {
					return
				}
			}
		})
	}
	writing.Wait()
}

// A reader of a copy never sees an older value after a newer one, also while copies are made.
func TestReplicated_goes_only_forward(t *testing.T) {
	t.Parallel()
	seed := keysNamed("seed", 5000)
	source, _, _ := counting(seed...)
	_, shops := openShops(t, 2, plan{place: replicated, loader: source})
	require.NoError(t, shops[0].handle.Ready(soon(t)))
	stop := make(chan struct{})
	var working sync.WaitGroup
	working.Go(func() {
		for i := 1; ; i++ {
			select {
			case <-stop:
				return
			default:
				_ = shops[0].handle.DirectSet(context.Background(), seed[i%10], widget{Price: 1000 + i})
			}
		}
	})
	handles := []*cluster.Handle[string, widget]{shops[1].handle}
	for range 10 { // each makes a copy while all goes on
		h := cluster.Of(shops[1].widgets, shops[1].cluster)
		defer h.Close()
		handles = append(handles, h)
	}
	for _, h := range handles {
		working.Go(func() {
			last := [10]int{}
			for {
				select {
				case <-stop:
					return
				default:
				}
				for i := range last {
					if kept, ok := cluster.Kept(h, seed[i]); ok && !assert.GreaterOrEqual(t, kept.Price, last[i]) {
						return
					} else if ok {
						last[i] = kept.Price
					}
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	for _, h := range handles {
		assert.NoError(t, h.Ready(soon(t)))
	}
	time.Sleep(300 * time.Millisecond)
	close(stop)
	working.Wait()
}

// The owner leaves, and with it what only it had; a copy begins the next one.
func TestReplicated_outlives_its_owner(t *testing.T) {
	t.Parallel()
	seed := keysNamed("seed", 100)
	source, _, seeds := counting(seed...)
	_, shops := openShops(t, 3, plan{place: replicated, loader: source})
	for _, s := range shops {
		require.NoError(t, s.handle.Ready(soon(t)))
	}
	for i := range 50 {
		require.NoError(t, shops[0].handle.DirectSet(soon(t), fmt.Sprint("set ", i), widget{Price: i}))
	}
	require.NoError(t, shops[1].handle.Delete(soon(t), seed[0]))
	owner, others := ownerOf(t, shops, "set 1")
	for _, s := range others {
		eventually(t, func() bool { _, held := cluster.Kept(s.handle, seed[0]); return !held }, "deleted")
	}
	owner.leave(true)
	for _, s := range others {
		for i := range 50 {
			got, err := s.handle.Fetch(soon(t), fmt.Sprint("set ", i))
			require.NoError(t, err)
			require.Equal(t, i, got.Price)
		}
	}
	require.NoError(t, others[0].handle.DirectSet(soon(t), "after", widget{Price: 7}))
	for _, s := range others {
		require.NoError(t, s.handle.Ready(soon(t)))
		eventually(t, func() bool { kept, _ := cluster.Kept(s.handle, "after"); return kept.Price == 7 }, "after")
		keys, err := s.handle.Keys(soon(t))
		require.NoError(t, err)
		assert.Len(t, keys, len(seed)-1+50+1, "what was deleted has not come back")
	}
	assert.EqualValues(t, 1, seeds.Load(), "the source was asked for a seed once")
}

// One who comes into the cluster may be given the bucket before it has a copy.
func TestReplicated_moves_to_a_member_without_a_copy(t *testing.T) {
	t.Parallel()
	source, _, seeds := counting("seed")
	agent, shops := openShops(t, 1, plan{place: replicated, loader: source})
	require.NoError(t, shops[0].handle.Ready(soon(t)))
	require.NoError(t, shops[0].handle.DirectSet(soon(t), "set", widget{Price: 7}))
	joined := shops
	for range 4 { // the lookup takes one of them sooner or later
		s := openShop(t, agent, plan{place: replicated, loader: source})
		joined = append(joined, s)
		know(t, joined...)
		got, err := s.handle.Fetch(soon(t), "set")
		require.NoError(t, err)
		require.Equal(t, 7, got.Price)
	}
	shops[0].leave(true)
	for _, s := range joined[1:] {
		got, err := s.handle.Fetch(soon(t), "set")
		require.NoError(t, err)
		require.Equal(t, 7, got.Price)
	}
	assert.EqualValues(t, 1, seeds.Load())
}

// A member that was the owner once has a file of that time. The copies know better.
func TestReplicated_takes_a_copy_before_an_old_file(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/widgets.dump"
	p := plan{place: replicated, loader: widgets()}
	withFile := p
	withFile.options = []bucket.Option{bucket.File(file)}
	_, before := openShops(t, 1, withFile)
	require.NoError(t, before[0].handle.DirectSet(soon(t), "old", widget{Name: "old"}))
	before[0].leave(true)

	agent, shops := openShops(t, 1, p)
	require.NoError(t, shops[0].handle.Ready(soon(t)))
	require.NoError(t, shops[0].handle.DirectSet(soon(t), "set", widget{Price: 7}))
	next := openShop(t, agent, withFile)
	know(t, shops[0], next)
	require.NoError(t, next.handle.Ready(soon(t)))
	shops[0].leave(true)
	got, err := next.handle.Fetch(soon(t), "set")
	require.NoError(t, err)
	assert.Equal(t, 7, got.Price)
	require.NoError(t, next.handle.Ready(soon(t)))
	require.NoError(t, next.handle.DirectSet(soon(t), "after", widget{}))
	keys, err := next.handle.Keys(soon(t))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"set", "after"}, keys)
}
