package dump_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// Tests whose names begin with TestTorture_ try a promise in many ways: in a few seconds
// usually, for as long as it takes with DATAWORKER_TORTURE=1.
var torturing = os.Getenv("DATAWORKER_TORTURE") == "1"

// racing says that the race detector slows everything down.
var racing = func() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}()

// rounds chooses how often something is tried.
func rounds(usually, underRace, torture int) int {
	switch {
	case torturing:
		return torture
	case racing:
		return underRace
	default:
		return usually
	}
}

var allPolicies = []dump.SyncPolicy{dump.SyncAlways, dump.DefaultSync, dump.SyncNever, dump.Buffered}

const dumpPath = "/data/texts.dump"

func newDisk(t testing.TB, seed uint64) *dumptest.Disk {
	t.Helper()
	disk := dumptest.NewDisk(seed)
	require.NoError(t, disk.MkdirAll("/data"))
	return disk
}

// change is what a write does to one key.
type change struct {
	key, value string
	deleted    bool
}

func applied(to map[string]string, changes []change) map[string]string {
	next := maps.Clone(to)
	for _, c := range changes {
		if c.deleted {
			delete(next, c.key)
		} else {
			next[c.key] = c.value
		}
	}
	return next
}

// keeper owns a dump as its user does: it holds the table, writes first and changes the table
// when that was acknowledged. It remembers all tables there have been.
type keeper struct {
	fs      dump.FS
	options dump.Options
	d       *dump.Dump[string, string] // nil while closed

	mu      sync.Mutex // guards what follows: a power cut looks at any moment
	table   map[string]string
	history []map[string]string // the last one may not be acknowledged yet
	acked   int                 // of the history
	durable int                 // of the history
	doubt   []map[string]string // of writes that failed when they may have been made
	undone  []map[string]string // of writes that were taken back: a power cut may know nothing of that
	damaged bool                // the file was damaged, and not yet replaced
}

// absent is the table of a dump without a file.
var absent = map[string]string{"": "there is no file"}

func newKeeper(fsys dump.FS, options dump.Options) *keeper {
	options.FS, options.Name = fsys, "texts"
	return &keeper{fs: fsys, options: options, history: []map[string]string{absent}}
}

// found opens the dump on another disk, and returns what is there.
func found(fsys dump.FS, options dump.Options) (*dump.Dump[string, string], map[string]string, error) {
	options.FS = fsys
	m := newMemory[string, string]()
	d, recovery, err := dump.Open(context.Background(), dumpPath, m, options)
	if err != nil {
		return nil, nil, err
	}
	if recovery.Empty() {
		return d, absent, nil
	}
	return d, m.values(), nil
}

// open opens the dump and believes what it finds.
func (k *keeper) open() error {
	d, table, err := found(k.fs, k.options)
	if err != nil {
		return err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	from := k.acked
	if k.options.Sync == dump.Buffered {
		from = k.durable
	}
	if !k.may(table, from) {
		_ = d.Close()
		return fmt.Errorf("%s holds %v, and should hold %v", dumpPath, brief(table), brief(k.history[k.acked]))
	}
	k.d, k.table = d, maps.Clone(table)
	k.push(k.table)
	return nil
}

// may says whether a table is one of those since a place in the history.
func (k *keeper) may(table map[string]string, from int) bool {
	same := func(other map[string]string) bool { return maps.Equal(table, other) }
	return slices.ContainsFunc(k.history[from:], same) || slices.ContainsFunc(k.doubt, same)
}

func (k *keeper) push(table map[string]string) {
	k.history = append(k.history, table)
	k.acked = len(k.history) - 1
}

func (k *keeper) write(changes ...change) error {
	k.mu.Lock()
	next := applied(k.table, changes)
	k.history = append(k.history, next)
	k.mu.Unlock()

	writable := k.d.Broken() == nil
	err := k.send(changes)

	k.mu.Lock()
	defer k.mu.Unlock()
	if err != nil {
		k.history = k.history[:len(k.history)-1]
		if writable && errors.Is(err, dump.ErrBroken) {
			k.doubt = append(k.doubt, next)
		} else if writable {
			k.undone = append(k.undone, next)
		}
		return err
	}
	k.table, k.acked = next, len(k.history)-1
	if k.options.Sync == dump.SyncAlways {
		k.durable = k.acked
	}
	return nil
}

func (k *keeper) send(changes []change) error {
	if c := changes[0]; len(changes) == 1 && c.deleted {
		return k.d.Delete(c.key)
	} else if len(changes) == 1 {
		return k.d.Put(dump.Entry[string, string]{Key: c.key, Value: c.value})
	}
	b := k.d.NewBatch()
	for _, c := range changes {
		err := b.Delete(c.key)
		if !c.deleted {
			err = b.Put(dump.Entry[string, string]{Key: c.key, Value: c.value})
		}
		if err != nil {
			return err
		}
	}
	return k.d.Write(b)
}

// settled notes that all that was acknowledged is on the disk.
func (k *keeper) settled(err error) error {
	if err == nil {
		k.mu.Lock()
		defer k.mu.Unlock()
		k.durable = k.acked
	}
	return err
}

func (k *keeper) sync() error { return k.settled(k.d.Sync()) }

func (k *keeper) rewrite() error {
	k.mu.Lock()
	if maps.Equal(k.table, absent) {
		k.table = map[string]string{"seed": "0"}
		k.history = append(k.history, k.table)
	}
	k.mu.Unlock()
	_, err := k.d.Rewrite(context.Background(), snapshotOf(k.table))
	if err == nil {
		k.mu.Lock()
		k.acked = len(k.history) - 1
		k.doubt, k.undone, k.damaged = nil, nil, false
		k.mu.Unlock()
	}
	return k.settled(err)
}

func snapshotOf(table map[string]string) dump.Snapshot[string, string] {
	return dump.Snapshot[string, string]{Entries: func(yield func(dump.Entry[string, string]) bool) {
		for key, value := range table {
			if !yield(dump.Entry[string, string]{Key: key, Value: value}) {
				return
			}
		}
	}}
}

func (k *keeper) close() error {
	d := k.d
	k.d = nil
	return k.settled(d.Close())
}

// mend brings a dump back that is closed or broken.
func (k *keeper) mend() error {
	if k.d == nil {
		if err := k.open(); err != nil {
			return err
		}
	}
	if k.d.Broken() != nil {
		return k.rewrite()
	}
	return nil
}

// newChanges makes a write: now of one key, now of several.
func newChanges(random *rand.Rand, number int) []change {
	changes := make([]change, 1)
	if random.IntN(3) == 0 {
		changes = make([]change, 2+random.IntN(3))
	}
	for i := range changes {
		changes[i] = change{
			key:     fmt.Sprint("key", random.IntN(10)),
			value:   fmt.Sprint(number, "-", i, strings.Repeat(".", random.IntN(2)*random.IntN(900))),
			deleted: random.IntN(5) == 0,
		}
	}
	return changes
}

// brief is a table for a message.
func brief(table map[string]string) map[string]string {
	short := maps.Clone(table)
	for key, value := range short {
		short[key] = strings.TrimRight(value, ".")
	}
	return short
}
