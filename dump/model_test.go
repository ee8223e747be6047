package dump_test

import (
	"context"
	"flag"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// Whatever is done to a dump, under whatever options, it holds what a map would.
func TestTorture_model_is_a_map_under_any_options(t *testing.T) {
	require.NoError(t, flag.Set("rapid.checks", fmt.Sprint(rounds(1000, 300, 100_000))))
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	rapid.Check(t, func(t *rapid.T) {
		m := newMapModel(t)
		steps := rapid.IntRange(1, 200).Draw(t, "steps")
		for range steps {
			m.step()
		}
		m.reopen(func(*keeper, *dumptest.Disk) {})
	})
}

// mapModel does the same to a map and to dumps with several options.
type mapModel struct {
	*rapid.T
	table map[string]string
	dumps []*keeper
	disks []*dumptest.Disk
}

func newMapModel(t *rapid.T) *mapModel {
	m := &mapModel{T: t, table: map[string]string{"seed": "0"}}
	options := []dump.Options{
		{Sync: dump.SyncAlways, CompactAfter: 1},
		{Sync: dump.DefaultSync, CompactAfter: 1 << 10, OnCorrupt: dump.Quarantine},
		{Sync: dump.SyncNever},
		{Sync: dump.Buffered, OnCorrupt: dump.SalvagePrefix},
		{Sync: dump.Buffered, CompactAfter: 1},
	}
	for i, o := range options {
		disk := dumptest.NewDisk(uint64(i))
		require.NoError(t, disk.MkdirAll("/data"))
		k := newKeeper(disk, o)
		require.NoError(t, k.mend())
		m.dumps, m.disks = append(m.dumps, k), append(m.disks, disk)
	}
	return m
}

func (m *mapModel) step() {
	switch step := rapid.IntRange(0, 39).Draw(m.T, "step"); step {
	case 0:
		m.each((*keeper).rewrite)
	case 1:
		m.each((*keeper).sync)
	case 2: // nothing more
		m.reopen(func(k *keeper, _ *dumptest.Disk) { require.NoError(m, k.close()) })
	case 3: // a kill
		m.reopen(func(k *keeper, disk *dumptest.Disk) {
			if k.options.Sync == dump.Buffered {
				require.NoError(m, k.sync())
			}
			k.fs = disk.Clone()
		})
	case 4: // a power cut
		keep := dumptest.Some(rapid.Uint64().Draw(m.T, "keep"))
		m.reopen(func(k *keeper, disk *dumptest.Disk) {
			if k.options.Sync != dump.SyncAlways {
				require.NoError(m, k.sync())
			}
			k.fs = disk.Crash(keep)
		})
	case 5:
		m.reopen(func(k *keeper, _ *dumptest.Disk) {
			require.NoError(m, k.close())
			require.NoError(m, dump.Compact(context.Background(), k.fs, dumpPath))
		})
	default:
		m.write()
	}
}

func (m *mapModel) write() {
	changes := make([]change, rapid.IntRange(1, 4).Draw(m.T, "changes"))
	for i := range changes {
		changes[i] = change{
			key:     rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f", "", "\x00"}).Draw(m.T, "key"),
			value:   strings.Repeat("v", rapid.IntRange(0, 600).Draw(m.T, "length")) + fmt.Sprint(len(m.dumps[0].history)),
			deleted: rapid.IntRange(0, 4).Draw(m.T, "deleted") == 0,
		}
	}
	m.table = applied(m.table, changes)
	m.each(func(k *keeper) error {
		if err := k.write(changes...); err != nil || !k.d.Overgrown() {
			return err
		}
		return k.rewrite()
	})
}

func (m *mapModel) each(do func(*keeper) error) {
	for _, k := range m.dumps {
		require.NoError(m, do(k), "%v", k.options.Sync)
	}
}

// reopen ends every dump in some way, and opens it again.
func (m *mapModel) reopen(end func(*keeper, *dumptest.Disk)) {
	for i, k := range m.dumps {
		end(k, m.disks[i])
		if k.d != nil {
			_ = k.d.Close()
		}
		if disk, ok := k.fs.(*dumptest.Disk); ok {
			m.disks[i] = disk
		}
		require.NoError(m, k.open(), "%v", k.options.Sync)
		require.Equal(m, brief(m.table), brief(k.table), "%v", k.options.Sync)
	}
}
