package dump_test

import (
	"bytes"
	"context"
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// Files of every released format are kept in testdata/golden and read for ever. To add those
// of a new one: go test ./dump -run Golden -update.
var update = flag.Bool("update", false, "write the golden files that are missing, and the bytes in FORMAT.md anew")

type country struct {
	Name  string
	Area  float64
	Since time.Time
	Towns []string
	Notes map[string]int
}

var goldenDay = time.Date(2026, 2, 3, 4, 5, 6, 700, time.UTC)

func countryOf(name string) country {
	return country{Name: name, Area: 357.592, Since: goldenDay, Towns: []string{"Köln", ""}, Notes: map[string]int{"a": -1}}
}

// golden is a pair of files with the same entries, one closed and one not.
type golden struct {
	name  string
	write func(t *testing.T, path string) (unclean []byte)
	read  func(t *testing.T, path string, closed bool)
}

var goldens = []golden{
	goldenOf("raw-string", dump.Options{}, []string{"a", "b", "c", "d"}, []string{"alpha", "", "gamma", "δ"}),
	goldenOf("raw-int64", dump.Options{}, []int64{-1, 0, 1, 1 << 62}, []int64{1, -1, 0, -1 << 63}),
	goldenOf("cbor", dump.Options{}, [][2]string{{"e", "u"}, {"d", "e"}, {"", ""}, {"x", "y"}},
		[]country{countryOf("Europa"), countryOf("Deutschland"), {}, countryOf("X")}),
	goldenOf("json", dump.Options{Keys: dump.JSON(), Values: dump.JSON()}, []string{"de", "fr", "it", "es"},
		[]country{countryOf("<Deutschland>"), countryOf("\u2028"), {}, countryOf("España")}),
	goldenOf("binary", dump.Options{Values: dump.Binary()}, []string{"a", "b", "c", "d"},
		[]netip.Addr{netip.MustParseAddr("192.0.2.1"), {}, netip.MustParseAddr("2001:db8::1%eth0"), netip.IPv6Loopback()}),
}

const goldenAt = 1_700_000_000_000_000_000

// goldenOf is about four entries: the snapshot holds the first three, of which the first with
// another's value; then come the first as it should be, and the fourth; then the second goes.
func goldenOf[K comparable, V any](name string, o dump.Options, keys []K, values []V) golden {
	o.Name, o.Schema, o.Sync = "golden "+name, 7, dump.SyncNever
	entry := func(key, value int) dump.Entry[K, V] {
		return dump.Entry[K, V]{Key: keys[key], Value: values[value], At: goldenAt + int64(key)}
	}
	write := func(t *testing.T, path string) []byte {
		d, _, err := dump.Open(context.Background(), path, newMemory[K, V](), o)
		require.NoError(t, err)
		_, err = d.Rewrite(context.Background(), dump.Snapshot[K, V]{
			Entries: func(yield func(dump.Entry[K, V]) bool) {
				_ = yield(entry(0, 3)) && yield(entry(1, 1)) && yield(entry(2, 2))
			},
			FreshAt: goldenDay, Partial: true,
		})
		require.NoError(t, err)
		b := d.NewBatch()
		require.NoError(t, b.Put(entry(0, 0)))
		require.NoError(t, b.Put(entry(3, 3)))
		require.NoError(t, d.Write(b))
		require.NoError(t, d.Sync())
		require.NoError(t, d.Delete(keys[1]))
		unclean, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		return unclean
	}
	read := func(t *testing.T, path string, closed bool) {
		m := newMemory[K, V]()
		d, found, err := dump.Open(context.Background(), path, m, o)
		require.NoError(t, err)
		require.NoError(t, d.Close())
		outcome := dump.Unclean
		if closed {
			outcome = dump.Clean
		}
		found.Took = 0
		require.True(t, found.FreshAt.Equal(goldenDay))
		found.FreshAt = time.Time{}
		require.Equal(t, dump.Recovery{Outcome: outcome, Records: 6, Generation: 1, Partial: true}, found)
		want := map[K]dump.Entry[K, V]{keys[0]: entry(0, 0), keys[2]: entry(2, 2), keys[3]: entry(3, 3)}
		require.Equal(t, want, m.entries)
	}
	return golden{name, write, read}
}

const goldenDir = "testdata/golden"

// eachGolden calls do with every golden file, in a place where it may be written to.
func eachGolden(t *testing.T, do func(t *testing.T, g golden, path string, closed bool)) {
	for _, g := range goldens {
		for _, end := range []string{"closed", "unclean"} {
			name := "v1.0-" + g.name + "-" + end + ".dump"
			t.Run(name, func(t *testing.T) {
				path := filepath.Join(t.TempDir(), name)
				b, err := os.ReadFile(filepath.Join(goldenDir, name))
				require.NoError(t, err)
				require.NoError(t, os.WriteFile(path, b, 0o600))
				do(t, g, path, end == "closed")
			})
		}
	}
}

func TestGolden_files_are_written(t *testing.T) {
	if !*update {
		t.Skip("without -update they are read")
	}
	require.NoError(t, os.MkdirAll(goldenDir, 0o755))
	for _, g := range goldens {
		path := filepath.Join(goldenDir, "v1.0-"+g.name+"-closed.dump")
		if _, err := os.Stat(path); err == nil {
			continue // it was released
		}
		unclean := g.write(t, path)
		require.NoError(t, os.WriteFile(strings.Replace(path, "-closed", "-unclean", 1), unclean, 0o600))
	}
}

func TestGolden_files_of_every_released_format_hold_what_they_held(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden, path string, closed bool) { g.read(t, path, closed) })
}

func TestGolden_files_describe_themselves(t *testing.T) {
	eachGolden(t, func(t *testing.T, g golden, path string, closed bool) {
		info, err := dump.Read(context.Background(), dump.OS(), path, func(dump.Record) error { return nil })
		require.NoError(t, err)
		require.Equal(t, "1.0", info.Format)
		require.Equal(t, "golden "+g.name, info.Name)
		require.EqualValues(t, 7, info.Schema)
		require.EqualValues(t, 3, info.SnapshotRecords)
		require.EqualValues(t, 3, info.JournalRecords)
		require.Equal(t, 2, info.Batches)
		require.Equal(t, closed, info.Closed)
		require.True(t, info.Partial)
		require.True(t, info.FreshAt.Equal(goldenDay))
		require.NotEmpty(t, info.Writer)
	})
}

// What a newer program may add without harm is read, and what it may not is refused.
func TestGolden_files_as_newer_programs_might_write_them(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(b []byte)
		want   error
	}{
		{"a newer minor version", func(b []byte) { b[10]++ }, nil},
		{"a compatible flag", func(b []byte) { b[23] |= 0x80 }, nil},
		{"bytes behind the names", func(b []byte) { b[500] = 1 }, nil},
		{"bytes behind a slot", func(b []byte) { b[512+400] = 1 }, nil},
		{"a newer major version", func(b []byte) { b[8]++ }, dump.ErrVersion},
		{"version 0", func(b []byte) { b[8] = 0 }, dump.ErrVersion},
		{"an incompatible flag", func(b []byte) { b[19] |= 0x80 }, dump.ErrVersion},
	} {
		t.Run(tt.name, func(t *testing.T) {
			eachGolden(t, func(t *testing.T, g golden, path string, closed bool) {
				b, err := os.ReadFile(path)
				require.NoError(t, err)
				tt.change(b)
				newer := resum(b)
				require.False(t, bytes.Equal(b, newer))
				require.NoError(t, os.WriteFile(path, newer, 0o600))
				if tt.want == nil {
					g.read(t, path, closed)
					return
				}
				_, err = dump.Inspect(dump.OS(), path)
				require.ErrorIs(t, err, tt.want)
				for _, policy := range []dump.CorruptPolicy{dump.Fail, dump.Quarantine, dump.SalvagePrefix} {
					require.ErrorIs(t, openAs[string, string](path, dump.Options{Name: "x", OnCorrupt: policy}), tt.want)
				}
				now, err := os.ReadFile(path)
				require.NoError(t, err)
				require.Equal(t, newer, now)
			})
		})
	}
}
