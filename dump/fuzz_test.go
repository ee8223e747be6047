package dump_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

const fuzzName = "golden raw-string"

// addFiles adds what a fuzzer begins with: the golden files, and some of the ways in which one
// of them can be wrong.
func addFiles(f *testing.F) {
	paths, err := filepath.Glob(filepath.Join(goldenDir, "*.dump"))
	require.NoError(f, err)
	require.NotEmpty(f, paths)
	for _, path := range paths {
		file, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(file, uint8(0))
		if !strings.Contains(path, "raw-string") {
			continue
		}
		for policy := range uint8(3) {
			for at := range len(file) / 8 {
				if at*8 < 100 || at*8 >= 500 && at*8 < 530 || at*8 >= 1536 {
					wrong := bytes.Clone(file)
					wrong[at*8] ^= 0x81
					f.Add(wrong, policy)
				}
			}
			f.Add(file[:len(file)-9], policy)
			f.Add(file[:1600], policy)
			f.Add(append(bytes.Clone(file), file[1536:]...), policy)
		}
		forge(f, file, 48, 8, 0xff) // as many records as there are numbers
		forge(f, file, 512+8, 8, 0xff)
		forge(f, file, 512, 8, 0xff)
		forge(f, file, 1024+8, 8, 0xff)
		forge(f, file, 1024+15, 1, 0x80)
		forge(f, file, 1536+4, 4, 0xff)
		forge(f, file, 1536+16, 8, 0xff)
		forge(f, file, 1536+32+9, 9, 0xff) // a key as long as can be said
	}
}

// forge adds a file of which n bytes are something else.
func forge(f *testing.F, file []byte, at, n int, with byte) {
	wrong := bytes.Clone(file)
	copy(wrong[at:], bytes.Repeat([]byte{with}, n))
	f.Add(wrong, uint8(0))
	f.Add(wrong, uint8(dump.SalvagePrefix))
}

// FuzzOpen gives any bytes for a file.
func FuzzOpen(f *testing.F) {
	addFiles(f)
	f.Fuzz(tryFile)
}

// FuzzOpenForged gives files whose checksums are all right, and the rest need not be.
func FuzzOpenForged(f *testing.F) {
	addFiles(f)
	f.Fuzz(func(t *testing.T, file []byte, policy uint8) { tryFile(t, resum(file), policy) })
}

var fileKinds = []error{dump.ErrForeign, dump.ErrCorrupt, dump.ErrTruncated, dump.ErrVersion, dump.ErrCodec, dump.ErrSchema, dump.ErrDecode}

// tryFile opens, reads and inspects a file: it is refused in good order, or read, and then it
// can be written to and read again.
func tryFile(t *testing.T, file []byte, policy uint8) {
	given := bytes.Clone(file)
	image, sink := newImage(file), &plain{}
	options := dump.Options{Name: fuzzName, Schema: 7, FS: image, Sync: dump.SyncNever, OnCorrupt: dump.CorruptPolicy(policy % 3)}
	var d *dump.Dump[string, string]
	var found dump.Recovery
	var err error
	withinBounds(t, len(file), func() { d, found, err = dump.Open(context.Background(), image.name, sink, options) })
	require.Equal(t, given, file)
	require.True(t, sink.hint >= 0 && sink.hint <= len(file), "%d entries", sink.hint)
	tryRead(t, file, err, sink.entries)
	if err != nil {
		properError(t, err, len(file))
		require.Equal(t, given, image.bytes)
		return
	}
	require.True(t, found.Records >= 0 && found.Records <= len(file))
	if found.Outcome > dump.Torn {
		require.Equal(t, given, image.bytes)
		require.Error(t, found.Damage)
		require.ErrorIs(t, d.Put(dump.Entry[string, string]{}), dump.ErrBroken)
		return
	}
	if forgedCounter(file) {
		return
	}
	want := maps.Clone(sink.entries)
	want["new"] = stored{value: "v"}
	require.NoError(t, errors.Join(d.Put(dump.Entry[string, string]{Key: "new", Value: "v"}), d.Close()))
	_, found, err = dump.Open(context.Background(), image.name, sink, options)
	require.NoError(t, err)
	require.Equal(t, dump.Clean, found.Outcome)
	require.Equal(t, want, sink.entries)
}

// forgedCounter says that a slot has been written more often than anything can be.
func forgedCounter(file []byte) bool {
	header := int(u32(file, 12))
	return max(u64(file, header), u64(file, header+512)) > 1<<63
}

// tryRead reads a file without opening it for writing, which has to come to the same.
func tryRead(t *testing.T, file []byte, opened error, held map[string]stored) {
	image, contents := newImage(file), map[string]stored{}
	var err error
	withinBounds(t, len(file), func() {
		_, err = dump.Read(context.Background(), image, image.name, func(r dump.Record) error {
			if delete(contents, string(r.Key)); !r.Deleted {
				contents[string(r.Key)] = stored{string(r.Value), r.At.UnixNano()}
			}
			return nil
		})
	})
	_, inspected := dump.Inspect(image, image.name)
	if err != nil {
		properError(t, err, len(file))
	} else {
		require.NoError(t, inspected)
	}
	require.Equal(t, file, image.bytes)
	switch {
	case opened == nil && err == nil:
		require.Equal(t, held, contents)
	case errors.Is(opened, dump.ErrCorrupt) || errors.Is(opened, dump.ErrTruncated) || errors.Is(opened, dump.ErrVersion):
		require.Error(t, err)
	}
}

func properError(t *testing.T, err error, size int) {
	t.Helper()
	typed := (*dump.Error)(nil)
	require.ErrorAs(t, err, &typed)
	require.Contains(t, fileKinds, typed.Kind)
	require.NotEmpty(t, typed.Path)
	require.True(t, typed.Offset >= 0 && typed.Offset <= int64(size), "%v: of %d bytes", err, size)
}

// FuzzFrame reads any bytes as a frame, and a frame with any contents back.
func FuzzFrame(f *testing.F) {
	f.Add([]byte{}, uint8(1), uint64(0), int64(0), int64(1536), uint32(0))
	f.Add([]byte("\x02\x01a"), uint8(3), uint64(1<<63), int64(-1), int64(1<<62), uint32(1<<31))
	f.Add(bytes.Repeat([]byte{0xff}, 40), uint8(255), uint64(7), int64(8), int64(9), uint32(10))
	f.Fuzz(func(t *testing.T, b []byte, kind uint8, first uint64, synced, offset int64, seed uint32) {
		_, size, ok := dump.OpenFrame(b, offset, seed)
		require.True(t, !ok || size <= int64(len(b)))

		frame := dump.RawFrame{Kind: kind, First: first, Synced: synced, Payload: b}
		sealed := frame.Seal(offset, seed)
		require.Zero(t, len(sealed)%8)
		back, size, ok := dump.OpenFrame(sealed, offset, seed)
		require.True(t, ok)
		require.EqualValues(t, len(sealed), size)
		require.True(t, bytes.Equal(b, back.Payload))
		back.Payload = frame.Payload
		require.Equal(t, frame, back)

		_, _, ok = dump.OpenFrame(sealed, offset+8, seed)
		require.False(t, ok, "it is believed in another place")
		_, _, ok = dump.OpenFrame(sealed, offset, seed+1)
		require.False(t, ok, "it is believed in another file")
		_, _, ok = dump.OpenFrame(sealed[:len(sealed)-1], offset, seed)
		require.False(t, ok, "it is believed though it is cut short")
	})
}

// FuzzRecord takes records off any bytes: what is taken is what was written.
func FuzzRecord(f *testing.F) {
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x01a\x00\x02\x01a"))
	f.Add([]byte("\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Add([]byte("\x01\x00\x00\x00\x00\x00\x00\x00\x00\x81\x80\x80\x80\x00a\x00"))
	f.Add([]byte{1})
	f.Add([]byte{2})
	f.Add(dump.RawRecord{Deleted: true, Key: make([]byte, dump.MaxKey+1)}.Append(nil))
	f.Fuzz(func(t *testing.T, payload []byte) {
		for len(payload) > 0 {
			r, rest, err := dump.NextRecord(payload)
			if err != nil {
				return
			}
			require.Less(t, len(rest), len(payload))
			require.LessOrEqual(t, len(r.Key), dump.MaxKey)
			require.LessOrEqual(t, len(r.Value), dump.MaxValue)
			back, none, err := dump.NextRecord(r.Append(nil))
			require.NoError(t, err)
			require.Empty(t, none)
			require.Equal(t, r.Deleted, back.Deleted)
			require.Equal(t, r.At, back.At)
			require.True(t, bytes.Equal(r.Key, back.Key) && bytes.Equal(r.Value, back.Value))
			payload = rest
		}
	})
}
