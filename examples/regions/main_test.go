package main

import (
	"bytes"
	"context"
	"flag"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestTour_shows_every_step_and_leaves_nothing_behind(t *testing.T) {
	path := filepath.Join(t.TempDir(), "regions.db")

	first := tourOf(t, "-db", path)
	assert.Contains(t, first, "made now")
	assertInOrder(t, first, "cold", "there was no dump", "the next run starts warm")
	second := tourOf(t, "-db", path)
	assert.Contains(t, second, "found, from an earlier run")
	assertInOrder(t, second, "warm", "the database was not asked", "cold", "times as long")

	for _, out := range []string{first, second} {
		assertInOrder(t, out,
			"1 Start",
			"2 A miss",
			"currency JPY",
			"ja 日本",
			"asked 1 time",
			"3 A hit",
			"asked 0 times",
			"4 A thousand callers",
			"1,000 callers at once, all served",
			"asked 1 time",
			"5 The owner changes a row",
			"Croatia pays with HRK",
			"Croatia pays with HRK",
			"3 loaded, 1 changed, 2 unchanged, 0 failed",
			"Croatia pays with EUR",
			"6 A key that does not exist",
			"7 A loader that panics",
			"the loader fell into the sea",
			"Deutschland: the bucket goes on",
			"8 The bucket's own actor dies",
			"fire drill 1",
			"restart 1; a miss (Italy)",
			"fire drill 2",
			"restart 2; a miss (Brazil)",
			"hits, 0 failures",
			"asked 2 times",
			"9 What the bucket counted",
			"health ready",
			"restarts 2",
			"10 A start from the dump",
			"11 A clean stop",
			"goroutines",
		)
		assert.NotContains(t, out, "\x1b", "a buffer is no terminal")
	}
	assert.Equal(t, []string{"regions.db", "regions.dump"}, filesIn(t, filepath.Dir(path)))
}

func TestTour_serves_until_it_is_interrupted(t *testing.T) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	out := &watched{until: "1 refresh (1 changed)", reached: interrupt}

	path := filepath.Join(t.TempDir(), "regions.db")
	err := run(ctx, []string{"-db", path, "-serve", "-every", "50ms"}, out, io.Discard)
	require.NoError(t, err, out.String())
	assertInOrder(t, out.String(), "11 At work", "ready", "held", "interrupted", "12 A clean stop", "after the stop")
}

func TestTour_shows_how_far_a_refresh_is(t *testing.T) {
	var stdout, stderr bytes.Buffer
	path := filepath.Join(t.TempDir(), "regions.db")
	err := run(t.Context(), []string{"-db", path, "-far", "1ms"}, &stdout, &stderr)
	require.NoError(t, err, stdout.String())

	assertInOrder(t, stdout.String(), "11 A full refresh", "regions in", "each of them 1ms away", "12 A clean stop", "after the stop")
	assertInOrder(t, stderr.String(), "progress 100 %")
	assertPlain(t, stderr.String())
}

func TestTour_stops_early_without_a_trace_when_interrupted(t *testing.T) {
	for _, moment := range []string{"Start", "A thousand callers", "The bucket's own actor dies", "A full refresh"} {
		t.Run(moment, func(t *testing.T) {
			ctx, interrupt := context.WithCancel(t.Context())
			defer interrupt()
			out := &watched{until: moment, reached: interrupt}

			path := filepath.Join(t.TempDir(), "regions.db")
			err := run(ctx, []string{"-db", path, "-far", "1h"}, out, io.Discard)
			require.ErrorIs(t, err, context.Canceled)
			assert.NotContains(t, out.String(), "A clean stop")
		})
	}
}

func TestTour_says_what_is_wrong_with_the_command_line(t *testing.T) {
	tests := []struct {
		args []string
		want error
		says string
	}{
		{[]string{"-h"}, flag.ErrHelp, "-serve"},
		{[]string{"-colour"}, errUsage, "-colour"},
		{[]string{"all"}, errUsage, `not "all"`},
		{[]string{"-db", ""}, errUsage, "-db must name"},
		{[]string{"-every", "0s"}, errUsage, "-every must be"},
		{[]string{"-refresh", "1s"}, errUsage, "-refresh must be"},
		{[]string{"-far", "-1s"}, errUsage, "-far must be"},
	}
	for _, tt := range tests {
		var stderr bytes.Buffer
		err := run(t.Context(), tt.args, io.Discard, &stderr)
		require.ErrorIs(t, err, tt.want, "%q", tt.args)
		assert.Contains(t, stderr.String(), tt.says, "%q", tt.args)
	}
}

func TestTour_says_what_is_wrong_with_the_database(t *testing.T) {
	path := filepath.Join(t.TempDir(), "letter.db")
	require.NoError(t, os.WriteFile(path, []byte("Dear Sir or Madam, this is no database."), 0o600))
	err := run(t.Context(), []string{"-db", path}, io.Discard, io.Discard)
	require.ErrorContains(t, err, path)
}

func tourOf(t *testing.T, args ...string) string {
	t.Helper()
	var out bytes.Buffer
	err := run(t.Context(), args, &out, io.Discard)
	require.NoError(t, err, out.String())
	return out.String()
}

func assertInOrder(t *testing.T, text string, wants ...string) {
	t.Helper()
	rest := strings.Join(strings.Fields(text), " ") // however it is aligned
	for _, want := range wants {
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("%q is missing, or comes too early, in:\n%s", want, text)
		}
		rest = after
	}
}

// watched is a writer that calls reached once a text has been written.
type watched struct {
	mu      sync.Mutex // guards the fields below
	written bytes.Buffer
	until   string
	reached func()
}

func (w *watched) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, err := w.written.Write(p)
	if strings.Contains(w.written.String(), w.until) {
		w.reached()
	}
	return n, err
}

func (w *watched) String() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.written.String()
}

func TestScreen_rounds_to_what_a_reader_can_use(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		0:                         "0s",
		7:                         "7ns",
		999:                       "999ns",
		1_234:                     "1.23µs",
		1_234_567:                 "1.23ms",
		98_765_432:                "98.8ms",
		61*time.Second + 23456789: "1m1s",
		-1_234_567:                "-1.23ms",
	} {
		assert.Equal(t, want, rounded(d).String())
	}
	for n, want := range map[int]string{0: "0", 999: "999", 1000: "1,000", 1234567: "1,234,567", -1234: "-1,234"} {
		assert.Equal(t, want, grouped(n))
	}
	assert.Equal(t, "1 time", plural(1, "time", "times"))
	assert.Equal(t, "0 times", plural(0, "time", "times"))
}

func TestScreen_colours_for_a_person_only(t *testing.T) {
	t.Parallel()
	var plain, coloured bytes.Buffer
	for _, s := range []*screen{newScreen(&plain), {w: &coloured, coloured: true}} {
		s.section("One")
		s.good("label", "fine")
	}
	assert.NotContains(t, plain.String(), "\x1b")
	assert.Contains(t, coloured.String(), "\x1b[32mfine\x1b[0m")

	file, err := os.Create(filepath.Join(t.TempDir(), "file"))
	require.NoError(t, err)
	defer func() { assert.NoError(t, file.Close()) }()
	assert.False(t, newScreen(file).coloured)
}
