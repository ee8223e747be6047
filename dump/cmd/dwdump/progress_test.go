package main

import (
	"bytes"
	"context"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// slow is a clock that goes on by a step with each look at it.
func slow(step time.Duration) func() time.Time {
	now := noon
	return func() time.Time {
		now = now.Add(step)
		return now
	}
}

func bars(t *testing.T, change func(*console), args ...string) string {
	t.Helper()
	got := ranIn(context.Background(), t, func(c *console) {
		c.terminal, c.now = true, slow(400*time.Millisecond)
		change(c)
	}, args...)
	require.Equal(t, exitOK, got.code)
	return got.stderr
}

func TestProgress_is_shown_on_a_terminal_when_it_takes_long_and_is_gone_at_the_end(t *testing.T) {
	got := bars(t, func(*console) {}, "export", large(t))
	bar := regexp.MustCompile(`\r[^\r]*prices\.dump: (reading|exporting) \[#*\.*\] +\d+% of 4\.0 MiB(, \d+s left)?\x1b\[K`)
	shown := bar.FindAllStringSubmatch(got, -1)
	require.Greater(t, len(shown), 4)
	require.Equal(t, "reading", shown[0][1])
	require.Equal(t, "exporting", shown[len(shown)-1][1])
	require.Contains(t, got, "\r\x1b[K")
	require.Equal(t, "\r\x1b[K", got[len(got)-4:])
	require.Empty(t, bar.ReplaceAllString(got[:len(got)-4], "")[len("\r\x1b[K"):])
}

func TestProgress_is_shown_of_a_compaction(t *testing.T) {
	got := bars(t, func(*console) {}, "compact", large(t))
	require.Contains(t, got, ": reading [")
	require.Contains(t, got, ": writing [")
	require.Equal(t, "\r\x1b[K", got[len(got)-4:])
}

func TestProgress_is_not_shown(t *testing.T) {
	path := large(t)
	t.Run("where there is no terminal", func(t *testing.T) {
		require.Empty(t, bars(t, func(c *console) { c.terminal = false }, "export", path))
	})
	t.Run("in the first second", func(t *testing.T) {
		require.Empty(t, bars(t, func(c *console) { c.now = slow(time.Millisecond) }, "export", path))
	})
	t.Run("among the lines of the output", func(t *testing.T) {
		require.NotContains(t, bars(t, func(c *console) { c.shared = true }, "export", path), "exporting")
		require.Empty(t, bars(t, func(c *console) { c.shared = true }, "list", "-history", path))
	})
}

func TestProgress_is_shown_of_an_export_to_a_file_also_if_stdout_is_the_terminal(t *testing.T) {
	path := large(t)
	got := bars(t, func(c *console) { c.shared = true }, "export", path, "-o", path+".jsonl")
	require.Contains(t, got, ": exporting [")
}

func TestProgress_is_gone_before_an_error_is_told(t *testing.T) {
	path := changed(t, large(t), func(b []byte) []byte {
		b[len(b)-100] ^= 1
		return b
	})
	got := ranIn(context.Background(), t, func(c *console) { c.terminal, c.now = true, slow(time.Second) }, "list", path)
	require.Equal(t, exitDamaged, got.code)
	at := bytes.Index([]byte(got.stderr), []byte("dwdump: "))
	require.Equal(t, "\r\x1b[K", got.stderr[at-4:at])
}

func TestProgress_never_prints_a_path_raw(t *testing.T) {
	var stderr bytes.Buffer
	p := newProgress(console{stderr: &stderr, terminal: true, now: slow(time.Second)})
	watched := watchedFS{FS: dump.OS(), progress: p, path: "a\x1b[2J", size: 10}
	file, err := watched.Open(prices(t), false)
	require.NoError(t, err)
	defer file.Close() //nolint:errcheck // it was only read
	_, err = file.ReadAt(make([]byte, 5), 0)
	require.NoError(t, err)
	require.Contains(t, stderr.String(), `a\x1b[2J: reading`)
}
