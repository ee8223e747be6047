package dump_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

const openerEnv = "DATAWORKER_TEST_OPENER"

// TestOpener is no test: it is what another process does, line by line, when a test starts it.
func TestOpener(t *testing.T) {
	if os.Getenv(openerEnv) == "" {
		t.Skip("it is for other tests")
	}
	var d *dump.Dump[string, string]
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		order, path, _ := strings.Cut(in.Text(), " ")
		err := error(nil)
		switch order {
		case "open":
			var other *dump.Dump[string, string]
			other, _, err = dump.Open(context.Background(), path, newMemory[string, string](), dump.Options{Name: "texts"})
			if err == nil {
				d = other
			}
		case "put":
			err = d.Put(dump.Entry[string, string]{Key: path})
		case "rewrite":
			_, err = d.Rewrite(context.Background(), newMemory[string, string]().all())
		case "close":
			err = d.Close()
		}
		fmt.Printf("done: %v\n", err)
	}
}

// opener is another process.
type opener struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func newOpener(t *testing.T) *opener {
	t.Helper()
	o := &opener{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestOpener$")}
	o.cmd.Env = append(os.Environ(), openerEnv+"=1")
	out, err := o.cmd.StdoutPipe()
	require.NoError(t, err)
	o.in, err = o.cmd.StdinPipe()
	require.NoError(t, err)
	require.NoError(t, o.cmd.Start())
	o.out = bufio.NewReader(out)
	t.Cleanup(o.kill)
	return o
}

// do gives an order, and returns what came of it: "" if all went well.
func (o *opener) do(order string) string {
	if _, err := fmt.Fprintln(o.in, order); err != nil {
		return err.Error()
	}
	line, err := o.out.ReadString('\n')
	if err != nil {
		return err.Error()
	}
	return strings.TrimPrefix(strings.TrimSuffix(strings.TrimPrefix(line, "done: "), "\n"), "<nil>")
}

func (o *opener) kill() {
	_ = o.cmd.Process.Kill()
	_ = o.cmd.Wait()
}

func (o *opener) pid() string { return strconv.Itoa(o.cmd.Process.Pid) }

func TestLock_names_the_process_that_has_the_file(t *testing.T) {
	path := goodFile(t)
	o := newOpener(t)
	require.Empty(t, o.do("open "+path))
	refused(t, path, openTexts, dump.ErrLocked, "process "+o.pid()+" has it open")
	for _, policy := range []dump.CorruptPolicy{dump.Quarantine, dump.SalvagePrefix} {
		require.ErrorIs(t, openAs[string, string](path, dump.Options{Name: "texts", OnCorrupt: policy}), dump.ErrLocked)
	}
	require.ErrorIs(t, dump.Compact(context.Background(), dump.OS(), path), dump.ErrLocked)
	require.Empty(t, o.do("close"))
	require.NoError(t, openTexts(path))
}

func TestLock_holds_in_the_same_process(t *testing.T) {
	path := goodFile(t)
	d, _, _ := open(t, path, dump.Options{})
	refused(t, path, openTexts, dump.ErrLocked, fmt.Sprintf("process %d has it open", os.Getpid()))
	require.NoError(t, d.Close())
	require.NoError(t, openTexts(path))
}

func TestLock_holds_by_whatever_name_the_file_is_opened(t *testing.T) {
	for _, rewritten := range []bool{false, true} {
		path := goodFile(t)
		o := newOpener(t)
		require.Empty(t, o.do("open "+path))
		if rewritten {
			require.Empty(t, o.do("rewrite"))
		}

		other := t.TempDir()
		symbolic, chain := filepath.Join(other, "symbolic"), filepath.Join(other, "chain")
		require.NoError(t, os.Symlink(path, symbolic))
		require.NoError(t, os.Symlink("symbolic", chain))
		for _, link := range []string{symbolic, chain} {
			err := openTexts(link)
			require.ErrorIs(t, err, dump.ErrLocked)
			require.ErrorContains(t, err, path)
			require.ErrorContains(t, err, o.pid())
		}

		hard := filepath.Join(other, "hard")
		require.NoError(t, os.Link(path, hard))
		refused(t, hard, openTexts, dump.ErrLocked, "under another name")

		inside := filepath.Join(other, "directory")
		require.NoError(t, os.Symlink(filepath.Dir(path), inside))
		require.ErrorIs(t, openTexts(filepath.Join(inside, filepath.Base(path))), dump.ErrLocked)

		moved := filepath.Join(other, "moved")
		require.NoError(t, os.Remove(hard))
		require.NoError(t, os.Rename(path, moved))
		refused(t, moved, openTexts, dump.ErrLocked, "under another name")
		require.ErrorIs(t, openTexts(path), dump.ErrLocked)

		require.NoError(t, os.Rename(moved, path))
		require.NoError(t, os.Remove(path+".lock"))
		refused(t, path, openTexts, dump.ErrLocked)
	}
}

func TestLock_ends_with_its_process_and_what_is_left_of_it_harms_nobody(t *testing.T) {
	path := goodFile(t)
	for i := range 5 {
		o := newOpener(t)
		require.Empty(t, o.do("open "+path))
		require.Empty(t, o.do(fmt.Sprint("put k", i)))
		o.kill()
		left, err := os.ReadFile(path + ".lock")
		require.NoError(t, err)
		require.Equal(t, o.pid(), strings.TrimSpace(string(left)))

		d, m, found := open(t, path, dump.Options{})
		require.Equal(t, dump.Unclean, found.Outcome)
		require.Len(t, m.values(), 3+i+1)
		refused(t, path, openTexts, dump.ErrLocked, fmt.Sprintf("process %d ", os.Getpid()))
		require.NoError(t, d.Close())
		require.NoFileExists(t, path+".lock")
	}
}

func TestLock_one_of_two_processes_wins_a_hundred_races(t *testing.T) {
	directory := t.TempDir()
	openers := []*opener{newOpener(t), newOpener(t)}
	for i := range 100 {
		path := filepath.Join(directory, fmt.Sprint(i%3))
		if i < 3 { // afterwards there is what the race before left
			seedTexts(t, path)
		}
		answers := make([]string, len(openers))
		var all sync.WaitGroup
		for n, o := range openers {
			all.Go(func() { answers[n] = o.do("open " + path) })
		}
		all.Wait()
		winner := 0
		if answers[0] != "" {
			winner = 1
		}
		require.Empty(t, answers[winner], "race %d", i)
		require.Contains(t, answers[1-winner], "locked: ", "race %d", i)
		require.Contains(t, answers[1-winner], path, "race %d", i)
		if i%10 == 9 { // the next one finds what a kill leaves
			openers[winner].kill()
			openers[winner] = newOpener(t)
		} else {
			require.Empty(t, openers[winner].do("close"))
		}
	}
}

func TestLock_has_one_holder_while_many_take_it_and_give_it_back(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	const want = 100
	var holders, held atomic.Int32
	var failed atomic.Pointer[error]
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for held.Load() < want && failed.Load() == nil {
				err := hold(path, &holders, &held)
				if err != nil && !errors.Is(err, dump.ErrLocked) {
					failed.Store(&err)
				}
			}
		})
	}
	other := newOpener(t)
	for held.Load() < want && failed.Load() == nil {
		if other.do("open "+path) != "" {
			continue
		}
		if n := holders.Load(); n != 0 {
			err := fmt.Errorf("%d have it open, and another process has", n)
			failed.Store(&err)
		}
		require.Empty(t, other.do("close"))
	}
	all.Wait()
	if err := failed.Load(); err != nil {
		t.Error(*err)
	}
}

// hold opens and closes a dump, and says if it was not alone.
func hold(path string, holders, held *atomic.Int32) error {
	d, _, err := dump.Open(context.Background(), path, newMemory[string, string](), dump.Options{Name: "texts"})
	if err != nil {
		return err
	}
	if n := holders.Add(1); n != 1 {
		return fmt.Errorf("%d have it open", n)
	}
	held.Add(1)
	holders.Add(-1)
	return d.Close()
}

// The lock's file is removed by its holder. Who opened it before that, and locks it after,
// has locked a file that is nowhere any more.
func TestLock_is_not_taken_on_a_file_that_was_removed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file.lock")
	const want = 1000
	var holders, held, failures atomic.Int32
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for held.Load() < want {
				lock, err := dump.OS().Lock(path)
				if err != nil {
					if !errors.Is(err, dump.ErrLocked) {
						failures.Add(1)
					}
					continue
				}
				if holders.Add(1) != 1 {
					failures.Add(1)
				}
				held.Add(1)
				runtime.Gosched()
				holders.Add(-1)
				if lock.Close() != nil {
					failures.Add(1)
				}
			}
		})
	}
	all.Wait()
	require.Zero(t, failures.Load())
}
