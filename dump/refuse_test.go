package dump_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// refusal is a file that must not be opened.
type refusal struct {
	name    string
	arrange func(t *testing.T, path string) // does to a good file at path what makes it unfit
	open    func(path string) error         // nil for a map of strings, as the good file is one
	kind    error
	says    []string // beside the path
}

var refusals = []refusal{
	{
		name: "the file of another bucket", kind: dump.ErrForeign,
		open: func(path string) error { return openAs[string, string](path, dump.Options{Name: "others"}) },
		says: []string{`"texts"`, `"others"`, "give each its own file"},
	},
	{
		name: "values of another codec", kind: dump.ErrCodec,
		open: func(path string) error { return openAs[string, []int](path, dump.Options{Name: "texts"}) },
		says: []string{"raw/1", "cbor/1", "give that codec, or a Migrate"},
	},
	{
		name: "keys of another codec", kind: dump.ErrCodec,
		open: func(path string) error { return openAs[[2]string, string](path, dump.Options{Name: "texts"}) },
		says: []string{"keys", "raw/1", "cbor/1"},
	},
	{
		name: "another schema version", kind: dump.ErrSchema,
		open: func(path string) error { return openAs[string, string](path, dump.Options{Name: "texts", Schema: 3}) },
		says: []string{"version 0", "3 is wanted", "give a Migrate, or remove the file"},
	},
	{
		name: "a value of another type", kind: dump.ErrDecode,
		open: func(path string) error { return openAs[string, int64](path, dump.Options{Name: "texts"}) },
		says: []string{`key "a"`, "offset 1568", "raise the schema version and give a Migrate"},
	},
	{
		name: "a newer format", kind: dump.ErrVersion,
		arrange: damaged(func(b []byte) []byte { b[8] = 2; return resum(b) }),
		says:    []string{"offset 8", "format 2", "use the program that wrote it, or a newer one"},
	},
	{
		name: "a feature that is unknown", kind: dump.ErrVersion,
		arrange: damaged(func(b []byte) []byte { b[18] = 1; return resum(b) }),
		says:    []string{"offset 16", "0x10000", "use a newer one"},
	},
	{
		name: "a kind of frame that is unknown", kind: dump.ErrVersion,
		arrange: damaged(func(b []byte) []byte { b[1536+24] = 4; return resum(b) }),
		says:    []string{"offset 1536", "kind 4", "use a newer one"},
	},
	{
		name: "a flag of a frame that is unknown", kind: dump.ErrVersion,
		arrange: damaged(func(b []byte) []byte { b[1536+25] = 1; return resum(b) }),
		says:    []string{"offset 1536", "flags 0x1", "use a newer one"},
	},
	{
		name: "a directory", kind: dump.ErrNotRegular,
		arrange: func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Mkdir(path, 0o700))
		},
		says: []string{"directory", "give the path of a file"},
	},
	{
		name: "an empty file", kind: dump.ErrTruncated,
		arrange: damaged(func([]byte) []byte { return nil }),
		says:    []string{"offset 0", "empty", "remove it if it means nothing"},
	},
	{
		name: "the first three bytes", kind: dump.ErrTruncated,
		arrange: damaged(func(b []byte) []byte { return b[:3] }),
		says:    []string{"offset 3", "3 bytes are not even a header"},
	},
	{
		name: "three bytes of something else", kind: dump.ErrForeign,
		arrange: damaged(func([]byte) []byte { return []byte("abc") }),
		says:    []string{"offset 0", `"abc"`, "something else"},
	},
	{
		name: "a text", kind: dump.ErrForeign,
		arrange: damaged(func([]byte) []byte { return bytes.Repeat([]byte("name,price\n"), 400) }),
		says:    []string{`"name,pri"`, "something else"},
	},
	{
		name: "a transfer that took it for text", kind: dump.ErrForeign,
		arrange: damaged(func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")) }),
		says:    []string{"something else"},
	},
	{
		name: "a header smaller than it can be", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[13] = 0; return b }),
		says:    []string{"offset 12", "cannot be 0 bytes"},
	},
	{
		name: "a header larger than it can be", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[14] = 2; return append(b, make([]byte, 200<<10)...) }),
		says:    []string{"offset 12", "cannot be 131584 bytes"},
	},
	{
		name: "a header that ends inside a sector", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[12] = 8; return b }),
		says:    []string{"offset 12", "cannot be 520 bytes"},
	},
	{
		name: "names beyond the header", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[81] = 2; return resum(b) }),
		says:    []string{"offset 82", "longer than the header"},
	},
	{
		name: "names that leave no room for the length of the next", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { binary.LittleEndian.PutUint16(b[80:], 425); return resum(b) }),
		says:    []string{"offset 507", "end too early"},
	},
	{
		name: "slots that promise less than nothing", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[512+15], b[1024+15] = 0x80, 0x80; return resum(b) }),
		says:    []string{"offset 512", "both length slots"},
	},
	{
		name: "both slots damaged", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[512]++; b[1024]++; return b }),
		says:    []string{"offset 512", "both length slots"},
	},
	{
		name: "half a copy", kind: dump.ErrTruncated,
		arrange: damaged(func(b []byte) []byte { return b[:len(b)-1] }),
		says:    []string{"bytes, and had"},
	},
	{
		name: "bytes behind the end", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { return append(b, 0) }),
		says:    []string{"1 bytes were added after the file was closed"},
	},
	{
		name: "a damaged entry", kind: dump.ErrCorrupt,
		arrange: damaged(func(b []byte) []byte { b[1570] ^= 4; return b }),
		says:    []string{"offset 1536", "part of the snapshot"},
	},
	{
		name: "a link that leads in a circle", kind: dump.ErrIO,
		arrange: func(t *testing.T, path string) {
			require.NoError(t, os.Remove(path))
			require.NoError(t, os.Symlink(path, path))
		},
		says: []string{"too many links"},
	},
	{
		name: "a directory that is not there", kind: dump.ErrIO,
		open: func(path string) error { return openTexts(path + "/in/it") },
		says: []string{"looking for its directory"},
	},
}

func TestOpen_refuses_what_it_cannot_read_and_touches_nothing(t *testing.T) {
	for _, r := range refusals {
		t.Run(r.name, func(t *testing.T) {
			t.Parallel()
			path := goodFile(t)
			if r.arrange != nil {
				r.arrange(t, path)
			}
			if r.open == nil {
				r.open = openTexts
			}
			refused(t, path, r.open, r.kind, r.says...)
		})
	}
}

// refused says that open refuses what is at path, why, and that nothing is changed by it.
func refused(t *testing.T, path string, open func(string) error, kind error, says ...string) {
	t.Helper()
	before := inventory(t, filepath.Dir(path))
	err := open(path)
	typed := (*dump.Error)(nil)
	require.ErrorAs(t, err, &typed)
	require.ErrorIs(t, err, kind)
	require.True(t, strings.HasPrefix(typed.Path, path), typed.Path)
	for _, say := range append(says, path, kind.Error()) {
		require.ErrorContains(t, err, say)
	}
	require.Equal(t, before, inventory(t, filepath.Dir(path)))
}

// goodFile is the path of a closed dump of three strings, in a directory of its own.
func goodFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "texts.dump")
	seedTexts(t, path)
	return path
}

func seedTexts(t *testing.T, path string) {
	t.Helper()
	d, m, _ := open(t, path, dump.Options{})
	for _, key := range []string{"a"} {
		m.Put(dump.Entry[string, string]{Key: key, Value: "value of " + key})
	}
	_, err := d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	put(t, d, "b", "value of b")
	put(t, d, "c", "value of c")
	require.NoError(t, d.Close())
}

func openAs[K comparable, V any](path string, o dump.Options) error {
	d, _, err := dump.Open(context.Background(), path, newMemory[K, V](), o)
	if err == nil {
		err = d.Close()
	}
	return err
}

func openTexts(path string) error {
	return openAs[string, string](path, dump.Options{Name: "texts"})
}

// damaged replaces the bytes of a file.
func damaged(to func([]byte) []byte) func(*testing.T, string) {
	return func(t *testing.T, path string) {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, to(b), 0o600))
	}
}

// inventory is what a directory holds: the names, and of each the mode, the time and the bytes.
func inventory(t *testing.T, directory string) map[string]string {
	t.Helper()
	held := map[string]string{}
	entries, err := os.ReadDir(directory)
	require.NoError(t, err)
	for _, e := range entries {
		info, err := e.Info()
		require.NoError(t, err)
		bytes := []byte(nil)
		if info.Mode().IsRegular() {
			bytes, err = os.ReadFile(filepath.Join(directory, e.Name()))
			require.True(t, err == nil || errors.Is(err, fs.ErrPermission))
		}
		held[e.Name()] = fmt.Sprintf("%v %v %q", info.Mode(), info.ModTime(), bytes)
	}
	return held
}

func TestOpen_migrates_another_schema_if_it_is_told_how(t *testing.T) {
	path := goodFile(t)
	m := newMemory[string, int]()
	d, found, err := dump.Open(context.Background(), path, m, dump.Options{
		Name: "texts", Schema: 3,
		Migrate: dump.MigrateFrom(0, dump.Raw(), func(old string) (int, error) { return len(old), nil }),
	})
	require.NoError(t, err)
	require.True(t, found.Migrated)
	require.Equal(t, map[string]int{"a": 10, "b": 10, "c": 10}, m.values())
	require.ErrorIs(t, d.Put(dump.Entry[string, int]{Key: "d"}), dump.ErrBroken)
	_, err = d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	require.NoError(t, d.Close())
	require.NoError(t, openAs[string, int](path, dump.Options{Name: "texts", Schema: 3}))
}

func TestOpen_takes_one_damaged_slot_for_what_it_is(t *testing.T) {
	for _, slot := range []int{512, 1024} {
		path := goodFile(t)
		damaged(func(b []byte) []byte { b[slot+9]++; return b })(t, path)
		d, m, found := open(t, path, dump.Options{})
		require.True(t, found.SlotDamaged)
		require.Equal(t, dump.Clean, found.Outcome)
		require.Len(t, m.values(), 3)
		put(t, d, "d", "mends it")
		require.NoError(t, d.Close())
		_, _, found = open(t, path, dump.Options{})
		require.False(t, found.SlotDamaged)
	}
}

// Which of the slots was the later one is not known when it is damaged, and the other may
// still say that the file was closed.
func TestOpen_reads_what_was_appended_after_a_close_though_the_slot_that_says_so_is_damaged(t *testing.T) {
	path := goodFile(t)
	d, _, _ := open(t, path, dump.Options{Sync: dump.SyncNever})
	put(t, d, "d", "value of d")
	copied, err := os.ReadFile(path) // as a crash leaves it
	require.NoError(t, err)
	later := 512
	if u64(copied, 1024) > u64(copied, 512) {
		later = 1024
	}
	copied[later]++
	path = filepath.Join(t.TempDir(), "copied")
	require.NoError(t, os.WriteFile(path, copied, 0o600))

	info, err := dump.Inspect(dump.OS(), path)
	require.NoError(t, err)
	require.False(t, info.Closed)
	_, m, found := open(t, path, dump.Options{})
	require.Equal(t, dump.Unclean, found.Outcome)
	require.True(t, found.SlotDamaged)
	require.Equal(t, "value of d", m.values()["d"])
}

func TestOpen_removes_what_a_killed_rewrite_left_and_nothing_else(t *testing.T) {
	path := goodFile(t)
	others := []string{
		"texts.dump.tmp-0123456789abcde", "texts.dump.tmp-0123456789abcdef0", "texts.dump.tmp-0123456789abcdeg",
		"texts.dump.tmp-", "texts.dump.torn-1-2", "other.dump.tmp-0123456789abcdef", "texts.dump2.tmp-0123456789abcdef",
	}
	for _, name := range append(others, "texts.dump.tmp-0123456789abcdef") {
		require.NoError(t, os.WriteFile(filepath.Join(filepath.Dir(path), name), []byte("x"), 0o600))
	}
	refused(t, path, func(path string) error { return openAs[string, string](path, dump.Options{Name: "x"}) }, dump.ErrForeign)
	require.NoError(t, openTexts(path))
	held := inventory(t, filepath.Dir(path))
	require.NotContains(t, held, "texts.dump.tmp-0123456789abcdef")
	require.Len(t, held, len(others)+1)
}

func TestOpen_never_takes_a_read_error_for_the_end_of_the_file(t *testing.T) {
	disk := dumptest.NewDisk(1)
	d, m, _ := open(t, "/file", dump.Options{FS: disk})
	m.Put(dump.Entry[string, string]{Key: "a"})
	_, err := d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	put(t, d, "b", "not synced")

	for n := 1; ; n++ {
		after := disk.Clone()
		before, err := after.ReadFile("/file")
		require.NoError(t, err)
		after.Inject(dumptest.FailNth(n, syscall.EIO, dumptest.Read))
		for _, policy := range []dump.CorruptPolicy{dump.Fail, dump.Quarantine, dump.SalvagePrefix} {
			err = openAs[string, string]("/file", dump.Options{Name: "texts", FS: after, OnCorrupt: policy})
			if err == nil {
				break
			}
			require.ErrorIs(t, err, dump.ErrIO)
			require.ErrorIs(t, err, syscall.EIO)
			require.Regexp(t, `"/file".* at offset \d+: reading`, err.Error())
			now, err := after.ReadFile("/file")
			require.NoError(t, err)
			require.Equal(t, before, now)
			after.Inject(dumptest.FailNth(n, syscall.EIO, dumptest.Read))
		}
		if err == nil {
			require.Greater(t, n, 3, "the header, the slots and the frames are read")
			return
		}
	}
}

// What is not damage is no reason to take a part for the whole, also in a file that is damaged.
func TestOpen_salvages_from_damage_and_from_nothing_else(t *testing.T) {
	disk := dumptest.NewDisk(1)
	d, m, _ := open(t, "/file", dump.Options{FS: disk})
	m.Put(dump.Entry[string, string]{Key: "a", Value: "12345678"})
	_, err := d.Rewrite(context.Background(), m.all())
	require.NoError(t, err)
	put(t, d, "b", "no number")
	require.NoError(t, d.Close())
	file, err := disk.ReadFile("/file")
	require.NoError(t, err)
	require.NoError(t, disk.Truncate("/file", int64(len(file)-1)))
	options := dump.Options{Name: "texts", FS: disk, OnCorrupt: dump.SalvagePrefix}

	stopped, stop := context.WithCancel(context.Background())
	stop()
	_, _, err = dump.Open(stopped, "/file", newMemory[string, string](), options)
	require.ErrorIs(t, err, context.Canceled)

	disk.Inject(dumptest.FailNth(4, syscall.EIO, dumptest.Read))
	require.ErrorIs(t, openAs[string, string]("/file", options), syscall.EIO)
	disk.Inject(nil)

	require.NoError(t, disk.WriteFile("/file", append(bytes.Clone(file), 0), 0o600))
	require.ErrorIs(t, openAs[string, int64]("/file", options), dump.ErrDecode)

	_, found, err := dump.Open(context.Background(), "/file", newMemory[string, string](), options)
	require.NoError(t, err)
	require.Equal(t, dump.Salvaged, found.Outcome)
	require.Equal(t, 2, found.Records)
}
