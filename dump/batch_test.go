package dump_test

import (
	"math"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

func TestWrite_of_an_empty_batch_writes_nothing(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, dump.Options{Sync: dump.SyncAlways})
	before := disk.Mutations()
	require.NoError(t, k.d.Write(k.d.NewBatch()))
	require.NoError(t, k.d.WriteLater(k.d.NewBatch()))
	require.Equal(t, before, disk.Mutations())
	require.Zero(t, k.d.Stats().Writes)
}

func TestWrite_refuses_a_batch_of_another_dump(t *testing.T) {
	t.Parallel()
	k, _ := begun(t, named)
	other, _ := begun(t, named)
	batch := other.d.NewBatch()
	require.NoError(t, batch.Put(dump.Entry[string, string]{Key: "a", Value: "1"}))
	for _, write := range []func(*dump.Batch[string, string]) error{k.d.Write, k.d.WriteLater} {
		err := write(batch)
		require.ErrorIs(t, err, dump.ErrEncode)
		require.ErrorContains(t, err, "use one of NewBatch")
	}
	require.Zero(t, k.d.Stats().Writes)
	require.NoError(t, other.d.Write(batch))
}

func TestRewrite_counts_the_entries_that_it_leaves_out(t *testing.T) {
	t.Parallel()
	disk := newDisk(t, 1)
	options := dump.Options{Name: "floats", Values: dump.JSON(), FS: disk}
	d, _, err := dump.Open(t.Context(), dumpPath, newMemory[string, float64](), options)
	require.NoError(t, err)
	skipped, err := d.Rewrite(t.Context(), dump.Snapshot[string, float64]{Entries: func(yield func(dump.Entry[string, float64]) bool) {
		for i, value := range []float64{1, math.NaN(), 2, math.Inf(1)} {
			yield(dump.Entry[string, float64]{Key: string(rune('a' + i)), Value: value})
		}
	}})
	require.NoError(t, err)
	require.Equal(t, 2, skipped.Entries)
	require.ErrorIs(t, skipped.First, dump.ErrEncode)
	require.ErrorContains(t, skipped.First, "NaN")
	require.NoError(t, d.Close())

	held := newMemory[string, float64]()
	d, _, err = dump.Open(t.Context(), dumpPath, held, options)
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.Equal(t, map[string]float64{"a": 1, "c": 2}, held.values())
}

func TestCompact_tells_what_failed_at_any_of_its_syncs(t *testing.T) {
	t.Parallel()
	k, written := begun(t, named)
	require.NoError(t, k.write(change{key: "a", value: "1"}))
	require.NoError(t, k.close())
	for nth := 1; ; nth++ {
		disk := written.Clone()
		before := disk.Ops()
		disk.Inject(dumptest.FailNth(nth, syscall.EIO, dumptest.Sync))
		err := dump.Compact(t.Context(), disk, dumpPath)
		require.Greater(t, disk.Ops(), before)
		holds(t, disk.Clone(), map[string]string{"seed": "0", "a": "1"})
		if err == nil {
			require.Greater(t, nth, 2, "of the new file, and of its marks when it is closed")
			return
		}
		require.ErrorIs(t, err, syscall.EIO)
	}
}

func TestRead_says_where_records_and_their_values_stand(t *testing.T) {
	t.Parallel()
	k, disk := begun(t, named)
	batch := k.d.NewBatch()
	require.NoError(t, batch.Put(dump.Entry[string, string]{Key: "a", Value: "one"}))
	require.NoError(t, batch.Put(dump.Entry[string, string]{Key: "b"}))
	require.NoError(t, batch.Delete("a"))
	require.NoError(t, k.d.Write(batch))
	require.NoError(t, k.close())
	file, err := disk.ReadFile(dumpPath)
	require.NoError(t, err)
	var records []dump.Record
	_, err = dump.Read(t.Context(), disk, dumpPath, func(r dump.Record) error {
		require.Equal(t, string(r.Value), string(file[r.Offset+r.Size-int64(len(r.Value)):r.Offset+r.Size]))
		records = append(records, r)
		return nil
	})
	require.NoError(t, err)
	require.Len(t, records, 4)
	for i, r := range records[1:3] { // in one batch
		require.Equal(t, r.Offset+r.Size, records[i+2].Offset)
	}
}
