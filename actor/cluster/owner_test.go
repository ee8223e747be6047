//go:build !race

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/loader"
)

func TestOneOwner_serves_all_members_and_moves_when_it_leaves(t *testing.T) {
	t.Parallel()
	var loads atomic.Int64
	counted := loader.Func(func(ctx context.Context, key string) (widget, error) {
		loads.Add(1)
		return widgets().Load(ctx, key)
	})
	_, shops := openShops(t, 3, plan{place: oneOwner[widget], loader: counted})

	for _, s := range shops {
		got, err := s.handle.Fetch(soon(t), "left-handed")
		require.NoError(t, err)
		assert.Equal(t, 11, got.Price)
	}
	assert.EqualValues(t, 1, loads.Load(), "one bucket, one load")
	require.NoError(t, shops[0].handle.DirectSet(soon(t), "set", widget{Name: "mine"}))
	got, ok := shops[1].handle.Get(soon(t), "set")
	assert.True(t, ok)
	assert.Equal(t, "mine", got.Name)
	_, err := shops[2].handle.Fetch(soon(t), "no such")
	require.ErrorIs(t, err, loader.ErrNotFound)
	keys, err := shops[2].handle.Keys(soon(t))
	require.NoError(t, err)
	assert.ElementsMatch(t, []string{"left-handed", "set"}, keys)
	require.NoError(t, shops[1].handle.Delete(soon(t), "set"))
	report, err := shops[0].handle.Refresh(soon(t))
	require.NoError(t, err)
	assert.Equal(t, 1, report.Loaded)

	var owners, others []*shop
	for _, s := range shops {
		if s.widgets.PID() != nil {
			owners = append(owners, s)
		} else {
			others = append(others, s)
		}
	}
	require.Len(t, owners, 1)
	asking := make(chan error, 1)
	stop := make(chan struct{})
	go func() { // nobody's question is lost meanwhile
		for i := 0; ; i++ {
			select {
			case <-stop:
				asking <- nil
				return
			default:
				if _, err := others[0].handle.Fetch(context.WithoutCancel(t.Context()), fmt.Sprint("key ", i%100)); err != nil {
					asking <- err
					return
				}
			}
		}
	}()
	owners[0].leave(true)
	_, err = others[1].handle.Fetch(soon(t), "after")
	require.NoError(t, err)
	close(stop)
	require.NoError(t, <-asking)
	running := 0
	for _, s := range others {
		if s.widgets.PID() != nil {
			running++
		}
	}
	assert.Equal(t, 1, running)
}

func TestOneOwner_that_is_vetoed_tells_everybody_why(t *testing.T) {
	t.Parallel()
	closed := errors.New("closed on Sundays")
	vetoed := loader.Funcs[string, widget]{
		LoadFunc: widgets().Load,
		InitFunc: func(context.Context) (map[string]widget, error) { return nil, loader.Veto(closed) },
	}
	_, shops := openShops(t, 2, plan{place: oneOwner[widget], loader: vetoed})
	for _, s := range shops {
		_, err := s.handle.Fetch(soon(t), "a")
		require.True(t, loader.IsVeto(err), "%v", err)
		require.ErrorContains(t, err, closed.Error())
	}
}
