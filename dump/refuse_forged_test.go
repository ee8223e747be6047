package dump_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// Where the frames of a good file begin: one of the snapshot, its end, and two batches.
const (
	goodSnapshot = 1536
	goodEnd      = 1592
	goodBatch    = 1624
)

// Every checksum is right in these files, so whoever wrote them was wrong.
func TestOpen_refuses_what_no_right_writer_writes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b []byte) []byte
		offset int64
		says   string
	}{
		{"a frame larger than any", func(b []byte) []byte { put32(b, goodBatch+4, 65<<20); return b }, goodBatch, "67108864 are allowed"},
		{"a frame that is missing", func(b []byte) []byte { b[goodBatch+8]++; return b }, goodBatch, "begins with record 2"},
		{"a promise of what comes", func(b []byte) []byte { put32(b, goodBatch+16, goodBatch+8); return b }, goodBatch, "promises that 1632 bytes"},
		{"a batch in the snapshot", func(b []byte) []byte { b[goodSnapshot+24] = kindBatch; return b }, goodSnapshot, "out of place"},
		{"a snapshot behind its end", func(b []byte) []byte { b[goodBatch+24] = kindSnapshot; return b }, goodBatch, "out of place"},
		{"two ends", func(b []byte) []byte { b[goodBatch+24] = kindEnd; return b }, goodBatch, "out of place"},
		{"an end with records", func(b []byte) []byte { b[48] = 0; b[goodSnapshot+24] = kindEnd; return b }, goodSnapshot, "ends after 0 records"},
		{"a snapshot with too few records", func(b []byte) []byte { b[48] = 9; return b }, goodEnd, "ends after 1 records, and should have 9"},
		{"an operation that is unknown", func(b []byte) []byte { b[goodSnapshot+32] = 3; return b }, goodSnapshot + 32, "does not fit"},
		{"a key beyond the frame", func(b []byte) []byte { b[goodSnapshot+41] = 100; return b }, goodSnapshot + 32, "does not fit"},
		{"a value beyond the frame", func(b []byte) []byte { b[goodSnapshot+43] = 100; return b }, goodSnapshot + 32, "does not fit"},
		{"a snapshot that deletes", func(b []byte) []byte { b[goodSnapshot+32] = 2; return b }, goodSnapshot + 32, "a snapshot that deletes"},
		{"no end", func(b []byte) []byte {
			for _, slot := range []int{512, 1024} {
				put32(b, slot+8, goodEnd)
			}
			return b[:goodEnd]
		}, goodEnd, "has no end"},
		{"slots in each other's place", func(b []byte) []byte {
			return slices.Concat(b[:512], b[1024:1536], b[512:1024], b[1536:])
		}, 512, "both length slots"},
		{"states of the slots that are unknown", func(b []byte) []byte { b[512+16], b[1024+16] = 3, 0; return b }, 512, "both length slots"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := goodFile(t)
			damaged(func(b []byte) []byte { return resum(tt.change(b)) })(t, path)
			refused(t, path, openTexts, dump.ErrCorrupt, fmt.Sprintf("at offset %d:", tt.offset), tt.says)
		})
	}
}

func TestOpen_good_files_have_their_frames_where_these_tests_look(t *testing.T) {
	b, err := os.ReadFile(goodFile(t))
	require.NoError(t, err)
	var at []int
	for _, f := range layoutOf(t, b).frames {
		at = append(at, f.offset)
	}
	require.Equal(t, []int{goodSnapshot, goodEnd, goodBatch}, at[:3])
}

// The promise that a bad frame had been synced is looked for in steps, and may stand across
// two of them.
func TestOpen_finds_a_promise_wherever_it_stands(t *testing.T) {
	const step = 64 << 10
	for size := step - 128; size <= step+64; size += 8 {
		a := newAuthor(t)
		a.seed(1, 1)
		a.close()
		a.open(dump.SyncAlways)
		a.write(map[string]string{"k": value(1, size)}, nil)
		a.write(map[string]string{"l": ""}, nil)
		s := a.sample("large")
		bad := s.frames[len(s.frames)-2]
		require.Equal(t, bad.end, s.frames[len(s.frames)-1].synced)
		require.Equal(t, bad.offset, s.best(all).length)
		for _, at := range []int{bad.offset, bad.offset + 50} {
			s.bytes[at]++
			require.NoError(t, openImage(s.bytes, dump.Fail).refused(int64(bad.offset), dump.ErrCorrupt), "%d bytes", size)
			s.bytes[at]--
		}
	}
}

func TestOpen_does_not_take_for_damage_what_another_hand_does_meanwhile(t *testing.T) {
	disk := dumptest.NewDisk(1)
	d, m, _ := open(t, "/file", dump.Options{FS: disk})
	m.Put(dump.Entry[string, string]{Key: "a"})
	_, err := d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	require.NoError(t, d.Close())
	disk.Inject(func(op dumptest.Op) error {
		if op.Kind == dumptest.Read && op.Offset == goodSnapshot {
			return disk.Truncate("/file", goodSnapshot+8)
		}
		return nil
	})
	err = openAs[string, string]("/file", dump.Options{Name: "texts", FS: disk, OnCorrupt: dump.Quarantine})
	require.ErrorIs(t, err, dump.ErrStolen)
	require.ErrorContains(t, err, fmt.Sprint("at offset ", goodSnapshot+8))
}

func TestOpen_refuses_a_frame_of_kind_0_as_that_of_another_version(t *testing.T) {
	path := goodFile(t)
	damaged(func(b []byte) []byte { b[goodBatch+24] = 0; return resum(b) })(t, path)
	refused(t, path, openTexts, dump.ErrVersion, fmt.Sprintf("at offset %d: a frame of kind 0", goodBatch))
}

func TestOpen_salvages_nothing_without_a_header(t *testing.T) {
	path := goodFile(t)
	damaged(func(b []byte) []byte { b[50]++; return b })(t, path)
	_, m, found := open(t, path, dump.Options{OnCorrupt: dump.SalvagePrefix})
	require.Equal(t, dump.Quarantined, found.Outcome)
	require.Equal(t, 1, m.begun)
	require.Empty(t, m.values())
}

// With so many records the values are decoded by several goroutines, and the scanner does not
// hear of it at once.
func TestOpen_salvages_no_values_of_another_type_from_a_large_file(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	d, m, _ := open(t, path, dump.Options{})
	for i := range 5000 {
		m.Put(dump.Entry[string, string]{Key: fmt.Sprint(i), Value: "no number"})
	}
	_, err := d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	require.NoError(t, d.Close())
	options := dump.Options{Name: "texts", OnCorrupt: dump.SalvagePrefix}
	require.ErrorIs(t, openAs[string, int64](path, options), dump.ErrDecode)
	damaged(func(b []byte) []byte { return b[:len(b)-1] })(t, path)
	require.ErrorIs(t, openAs[string, int64](path, options), dump.ErrDecode)
}
