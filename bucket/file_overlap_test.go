package bucket_test

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
)

// Two loads land together. The arrival of the first lets the refresh go on to the key of the
// second, which must not begin with what was held before the second was made.
func TestFile_lets_a_load_begin_with_what_the_one_before_it_brought(t *testing.T) {
	ctx := context.Background()
	disk := newDisk(t)
	fsys := dumptest.Wrap(disk)
	src := newSource(map[string]int{"a": 1, "b": 1})
	b := bucket.New("numbers", loader.Func(src.Load), quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1),
		bucket.File(filePath), bucket.FileSystem(fsys))
	start(t, b)
	for _, k := range []string{"a", "b"} {
		_, err := b.Fetch(ctx, k)
		require.NoError(t, err)
		<-src.begun
	}
	keys := b.Keys()
	first, second := keys[0], keys[1]
	openFirst := src.gate(first)
	src.set(second, 2)
	openSecond := src.gate(second)

	refreshed := make(chan bucket.Report, 1)
	go func() { r, _ := b.Refresh(ctx); refreshed <- r }()
	require.Equal(t, first, <-src.begun) // the sweep loads the first
	reloaded := make(chan int, 1)
	go func() { v, _ := b.RefreshKey(ctx, second); reloaded <- v }()
	require.Equal(t, second, <-src.begun) // brings 2
	src.set(second, 1)                    // the source has 1 again from now on

	reached, resume := fsys.Pause(dumptest.Write, 1) // the actor waits for the disk while both land
	go func() { _ = b.DirectSet(ctx, "z", 1) }()
	<-reached
	openFirst()
	time.Sleep(50 * time.Millisecond)
	openSecond()
	time.Sleep(50 * time.Millisecond)
	resume()
	<-reloaded
	<-refreshed
	require.NotEmpty(t, src.begun, "the refresh loads the second, too")
	value, _ := b.DirectGet(second)
	require.Equal(t, 1, value, "the last load of the key brought 1")
}

// The refresh comes to a key whose load has landed and is not yet written, and for which
// somebody waits who came after it had gone stale. A Set has to know of the one load of it.
func TestFile_never_has_two_loads_of_a_key(t *testing.T) {
	ctx := context.Background()
	disk := newDisk(t)
	fsys := dumptest.Wrap(disk)
	src := newSource(map[string]int{"a": 1, "b": 1})
	b := bucket.New("numbers", loader.Func(src.Load), quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1),
		bucket.File(filePath), bucket.FileSystem(fsys))
	start(t, b)
	for _, k := range []string{"a", "b"} {
		_, err := b.Fetch(ctx, k)
		require.NoError(t, err)
		<-src.begun
	}
	keys := b.Keys()
	first, second := keys[0], keys[1]
	openFirst, openSecond := src.gate(first), src.gate(second)

	refreshed := make(chan bucket.Report, 1)
	go func() { r, _ := b.Refresh(ctx); refreshed <- r }()
	require.Equal(t, first, <-src.begun)
	go func() { _, _ = b.RefreshKey(ctx, second) }()
	require.Equal(t, second, <-src.begun)
	require.NoError(t, b.DirectSet(ctx, second, 10)) // its flight is stale
	reloaded := make(chan int, 1)
	go func() { v, _ := b.RefreshKey(ctx, second); reloaded <- v }() // waits for the next
	time.Sleep(50 * time.Millisecond)

	reached, resume := fsys.Pause(dumptest.Write, 1)
	go func() { _ = b.DirectSet(ctx, "z", 1) }()
	<-reached
	openFirst()
	time.Sleep(50 * time.Millisecond)
	openSecond()
	time.Sleep(50 * time.Millisecond)
	again := src.gate(second)
	resume()
	time.Sleep(100 * time.Millisecond)
	require.NoError(t, b.DirectSet(ctx, second, 99)) // acknowledged, after every load had begun
	again()
	<-reloaded
	<-refreshed
	require.False(t, src.overlap.Load(), "two loads of one key at a time")
	value, _ := b.DirectGet(second)
	require.Equal(t, 99, value, "an acknowledged Set was overwritten by a load that began before it")
}

// A refresh was answered, and then the bucket stops: the file says when that was, although it
// found nothing new to write.
func TestFile_remembers_a_refresh_that_ended_just_before_the_stop(t *testing.T) {
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "numbers.dump")
	seed := make(map[string]int)
	for i := range 5000 {
		seed[fmt.Sprint("key", i)] = i
	}
	b := bucket.New("numbers", loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, key string) (int, error) { return seed[key], nil },
		InitFunc: func(context.Context) (map[string]int, error) { return seed, nil },
	}, quiet(), bucket.File(path), bucket.RefreshEvery(time.Hour), bucket.RefreshConcurrency(64))

	var ended time.Time
	var before bucket.Entry[int]
	life(t, b, func() {
		time.Sleep(300 * time.Millisecond)
		began := time.Now()
		_, err := b.Refresh(ctx)
		require.NoError(t, err)
		ended = time.Now()
		before, _ = b.Entry("key5")
		require.False(t, before.LoadedAt.Before(began))
	})
	life(t, b, func() {
		require.WithinDuration(t, ended, b.Stats().Persist.Recovery.FreshAt, 200*time.Millisecond)
		after, _ := b.Entry("key5")
		require.True(t, before.LoadedAt.Equal(after.LoadedAt), "%v, %v", before.LoadedAt, after.LoadedAt)
	})
}
