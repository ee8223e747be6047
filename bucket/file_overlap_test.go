package bucket_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump/dumptest"
	"github.com/dataworker-go/dataworker/loader"
)

// overlap is a bucket that refreshes one key at a time, and whose disk can be made to wait.
type overlap struct {
	*bucket.Bucket[string, int]
	src           *source
	disk          *dumptest.Injected
	first, second string // in the order in which a refresh comes to them
}

func newOverlap(t *testing.T) *overlap {
	t.Helper()
	src, disk := newSource(map[string]int{"a": 1, "b": 1}), dumptest.Wrap(newDisk(t))
	b := bucket.New("numbers", loader.Func(src.Load), quiet(), bucket.RefreshEvery(0), bucket.RefreshConcurrency(1),
		bucket.File(filePath), bucket.FileSystem(disk))
	start(t, b)
	for _, key := range []string{"a", "b"} {
		_, err := b.Fetch(t.Context(), key)
		require.NoError(t, err)
		<-src.begun
	}
	_, err := b.Refresh(t.Context()) // from now on, keys are refreshed in the order of Keys
	require.NoError(t, err)
	<-src.begun
	<-src.begun
	synctest.Wait()
	keys := b.Keys()
	return &overlap{Bucket: b, src: src, disk: disk, first: keys[0], second: keys[1]}
}

// landTogether has both loads land while the bucket waits for the disk.
func (o *overlap) landTogether(t *testing.T, openFirst, openSecond func()) (resume func()) {
	t.Helper()
	reached, resume := o.disk.Pause(dumptest.Write, 1)
	go func() { _ = o.DirectSet(context.Background(), "z", 1) }()
	<-reached
	openFirst()
	synctest.Wait()
	openSecond()
	synctest.Wait()
	return resume
}

// Two loads land together. The arrival of the first lets the refresh go on to the key of the
// second, which must not begin with what was held before the second was made.
func TestFile_lets_a_load_begin_with_what_the_one_before_it_brought(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx := t.Context()
		o := newOverlap(t)
		openFirst := o.src.gate(o.first)
		o.src.set(o.second, 2)
		openSecond := o.src.gate(o.second)

		done := make(chan struct{}, 2)
		go func() { _, _ = o.Refresh(ctx); done <- struct{}{} }()
		require.Equal(t, o.first, <-o.src.begun)
		go func() { _, _ = o.RefreshKey(ctx, o.second); done <- struct{}{} }()
		require.Equal(t, o.second, <-o.src.begun) // brings 2
		o.src.set(o.second, 1)                    // the source has 1 again from now on

		o.landTogether(t, openFirst, openSecond)()
		<-done
		<-done
		require.NotEmpty(t, o.src.begun, "the refresh loads the second, too")
		value, _ := o.DirectGet(o.second)
		require.Equal(t, 1, value, "the last load of the key brought 1")
	})
}

// The refresh comes to a key whose load has landed and is not yet written, and for which
// somebody waits who came after it had gone stale. A Set has to know of the one load of it.
func TestFile_never_has_two_loads_of_a_key(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		ctx := t.Context()
		o := newOverlap(t)
		openFirst, openSecond := o.src.gate(o.first), o.src.gate(o.second)

		done := make(chan struct{}, 2)
		go func() { _, _ = o.Refresh(ctx); done <- struct{}{} }()
		require.Equal(t, o.first, <-o.src.begun)
		go func() { _, _ = o.RefreshKey(ctx, o.second) }()
		require.Equal(t, o.second, <-o.src.begun)
		require.NoError(t, o.DirectSet(ctx, o.second, 10))                     // its flight is stale
		go func() { _, _ = o.RefreshKey(ctx, o.second); done <- struct{}{} }() // waits for the next
		synctest.Wait()

		resume := o.landTogether(t, openFirst, openSecond)
		again := o.src.gate(o.second)
		resume()
		synctest.Wait()
		require.NoError(t, o.DirectSet(ctx, o.second, 99)) // acknowledged, after every load had begun
		again()
		<-done
		<-done
		require.False(t, o.src.overlap.Load(), "two loads of one key at a time")
		value, _ := o.DirectGet(o.second)
		require.Equal(t, 99, value, "an acknowledged Set was overwritten by a load that began before it")
	})
}

// A refresh was answered, and then the bucket stops: the file says when that was, although it
// found nothing new to write.
func TestFile_remembers_a_refresh_that_ended_just_before_the_stop(t *testing.T) {
	tests := []struct {
		name      string
		refreshes int // while the file is written anew
	}{
		{"while the file is written anew for it", 1},
		{"while the file is written anew for the one before", 2},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				disk := dumptest.Wrap(newDisk(t))
				src := newSource(map[string]int{"a": 1})
				b := bucket.New("numbers", loader.Func(src.Load), quiet(), bucket.File(filePath), bucket.FileSystem(disk))
				var ended time.Time
				life(t, b, func() {
					_, err := b.Fetch(t.Context(), "a")
					require.NoError(t, err)
					reached, resume := disk.Pause(dumptest.Create, 1)
					for range tt.refreshes {
						time.Sleep(time.Minute)
						_, err = b.Refresh(t.Context())
						require.NoError(t, err)
						ended = time.Now()
					}
					<-reached
					time.AfterFunc(time.Second, resume) // the stop has begun by then
				})
				time.Sleep(time.Minute)
				life(t, b, func() {
					freshAt := b.Stats().Persist.Recovery.FreshAt
					require.True(t, ended.Equal(freshAt), "%v, %v", ended, freshAt)
					entry, _ := b.Entry("a")
					require.True(t, ended.Equal(entry.LoadedAt), "%v, %v", ended, entry.LoadedAt)
				})
			})
		})
	}
}
