package bucket_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

const killVariable = "DATAWORKER_KILL" // path, policy and first number of a child

var killPolicies = []bucket.SyncPolicy{bucket.SyncAlways, bucket.SyncEvery(5 * time.Millisecond), bucket.SyncNever}

const killWriters = 4

// killedBucket is the bucket of the children that are killed, and of their parent. Loads
// bring the number in the key.
func killedBucket(path string, policy bucket.SyncPolicy) *bucket.Bucket[string, int] {
	return bucket.New("numbers", loader.Funcs[string, int]{
		LoadFunc: func(_ context.Context, key string) (n int, err error) {
			_, err = fmt.Sscanf(key, "load-%d", &n)
			return n, err
		},
		ReloadFunc: func(_ context.Context, key string, old int) (int, error) {
			if strings.HasPrefix(key, "load-") {
				return old + million, nil
			}
			return 0, loader.ErrUnchanged
		},
	}, quiet(), bucket.File(path), bucket.Sync(policy), bucket.CompactAfter(4000), bucket.RefreshEvery(0))
}

// deleted says whether the write of a number to its key is a deletion.
func deleted(n int) bool { return n%7 == 3 }

// TestFile_kill_child is what the children do until they are killed.
func TestFile_kill_child(t *testing.T) {
	order := os.Getenv(killVariable)
	if order == "" {
		t.Skip("only a child of TestFile_loses_nothing_to_a_kill")
	}
	var policy, first int
	var path string
	if _, err := fmt.Sscan(order, &path, &policy, &first); err != nil {
		panic(err)
	}
	b := killedBucket(path, killPolicies[policy])
	if _, err := supervisor.Start(context.Background(), newSystem(), b); err != nil {
		panic(err)
	}
	say := sayer()
	for w := range killWriters {
		go func() {
			key := fmt.Sprint("set-", w)
			for n := first; ; n++ {
				var err error
				say("sent", key, n)
				if deleted(n) {
					err = b.Delete(context.Background(), key)
				} else {
					err = b.DirectSet(context.Background(), key, n)
				}
				if err == nil {
					say("acked", key, n)
				}
			}
		}()
	}
	go func() {
		for n := first; ; n++ {
			if _, err := b.Fetch(context.Background(), fmt.Sprint("load-", n)); err == nil {
				say("acked", fmt.Sprint("load-", n), n)
			}
			if n%20 == 0 {
				_, _ = b.Refresh(context.Background())
			}
		}
	}()
	select {}
}

func TestFile_loses_nothing_to_a_kill(t *testing.T) {
	kills := 5
	if torturing {
		kills = 200
	}
	for at, policy := range killPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "numbers.dump")
			sent, acked := map[string]int{}, map[string]int{}
			first, total := 1, 0
			for kill := range kills {
				runChild(t, "TestFile_kill_child", fmt.Sprint(path, " ", at, " ", first), func(word, key string, n int) {
					first = max(first, n+1)
					if word == "sent" {
						sent[key] = n
					} else {
						acked[key] = n
						total++
					}
				})
				table := map[string]int{}
				if kill%2 == 0 {
					m := memory[int]{values: &sync.Map{}}
					d, _, err := dump.Open(context.Background(), path, m, dump.Options{Name: "numbers"})
					require.NoError(t, err)
					require.NoError(t, ignoreBroken(d.Close()))
					table = m.all()
				} else {
					b := killedBucket(path, policy)
					life(t, b, func() { table = tableOf(b) })
				}
				for key, least := range acked {
					got, there := table[key]
					if strings.HasPrefix(key, "load-") {
						require.True(t, there, "%s was acknowledged", key)
						require.Equal(t, least, got%million, key)
						continue
					}
					most := max(least, sent[key])
					if !there {
						require.True(t, deleted(least) || deleted(most), "%s is missing: %d..%d", key, least, most)
						continue
					}
					require.True(t, got >= least && got <= most && !deleted(got), "%s is %d, and should be %d..%d", key, got, least, most)
				}
				// What a kill left in doubt is settled now.
				for key := range sent {
					acked[key] = table[key]
					if _, there := table[key]; !there {
						delete(acked, key)
					}
				}
			}
			names, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*.tmp-*"))
			require.NoError(t, err)
			require.Empty(t, names)
			require.Greater(t, total, 10*kills)
			t.Log(total, "acknowledged writes,", kills, "kills")
		})
	}
}

// sayer returns what tells the parent of a child of something, for many goroutines.
func sayer() func(word, key string, n int) {
	var mu sync.Mutex
	return func(word, key string, n int) {
		mu.Lock()
		defer mu.Unlock()
		fmt.Printf("\n%s %s %d .\n", word, key, n)
	}
}

// runChild starts a child, kills it after a while and hears what it said.
func runChild(t *testing.T, name, order string, hear func(word, key string, n int)) {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^"+name+"$")
	child.Env = append(os.Environ(), killVariable+"="+order)
	child.Stderr = os.Stderr
	out, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	var timer *time.Timer
	for lines := bufio.NewScanner(out); lines.Scan(); {
		var word, key, end string
		var n int
		if read, _ := fmt.Sscan(lines.Text(), &word, &key, &n, &end); read < 4 || end != "." {
			continue // not a line of ours, or one that the kill cut
		}
		if timer == nil { // from the first word on: the start takes its time
			timer = time.AfterFunc(time.Duration(rand.IntN(int(100*time.Millisecond))), func() { _ = child.Process.Kill() })
		}
		hear(word, key, n)
	}
	var exit *exec.ExitError
	require.True(t, errors.As(child.Wait(), &exit))
	require.NotNil(t, timer, "it said nothing")
}
