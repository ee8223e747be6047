package dump_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// kill -9 at any moment loses nothing that was acknowledged, whatever the policy; but with
// Buffered the end of it. The process that is killed is this test binary, in another role.
func TestTorture_kill_loses_nothing_acknowledged(t *testing.T) {
	t.Parallel()
	if runtime.GOOS == "windows" {
		t.Skip("the pipe to the child needs ExtraFiles")
	}
	const kills = 10 // of one file
	series := rounds(20, 20, 1000)
	workers := make(chan struct{}, 2)
	for number := range series {
		policy := allPolicies[number%len(allPolicies)]
		work := []string{"write", "rewrite", "reopen"}[number%3]
		t.Run(fmt.Sprintf("%v/%s/%d", policy, work, number), func(t *testing.T) {
			t.Parallel()
			workers <- struct{}{}
			defer func() { <-workers }()
			v := victim{T: t, path: filepath.Join(t.TempDir(), "texts.dump"), policy: policy, work: work}
			for range kills {
				v.kill()
			}
			t.Logf("steps: %v", v.made)
		})
	}
}

const (
	writers     = 4 // each has keys of its own, and makes a fixed row of steps
	keysPerHand = 4

	victimEnv = "DUMP_TEST_VICTIM"
)

// step is what a writer does at its nth step, from 1.
func step(writer, nth int) (changes []change) {
	random := rand.New(rand.NewPCG(uint64(writer), uint64(nth)))
	value := fmt.Sprint(nth, strings.Repeat(".", random.IntN(300)))
	key := func(i int) string { return fmt.Sprint(writer, "/", i) }
	if random.IntN(4) > 0 {
		return []change{{key: key(random.IntN(keysPerHand)), value: value, deleted: random.IntN(5) == 0}}
	}
	for i := range keysPerHand {
		changes = append(changes, change{key: key(i), value: value, deleted: random.IntN(5) == 0})
	}
	return changes
}

// victim is a file, and how far each writer has got with it.
type victim struct {
	*testing.T
	path   string
	policy dump.SyncPolicy
	work   string
	made   [writers]int               // steps that are in the file
	tables [writers]map[string]string // what they have made
}

// kill starts a process on the file, kills it, and looks at what it left.
func (v *victim) kill() {
	from, to, err := os.Pipe()
	require.NoError(v, err)
	defer from.Close() //nolint:errcheck // it was only read

	child := exec.Command(os.Args[0], "-test.run=^TestVictim_is_not_a_test$") //nolint:gosec // it is this binary
	child.Env = append(os.Environ(), fmt.Sprintf("%s=%s %d %s %s", victimEnv, v.path, int64(v.policy), v.work,
		strings.Trim(fmt.Sprint(v.made), "[]")), "GORACE=atexit_sleep_ms=0")
	child.ExtraFiles = []*os.File{to}
	var output strings.Builder
	child.Stdout, child.Stderr = &output, &output
	require.NoError(v, child.Start())
	require.NoError(v, to.Close())

	reports := bufio.NewReader(from)
	if _, err := reports.ReadByte(); err != nil { // it is about to open the dump
		require.Fail(v, "the child ended", "%v: %v, %s", err, child.Wait(), output.String())
	}
	limit := 30 * time.Millisecond
	if rand.IntN(3) == 0 {
		limit = time.Millisecond // during the opening
	}
	timer := time.AfterFunc(rand.N(limit), func() { _ = child.Process.Kill() })
	defer timer.Stop()
	sent, acked := v.made, v.made
	for {
		var report [6]byte
		if _, err := io.ReadFull(reports, report[:]); err != nil {
			break
		}
		nth := int(binary.LittleEndian.Uint32(report[2:]))
		if report[0] == 'S' {
			sent[report[1]] = nth
		} else {
			acked[report[1]] = nth
		}
	}
	_ = child.Wait()
	require.Equal(v, -1, child.ProcessState.ExitCode(), "the child ended by itself: %s", output.String())
	v.look(acked, sent)
}

// look requires that each writer's keys are as after one of its steps: at least the last that
// was acknowledged, at most the last that was begun.
func (v *victim) look(acked, sent [writers]int) {
	d, m, recovery := open(v, v.path, dump.Options{Sync: v.policy})
	require.NoError(v, d.Close())
	for writer := range writers {
		table := maps.Clone(v.tables[writer])
		if table == nil {
			table = make(map[string]string)
		}
		got := make(map[string]string)
		for key, value := range m.values() {
			if strings.HasPrefix(key, fmt.Sprint(writer, "/")) {
				got[key] = value
			}
		}
		least := acked[writer]
		if v.policy == dump.Buffered {
			least = v.made[writer]
		}
		nth := v.made[writer]
		for ; nth < least || !maps.Equal(got, table); nth++ {
			require.Less(v, nth, sent[writer], "writer %d: found %v (%v), acknowledged %d, sent %d",
				writer, brief(got), recovery.Outcome, acked[writer], sent[writer])
			table = applied(table, step(writer, nth+1))
		}
		v.made[writer], v.tables[writer] = nth, table
	}
}

// TestVictim_is_not_a_test: it is the process that is killed, when another test starts it.
func TestVictim_is_not_a_test(t *testing.T) {
	role := strings.Fields(os.Getenv(victimEnv))
	if len(role) == 0 {
		t.Skip("nobody wants to kill it")
	}
	c := child{T: t, path: role[0], work: role[2], reports: os.NewFile(3, "reports"), table: make(map[string]string)}
	policy, err := strconv.ParseInt(role[1], 10, 64)
	require.NoError(t, err)
	c.policy = dump.SyncPolicy(policy)
	_, err = c.reports.WriteString("B")
	require.NoError(t, err)
	c.open()
	for writer := range writers {
		made, err := strconv.Atoi(role[3+writer])
		require.NoError(t, err)
		go c.write(writer, made)
	}
	c.disturb()
}

// child writes until it is killed.
type child struct {
	*testing.T
	path    string
	policy  dump.SyncPolicy
	work    string
	reports *os.File

	use   sync.RWMutex // held for reading by those who write; for writing, to begin a rewrite, to close
	d     *dump.Dump[string, string]
	mu    sync.Mutex // guards table
	table map[string]string
}

func (c *child) open() {
	m := newMemory[string, string]()
	d, _, err := dump.Open(context.Background(), c.path, m, dump.Options{Name: "texts", Sync: c.policy, CompactAfter: 4 << 10})
	require.NoError(c, err)
	c.d, c.table = d, m.values()
	if c.d.Broken() != nil {
		_, err := c.d.Rewrite(context.Background(), snapshotOf(c.table))
		require.NoError(c, err)
	}
}

func (c *child) write(writer, made int) {
	for nth := made + 1; ; nth++ {
		changes := step(writer, nth)
		c.use.RLock()
		c.report('S', writer, nth)
		k := keeper{d: c.d}
		if err := k.send(changes); err != nil {
			panic(err)
		}
		c.mu.Lock()
		c.table = applied(c.table, changes)
		c.mu.Unlock()
		c.report('A', writer, nth)
		c.use.RUnlock()
	}
}

func (c *child) report(what byte, writer, nth int) {
	b := binary.LittleEndian.AppendUint32([]byte{what, byte(writer)}, uint32(nth))
	if _, err := c.reports.Write(b); err != nil {
		panic(err)
	}
}

// disturb rewrites, syncs and reopens the dump while others write.
func (c *child) disturb() {
	for {
		switch {
		case c.work == "rewrite" || c.d.Overgrown():
			c.rewrite()
		case c.work == "reopen":
			time.Sleep(2 * time.Millisecond)
			c.use.Lock()
			require.NoError(c, c.d.Close())
			c.open()
			c.use.Unlock()
		default:
			require.NoError(c, c.d.Sync())
			time.Sleep(time.Millisecond)
		}
	}
}

func (c *child) rewrite() {
	c.use.Lock()
	rewriting, err := c.d.BeginRewrite()
	table := maps.Clone(c.table)
	c.use.Unlock()
	require.NoError(c, err)
	_, err = rewriting.Run(context.Background(), snapshotOf(table))
	require.NoError(c, err)
}

// A process that is being started has what this one has open, for a moment.
func TestOpen_can_follow_Close_while_processes_are_started(t *testing.T) {
	t.Parallel()
	stop := make(chan struct{})
	started := async(func() error {
		for {
			select {
			case <-stop:
				return nil
			default:
				if err := exec.Command(os.Args[0], "-test.run=^$").Run(); err != nil { //nolint:gosec // it is this binary
					return err
				}
			}
		}
	})
	path := filepath.Join(t.TempDir(), "texts.dump")
	for end := time.Now().Add(time.Second); time.Now().Before(end); {
		d, m, _ := open(t, path, dump.Options{Sync: dump.SyncNever})
		if d.Broken() != nil {
			_, err := d.Rewrite(t.Context(), m.all())
			require.NoError(t, err)
		}
		require.NoError(t, d.Close())
	}
	close(stop)
	require.NoError(t, <-started)
}
