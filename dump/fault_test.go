package dump_test

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// fault is a call that fails. Then says what fails of what the dump does about it.
type fault struct {
	name  string
	kinds dumptest.Kind
	err   error
	then  dumptest.Kind
}

var faults = []fault{
	{"EIO", dumptest.Any, syscall.EIO, 0},
	{"EINTR", dumptest.Any, syscall.EINTR, 0},
	{"ENOSPC", dumptest.Write | dumptest.Create | dumptest.SyncDir | dumptest.Rename, syscall.ENOSPC, 0},
	{"ENOSPC after a part", dumptest.Write, dumptest.Partly(100, syscall.ENOSPC), 0},
	{"EDQUOT after a part", dumptest.Write, dumptest.Partly(33, syscall.EDQUOT), 0},
	{"short write", dumptest.Write, dumptest.Partly(7, nil), 0},
	{"write that was done", dumptest.Write, dumptest.Done(syscall.EIO), 0},
	{"write, and what takes it back", dumptest.Write, dumptest.Partly(50, syscall.EIO), dumptest.Truncate},
	{"write that was done, and what takes it back", dumptest.Write, dumptest.Done(syscall.EIO), dumptest.Truncate},
	{"sync", dumptest.Sync, syscall.EIO, 0},
	{"sync that was done", dumptest.Sync, dumptest.Done(syscall.EIO), 0},
	{"sync of a directory", dumptest.SyncDir, syscall.EIO, 0},
	{"rename", dumptest.Rename, syscall.EIO, 0},
	{"rename that was done", dumptest.Rename, dumptest.Done(syscall.EIO), 0},
	{"rename that was done, and looking at it", dumptest.Rename, dumptest.Done(syscall.EIO), dumptest.Stat},
	{"close", dumptest.Close, syscall.EIO, 0},
	{"truncate", dumptest.Truncate, syscall.EIO, 0},
	{"read", dumptest.Read, syscall.EIO, 0},
	{"short read", dumptest.Read, dumptest.Partly(9, syscall.EIO), 0},
	{"stat", dumptest.Stat, syscall.EIO, 0},
	{"lock", dumptest.Lock, syscall.ENOLCK, 0},
	{"list", dumptest.List, syscall.EIO, 0},
	{"free", dumptest.Free, syscall.EIO, 0},
	{"create", dumptest.Create, syscall.EACCES, 0},
	{"create that was done", dumptest.Create, dumptest.Done(syscall.EIO), 0},
	{"remove", dumptest.Remove, syscall.EIO, 0},
}

// Whatever call fails, once or from then on: the caller is told, nothing that was
// acknowledged is lost, and when the trouble is over one Rewrite makes everything well.
func TestTorture_fault_at_any_call_loses_nothing(t *testing.T) {
	t.Parallel()
	for _, policy := range allPolicies {
		for _, f := range faults {
			for _, sticky := range []bool{false, true} {
				t.Run(fmt.Sprintf("%v/%s/sticky=%v", policy, f.name, sticky), func(t *testing.T) {
					t.Parallel()
					stride := rounds(1, 3, 1)
					for seed := range uint64(rounds(1, 1, 200)) {
						for nth := 1; runWithFault(t, policy, f, nth, sticky, seed); nth += stride { //nolint:revive // the body is the condition
						}
					}
				})
			}
		}
	}
}

// runWithFault says whether there was an nth call to fail.
func runWithFault(t *testing.T, policy dump.SyncPolicy, f fault, nth int, sticky bool, seed uint64) (failed bool) {
	synctest.Test(t, func(t *testing.T) {
		disk := newDisk(t, 1)
		r := faultRun{T: t, disk: disk, keeper: newKeeper(disk, dump.Options{Sync: policy})}
		r.what = fmt.Sprintf("fault at call %d, seed %d", nth, seed)
		var calls, hits, over atomic.Int64
		disk.Inject(func(op dumptest.Op) error {
			switch {
			case op.Kind&f.kinds != 0 && (calls.Add(1) == int64(nth) || sticky && calls.Load() > int64(nth)):
				hits.Add(1)
				return f.err
			case op.Kind&f.then != 0 && hits.Load() > 0 && (sticky || over.Add(1) == 1):
				return syscall.EIO
			}
			return nil
		})
		r.run(seed)
		disk.Inject(nil)
		r.finish()
		failed = hits.Load() > 0
	})
	return failed
}

// faultRun is a keeper whose disk fails.
type faultRun struct {
	*testing.T
	*keeper
	disk *dumptest.Disk
	what string
	cuts int

	// A sync failed, and the file was opened again before it was written anew: the disk may
	// have lost what can still be read, and nobody knows.
	unsure bool
}

func (r *faultRun) run(seed uint64) {
	random := rand.New(rand.NewPCG(seed, 5))
	r.told(r.mend())
	r.cut()
	steps := strings.Repeat("w", 5) + "s" + "wwRwtwCwwwstwwRwwKwwCCw"
	if seed > 0 {
		random.Shuffle(len(steps), func(i, j int) {
			b := []byte(steps)
			b[i], b[j] = b[j], b[i]
			steps = string(b)
		})
	}
	for number, step := range steps {
		if r.d == nil {
			if !r.told(r.open()) {
				continue
			}
		}
		switch step {
		case 'w':
			r.told(r.write(newChanges(random, number)...))
		case 's':
			r.told(r.sync())
		case 't':
			time.Sleep(1500 * time.Millisecond)
		case 'R':
			r.repair()
		case 'C':
			broken := r.d.Broken() != nil
			err := r.close()
			r.told(err)
			r.unsure = r.unsure || broken || errors.Is(err, dump.ErrBroken)
		case 'K':
			r.killed()
		}
		if r.d != nil && r.d.Broken() != nil {
			r.cut()
			r.repair()
		}
		r.cut()
	}
}

func (r *faultRun) repair() {
	if r.told(r.rewrite()) {
		r.unsure = false
	}
}

// told says whether a call succeeded. If it did not, the error names the file.
func (r *faultRun) told(err error) bool {
	if err != nil {
		require.Contains(r, err.Error(), dumpPath, r.what)
		require.NotContains(r, err.Error(), "should hold", r.what)
		var typed *dump.Error
		require.True(r, errors.As(err, &typed), "%s: %v is an *Error", r.what, err)
	}
	return err == nil
}

// cut looks at what a power cut would leave now.
func (r *faultRun) cut() {
	if r.unsure {
		return
	}
	r.cuts++
	keep := dumptest.Nothing
	if r.cuts%3 == 0 {
		keep = dumptest.Some(uint64(r.cuts))
	}
	_, table, err := found(r.disk.Crash(keep), r.options)
	require.NoError(r, err, r.what)
	undone := slices.ContainsFunc(r.undone, func(other map[string]string) bool { return maps.Equal(table, other) })
	require.True(r, undone || r.may(table, r.durable), "%s: a power cut left %v, and %v is durable",
		r.what, brief(table), brief(r.history[r.durable]))
}

// killed looks at what the next process would find now.
func (r *faultRun) killed() {
	r.cut()
	_, table, err := found(r.disk.Clone(), r.options)
	require.NoError(r, err, r.what)
	from := r.acked
	if r.options.Sync == dump.Buffered {
		from = r.durable
	}
	require.True(r, r.may(table, from), "%s: found %v, and %v was acknowledged, %d in doubt",
		r.what, brief(table), brief(r.history[r.acked]), len(r.doubt))
}

// finish repairs, now that nothing fails.
func (r *faultRun) finish() {
	r.killed()
	if r.d == nil {
		require.NoError(r, r.open(), r.what)
	}
	require.NoError(r, r.rewrite(), r.what)
	require.NoError(r, r.d.Broken(), r.what)
	require.NoError(r, r.write(change{key: "last", value: "1"}), r.what)
	require.NoError(r, r.close(), r.what)
	for seed := range uint64(3) {
		_, table, err := found(r.disk.Crash(dumptest.Keep(seed)), r.options)
		require.NoError(r, err, r.what)
		require.Equal(r, brief(r.table), brief(table), r.what)
	}
	require.NoError(r, r.open(), r.what)
	require.NoError(r, r.close(), r.what)
	for _, name := range r.disk.Names("/data") {
		require.NotContains(r, name, ".tmp-", r.what)
		require.NotContains(r, name, ".lock", r.what)
	}
}
