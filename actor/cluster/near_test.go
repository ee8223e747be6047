//go:build !race

package cluster_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func nearShops(t *testing.T, n int, p plan, maxAge time.Duration) []*shop {
	t.Helper()
	p.handle = []cluster.HandleOption{cluster.NearCache(maxAge)}
	_, shops := openShops(t, n, p)
	for _, s := range shops {
		require.NoError(t, s.handle.Ready(soon(t)))
	}
	return shops
}

func TestNearCache_keeps_what_is_fetched_until_it_changes(t *testing.T) {
	t.Parallel()
	for name, place := range map[string]func(b *bucket.Bucket[string, widget]) cluster.Placed{
		"one owner": oneOwner[widget], "partitioned": inPartitions[widget],
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			source, loads, _ := counting()
			shops := nearShops(t, 3, plan{place: place, loader: source}, time.Hour)
			keys := keysNamed("key", 30)
			for _, key := range keys {
				for _, s := range shops {
					eventually(t, func() bool { // a key that is loaded for a fetch has changed by that
						got, err := s.handle.Fetch(soon(t), key)
						require.NoError(t, err)
						assert.Equal(t, key, got.Name)
						_, kept := cluster.Kept(s.handle, key)
						return kept
					}, "%s is kept", key)
				}
			}
			assert.EqualValues(t, len(keys), loads.Load())
			require.NoError(t, shops[0].handle.DirectSet(soon(t), keys[0], widget{Name: "set"}))
			require.NoError(t, shops[1].handle.Delete(soon(t), keys[1]))
			for _, s := range shops {
				eventually(t, func() bool {
					_, set := cluster.Kept(s.handle, keys[0])
					_, deleted := cluster.Kept(s.handle, keys[1])
					return !set && !deleted
				}, "what has changed is dropped")
				got, err := s.handle.Fetch(soon(t), keys[0])
				require.NoError(t, err)
				assert.Equal(t, "set", got.Name)
			}
			for _, s := range shops {
				eventually(t, func() bool {
					found, err := s.handle.FetchMany(soon(t), append(keys, "many 1", "many 2"))
					require.NoError(t, err)
					assert.Len(t, found, len(keys)+2)
					_, first := cluster.Kept(s.handle, "many 1")
					_, second := cluster.Kept(s.handle, "many 2")
					return first && second
				}, "what many bring is kept")
			}
		})
	}
}

func TestNearCache_shows_a_writer_its_own_write(t *testing.T) {
	t.Parallel()
	shops := nearShops(t, 2, plan{place: inPartitions[widget], loader: widgets()}, time.Hour)
	for i := range 300 {
		s, key := shops[i%2], fmt.Sprint("key ", i%7)
		_, err := s.handle.Fetch(soon(t), key)
		require.NoError(t, err)
		require.NoError(t, s.handle.DirectSet(soon(t), key, widget{Price: i}))
		got, err := s.handle.Fetch(soon(t), key)
		require.NoError(t, err)
		require.Equal(t, i, got.Price)
	}
}

func TestNearCache_forgets_what_is_too_old(t *testing.T) {
	t.Parallel()
	const maxAge = 2 * time.Second // what takes a sixteenth of it is not kept
	// A bucket that keeps nothing has no changes to tell of.
	source, loads, _ := counting()
	shops := nearShops(t, 2, plan{place: oneOwner[widget], loader: source, options: []bucket.Option{bucket.CacheEnabled(false)}}, maxAge)
	for _, s := range shops {
		before := loads.Load()
		for range 10 {
			_, err := s.handle.Fetch(soon(t), "a")
			require.NoError(t, err)
		}
		assert.Equal(t, before+1, loads.Load())
		time.Sleep(maxAge)
		_, err := s.handle.Fetch(soon(t), "a")
		require.NoError(t, err)
		assert.Equal(t, before+2, loads.Load())
		eventually(t, func() bool { return cluster.KeptLen(s.handle) == 0 }, "swept out")
	}
}

// While the owner cannot be heard, what is kept is served, and nothing more is kept.
func TestNearCache_serves_while_the_owner_is_gone(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	seeding := make(chan struct{}, 10)
	var hold atomic.Bool
	source := loader.Funcs[string, widget]{
		LoadFunc: widgets().Load,
		InitFunc: func(context.Context) (map[string]widget, error) {
			seeding <- struct{}{}
			if hold.Load() {
				<-release
			}
			return nil, nil
		},
	}
	shops := nearShops(t, 2, plan{place: oneOwner[widget], loader: source}, time.Hour)
	for _, s := range shops {
		eventually(t, func() bool {
			_, err := s.handle.Fetch(soon(t), "kept")
			_, kept := cluster.Kept(s.handle, "kept")
			return err == nil && kept
		}, "kept")
	}
	<-seeding
	owner, others := ownerOf(t, shops, "kept")
	hold.Store(true)
	go owner.leave(true)
	<-seeding // the next owner starts, and is not ready
	got, err := others[0].handle.Fetch(soon(t), "kept")
	require.NoError(t, err)
	assert.Equal(t, "kept", got.Name)
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_, err = others[0].handle.Fetch(ctx, "not kept")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	close(release)
	require.NoError(t, others[0].handle.Ready(soon(t)))
	eventually(t, func() bool {
		_, err = others[0].handle.Fetch(soon(t), "not kept")
		_, kept := cluster.Kept(others[0].handle, "not kept")
		return err == nil && kept
	}, "kept again")
}
