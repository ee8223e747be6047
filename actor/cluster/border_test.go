//go:build !race

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func TestBorder_a_bucket_elsewhere_answers_like_one_here(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet(), bucket.RefreshEvery(0))
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	pid := there.pid(b)

	want := widget{"left-handed", 11, []string{"a", "b"}, since}
	assert.Equal(t, bucket.Found{Value: want, Loaded: true}, here.ask(t, pid, bucket.Fetch{Key: "left-handed"}))
	assert.Equal(t, bucket.Found{Value: want}, here.ask(t, pid, bucket.Fetch{Key: "left-handed"}))
	assert.Equal(t, bucket.Found{Value: want}, here.ask(t, pid, bucket.Get{Key: "left-handed"}))
	assert.Equal(t, bucket.Missing{}, here.ask(t, pid, bucket.Get{Key: "no such"}))
	assert.Equal(t, bucket.Done{}, here.ask(t, pid, bucket.Set{Key: "set", Value: widget{Name: "mine"}}))
	held, _ := b.DirectGet("set")
	assert.Equal(t, widget{Name: "mine"}, held)
	assert.ElementsMatch(t, []any{"left-handed", "set"}, here.ask(t, pid, bucket.Keys{}).(bucket.KeyList).Keys)
	assert.Equal(t, bucket.Done{}, here.ask(t, pid, bucket.Delete{Key: "set"}))
	_, ok := b.DirectGet("set")
	assert.False(t, ok)
	refreshed := here.ask(t, pid, bucket.Refresh{}).(bucket.Refreshed)
	assert.Equal(t, "widgets", refreshed.Bucket)
	assert.Equal(t, b.Stats().LastRefresh, refreshed.Report)
}

func TestBorder_errors_are_the_same_on_both_sides(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	pid := there.pid(b)
	tests := []struct {
		question any
		is       error
	}{
		{bucket.Fetch{Key: "no such"}, loader.ErrNotFound},
		{bucket.Fetch{Key: "late"}, context.DeadlineExceeded},
		{bucket.Fetch{Key: widget{}.Price}, cluster.ErrNotCarried},
		{bucket.Fetch{Key: nil}, bucket.ErrKeyType},
		{bucket.Set{Key: "a", Value: "b"}, bucket.ErrValueType},
	}
	for _, tt := range tests {
		t.Run(fmt.Sprintf("%T %v", tt.question, tt.is), func(t *testing.T) {
			failed, ok := here.ask(t, pid, tt.question).(bucket.Failed)
			require.True(t, ok)
			require.ErrorIs(t, failed.Err, tt.is)
			if errors.Is(tt.is, cluster.ErrNotCarried) {
				return
			}
			local, ok := there.ask(t, b.PID(), tt.question).(bucket.Failed)
			require.True(t, ok)
			assert.Equal(t, local.Err.Error(), failed.Err.Error())
			for _, other := range []error{
				bucket.ErrNotRunning, bucket.ErrStopped, bucket.ErrBusy, bucket.ErrPersist, bucket.ErrKeyType,
				bucket.ErrValueType, loader.ErrNotFound, loader.ErrGoexit, context.Canceled, context.DeadlineExceeded,
			} {
				assert.Equal(t, errors.Is(local.Err, other), errors.Is(failed.Err, other), "%v", other)
			}
		})
	}

	failed := here.ask(t, pid, bucket.Fetch{Key: "panic"}).(bucket.Failed)
	var load *loader.Error
	require.ErrorAs(t, failed.Err, &load)
	assert.Equal(t, "widgets", load.Bucket)
	assert.Equal(t, "panic", load.Key)
	var panicked *loader.PanicError
	require.ErrorAs(t, failed.Err, &panicked)
	assert.Equal(t, "out of widgets", panicked.Value)
	assert.Contains(t, string(panicked.Stack), "samples_test.go")
}
