package bucket_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// TestFile_publication_child publishes one generation after the other, until it is killed. All
// values of a generation are the same.
func TestFile_publication_child(t *testing.T) {
	order := os.Getenv(killVariable)
	if order == "" {
		t.Skip("only a child of TestFile_holds_one_generation_after_a_kill")
	}
	var path string
	var first int
	if _, err := fmt.Sscan(order, &path, &first); err != nil {
		panic(err)
	}
	var state atomic.Int64
	state.Store(int64(first))
	load := func(_ context.Context, key string) (int, error) {
		var n int
		if _, err := fmt.Sscanf(key, "set-%d", &n); err == nil {
			return 0, loader.ErrUnchanged
		}
		return int(state.Load()), nil
	}
	b := bucket.New("numbers", loader.Funcs[string, int]{
		LoadFunc:   load,
		ReloadFunc: func(ctx context.Context, key string, _ int) (int, error) { return load(ctx, key) },
		InitFunc: func(context.Context) (map[string]int, error) {
			seed := make(map[string]int)
			for i := range 2000 {
				seed[fmt.Sprint("key-", i)] = first
			}
			return seed, nil
		},
	}, quiet(), bucket.File(path), bucket.Sync(bucket.SyncNever), bucket.RefreshEvery(0))
	if _, err := supervisor.Start(context.Background(), newSystem(), b); err != nil {
		panic(err)
	}
	say := sayer()
	go func() {
		for n := first; ; n++ {
			say("sent", "set-0", n)
			if err := b.DirectSet(context.Background(), "set-0", n); err == nil {
				say("acked", "set-0", n)
			}
		}
	}()
	for {
		if _, err := b.Refresh(context.Background()); err == nil {
			say("acked", "generation", int(state.Load()))
		}
		state.Add(1)
	}
}

func TestFile_holds_one_generation_after_a_kill(t *testing.T) {
	kills := 8
	if torturing {
		kills = 100
	}
	path := filepath.Join(t.TempDir(), "numbers.dump")
	first, acked, sent, published := 1, 0, 0, 0
	for range kills {
		runChild(t, "TestFile_publication_child", fmt.Sprint(path, " ", first), func(word, key string, n int) {
			first = max(first, n+1)
			switch {
			case key == "generation":
				published++
			case word == "acked":
				acked = n
			default:
				sent = n
			}
		})
		m := memory[int]{values: &sync.Map{}}
		d, _, err := dump.Open(context.Background(), path, m, dump.Options{Name: "numbers"})
		require.NoError(t, err)
		require.NoError(t, ignoreBroken(d.Close()))
		generation, keys := 0, 0
		for key, value := range m.all() {
			if !strings.HasPrefix(key, "key-") {
				require.True(t, value >= acked && value <= sent, "%s is %d, and should be %d..%d", key, value, acked, sent)
				continue
			}
			if keys++; generation == 0 {
				generation = value
			}
			require.Equal(t, generation, value, "a mixture")
		}
		require.Equal(t, 2000, keys)
	}
	require.Positive(t, published)
	t.Log(published, "generations,", kills, "kills")
}
