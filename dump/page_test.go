package dump_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestFormat_page_shows_the_bytes_as_they_are keeps the bytes in FORMAT.md those of a golden
// file, and what is said beside them true.
func TestFormat_page_shows_the_bytes_as_they_are(t *testing.T) {
	file, err := os.ReadFile(filepath.Join(goldenDir, "v1.0-raw-string-unclean.dump"))
	require.NoError(t, err)
	page, err := os.ReadFile("FORMAT.md")
	require.NoError(t, err)
	const opens, closes = "```hex\n", "```\n"
	before, rest, ok := bytes.Cut(page, []byte(opens))
	require.True(t, ok)
	shown, after, ok := bytes.Cut(rest, []byte(closes))
	require.True(t, ok)

	want := annotate(layoutOf(t, file))
	if *update {
		page = bytes.Join([][]byte{before, []byte(opens), []byte(want), []byte(closes), after}, nil)
		require.NoError(t, os.WriteFile("FORMAT.md", page, 0o644))
		return
	}
	require.Equal(t, want, string(shown))
}

// annotation is a listing of all bytes of a file, with what they mean.
type annotation struct {
	file []byte
	at   int
	text strings.Builder
}

func annotate(l layout) string {
	a := &annotation{file: l.bytes}
	a.header(l.header)
	for i, s := range l.slots {
		a.title("slot %d", i)
		a.number(8, "counter")
		a.number(8, "length")
		a.number(4, "state, "+map[uint32]string{slotIsOpen: "open", slotIsClean: "clean"}[s.state])
		a.zeros(s.offset + 508)
		a.sum("bytes 0 to 507, behind the id")
	}
	for _, f := range l.frames {
		a.title("frame at %d", f.offset)
		a.sum("the offset and bytes 4 to 31, behind the id")
		a.number(4, "payload length")
		a.number(8, "records before")
		a.number(8, "synced")
		a.number(1, "kind, "+map[byte]string{kindSnapshot: "snapshot", kindEnd: "end of the snapshot", kindBatch: "batch"}[f.kind])
		a.number(3, "flags")
		a.sum("the payload and its padding, behind the id")
		for _, r := range f.records {
			a.record(r)
		}
		a.zeros(f.end)
	}
	return a.text.String()
}

func (a *annotation) header(size int) {
	a.title("header")
	a.show(8, "magic")
	a.number(2, "major")
	a.number(2, "minor")
	a.number(4, "size of the header")
	a.number(4, "incompatible flags")
	a.number(4, "compatible flags: partial")
	a.show(16, "id")
	a.number(8, "generation")
	a.number(8, "records in the snapshot")
	a.moment("created")
	a.moment("fresh at")
	a.number(4, "schema")
	a.number(4, "reserved")
	for _, name := range []string{"name", "key codec", "value codec", "key type", "value type", "writer"} {
		length := int(binary.LittleEndian.Uint16(a.file[a.at:]))
		a.number(2, "length")
		a.show(length, fmt.Sprintf("%s, %q", name, a.file[a.at:a.at+length]))
	}
	a.zeros(size - 4)
	a.sum("all before")
}

func (a *annotation) record(r layoutRecord) {
	op := "set"
	if r.deleted {
		op = "delete"
	}
	a.number(1, op)
	if !r.deleted {
		a.moment("at")
	}
	a.number(1, "key length")
	a.show(len(r.key), fmt.Sprintf("key, %q", r.key))
	if !r.deleted {
		a.number(1, "value length")
		a.show(len(r.value), fmt.Sprintf("value, %q", r.value))
	}
}

func (a *annotation) title(format string, args ...any) {
	if a.at > 0 {
		a.text.WriteString("\n")
	}
	fmt.Fprintf(&a.text, format+"\n", args...)
}

// show lists the next n bytes, sixteen in a line.
func (a *annotation) show(n int, meaning string) {
	for n > 0 {
		line := a.file[a.at : a.at+min(n, 16)]
		a.text.WriteString(strings.TrimRight(fmt.Sprintf("%6d  %-47s  %s", a.at, fmt.Sprintf("% x", line), meaning), " ") + "\n")
		a.at, n, meaning = a.at+len(line), n-len(line), ""
	}
}

func (a *annotation) number(n int, name string) {
	var b [8]byte
	copy(b[:], a.file[a.at:a.at+n])
	a.show(n, fmt.Sprintf("%s: %d", name, binary.LittleEndian.Uint64(b[:])))
}

func (a *annotation) moment(name string) {
	at := time.Unix(0, int64(u64(a.file, a.at)))
	a.show(8, name+": "+at.UTC().Format(time.RFC3339Nano))
}

func (a *annotation) sum(of string) { a.show(4, "checksum of "+of) }

// zeros lists the bytes up to end, which are zero.
func (a *annotation) zeros(end int) {
	if n := end - a.at; n > 0 {
		fmt.Fprintf(&a.text, "%6d  %-47s  padding\n", a.at, fmt.Sprintf("00 (%d times)", n))
		a.at = end
	}
}
