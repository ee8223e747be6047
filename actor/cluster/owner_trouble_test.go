//go:build !race

package cluster_test

import (
	"context"
	"errors"
	"os"
	"sync/atomic"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

func TestOwner_is_made_again_when_its_supervisor_has_given_it_up(t *testing.T) {
	t.Parallel()
	_, shops := openShops(t, 2, plan{place: oneOwner[widget], loader: widgets()})
	_, err := shops[0].handle.Fetch(soon(t), "a")
	require.NoError(t, err)
	owner, others := ownerOf(t, shops, "a")
	first := owner.widgets.PID()
	for range 1000 { // more than any supervisor bears
		if pid := owner.widgets.PID(); pid != nil && pid.Equal(first) {
			owner.system.Root.Send(pid, bucket.Crash{Reason: "drill"})
		}
	}
	require.Eventually(t, func() bool {
		pid := owner.widgets.PID()
		return pid == nil || !pid.Equal(first)
	}, 30*time.Second, 10*time.Millisecond, "given up") // it pauses for longer each time
	for _, s := range []*shop{owner, others[0]} {
		got, err := s.handle.Fetch(soon(t), "b")
		require.NoError(t, err)
		assert.Equal(t, "b", got.Name)
	}
}

// protoactor starts a grain for whoever asks for it, also in a member that is not to own it.
func TestOwner_that_is_not_the_one_leaves(t *testing.T) {
	t.Parallel()
	_, shops := openShops(t, 2, plan{place: oneOwner[widget], loader: widgets()})
	_, err := shops[0].handle.Fetch(soon(t), "a")
	require.NoError(t, err)
	owner, others := ownerOf(t, shops, "a")
	activator := protoactor.NewPID(others[0].system.Address(), "partition-activator")
	_, err = others[0].system.Root.RequestFuture(activator, &protocluster.ActivationRequest{
		ClusterIdentity: protocluster.NewClusterIdentity("widgets", "dataworker.widgets"),
	}, time.Second).Result()
	require.NoError(t, err)
	eventually(t, func() bool { return others[0].widgets.PID() != nil }, "there are two")
	eventually(t, func() bool { return others[0].widgets.PID() == nil }, "the second one leaves")
	assert.NotNil(t, owner.widgets.PID())
}

// Two clusters that do not know each other take themselves for the owner, on one disk.
func TestOneOwner_does_not_share_its_file(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/widgets.dump"
	down := loader.Func(func(context.Context, string) (widget, error) { return widget{}, errors.New("down") })
	p := plan{place: oneOwner[widget], loader: down, options: []bucket.Option{bucket.File(file)}}
	_, ones := openShops(t, 1, p)
	one := ones[0]
	require.NoError(t, one.handle.DirectSet(soon(t), "set", widget{Name: "by one"}))
	_, others := openShops(t, 1, p)
	other := others[0]

	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := other.handle.Fetch(ctx, "set")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	require.ErrorIs(t, err, dump.ErrLocked, "and why")

	waiting := make(chan error, 1)
	go func() {
		got, err := other.handle.Fetch(soon(t), "set")
		assert.Equal(t, "by one", got.Name)
		waiting <- err
	}()
	require.NoError(t, one.handle.DirectSet(soon(t), "last", widget{Name: "by one"}))
	one.leave(true)
	require.NoError(t, <-waiting, "it has got the file")
	got, err := other.handle.Fetch(soon(t), "last")
	require.NoError(t, err)
	assert.Equal(t, "by one", got.Name)
	_, err = os.Stat(file)
	require.NoError(t, err)
}

func TestOwner_that_starts_with_a_file_asks_its_source_at_once(t *testing.T) {
	t.Parallel()
	p := plan{place: oneOwner[widget], loader: widgets(), options: []bucket.Option{bucket.File(t.TempDir() + "/widgets.dump")}}
	_, shops := openShops(t, 1, p)
	require.NoError(t, shops[0].handle.DirectSet(soon(t), "a", widget{Name: "old"}))
	shops[0].leave(true)
	_, shops = openShops(t, 1, p)
	eventually(t, func() bool {
		got, err := shops[0].handle.Fetch(soon(t), "a")
		return err == nil && got.Name == "a"
	}, "loaded again")
}

// What is lost with its owner is asked again, and when there is no other one, the caller knows why.
func TestHandle_asks_again_what_is_lost(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	var starts atomic.Int64
	slow := loader.Funcs[string, widget]{
		LoadFunc: widgets().Load,
		InitFunc: func(context.Context) (map[string]widget, error) {
			starts.Add(1)
			<-release
			return nil, nil
		},
	}
	agent, shops := openShops(t, 1, plan{place: oneOwner[widget], loader: slow})
	asker := openShop(t, agent, plan{place: oneOwner[widget], loader: slow, guest: true})
	know(t, shops[0], asker)
	written, fetched := make(chan error, 1), make(chan error, 1)
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	go func() { written <- asker.handle.DirectSet(ctx, "a", widget{}) }()
	go func() {
		_, err := asker.handle.Fetch(ctx, "a")
		fetched <- err
	}()
	eventually(t, func() bool { return starts.Load() == 1 }, "the owner starts")
	time.Sleep(100 * time.Millisecond)
	shops[0].cluster.Remote.Shutdown(false) // as if it was killed
	for _, failed := range []chan error{written, fetched} {
		err := <-failed
		require.ErrorIs(t, err, context.DeadlineExceeded)
		require.ErrorIs(t, err, cluster.ErrLost)
	}
	close(release)
}

// A bucket that stops in the middle of many keys has not served some of them. Another one does.
func TestHandle_asks_again_for_those_of_many_that_were_not_served(t *testing.T) {
	t.Parallel()
	var slow atomic.Bool
	source := loader.Func(func(ctx context.Context, key string) (widget, error) {
		if key == "slow" && slow.CompareAndSwap(true, false) {
			<-ctx.Done()
		}
		return widgets().Load(ctx, key)
	})
	_, shops := openShops(t, 2, plan{place: oneOwner[widget], loader: source})
	_, err := shops[0].handle.Fetch(soon(t), "a")
	require.NoError(t, err)
	owner, others := ownerOf(t, shops, "a")
	for _, s := range []*shop{owner, others[0]} {
		require.NoError(t, s.handle.Delete(soon(t), "slow")) // and it knows the owner
		slow.Store(true)
		type answer struct {
			found map[string]widget
			err   error
		}
		answers := make(chan answer, 1)
		go func() {
			found, err := s.handle.FetchMany(soon(t), []string{"a", "no such", "slow"})
			answers <- answer{found, err}
		}()
		eventually(t, func() bool { return !slow.Load() && owner.widgets.Stats().Running == 1 }, "loading")
		owner.system.Root.Poison(owner.cluster.Get("widgets", "dataworker.widgets"))
		got := <-answers
		require.ErrorIs(t, got.err, loader.ErrNotFound)
		require.NotErrorIs(t, got.err, bucket.ErrStopped)
		assert.Len(t, got.found, 2)
	}
}

func TestHandle_brings_the_bucket_s_errors(t *testing.T) {
	t.Parallel()
	down := errors.New("the source is down")
	source := loader.Func(func(ctx context.Context, key string) (widget, error) {
		switch key {
		case "panic":
			panic("out of widgets")
		case "slow":
			<-ctx.Done()
			return widget{}, ctx.Err()
		}
		return widget{}, down
	})
	_, shops := openShops(t, 2, plan{place: oneOwner[widget], loader: source, options: []bucket.Option{
		bucket.MaxWaiting(0), bucket.MaxConcurrentLoads(1), bucket.LoadTimeout(500 * time.Millisecond),
	}})
	_, err := shops[0].handle.Fetch(soon(t), "a")
	require.ErrorContains(t, err, down.Error())
	owner, others := ownerOf(t, shops, "a")
	for _, s := range []*shop{owner, others[0]} {
		var load *loader.Error
		var panicked *loader.PanicError
		_, err = s.handle.Fetch(soon(t), "panic")
		require.ErrorAs(t, err, &load)
		require.ErrorAs(t, err, &panicked)
		assert.Equal(t, "panic", load.Key)

		slow := make(chan error, 1)
		go func() {
			_, err := s.handle.Fetch(soon(t), "slow")
			slow <- err
		}()
		eventually(t, func() bool { return owner.widgets.Stats().Running > 0 }, "loading")
		_, err = s.handle.Fetch(soon(t), "another")
		require.ErrorIs(t, err, bucket.ErrBusy)
		require.ErrorIs(t, <-slow, context.DeadlineExceeded)
		eventually(t, func() bool { return owner.widgets.Stats().Running == 0 }, "idle")
	}
}
