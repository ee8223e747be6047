package main

import (
	"bytes"
	"context"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// tiny is as little as makes every scenario do all that it does.
func tiny() pace {
	return pace{
		rounds: 1, slow: 1, turn: 2 * time.Millisecond, window: 5 * time.Millisecond,
		entries: 2_000, few: 100, some: 500, many: 3_000,
		crowd: 50, misses: 50, reloads: 2,
	}
}

var everything = regexp.MustCompile("")

func TestScenarios_all_measure_and_return_what_is_held(t *testing.T) {
	var out bytes.Buffer
	s := settings{pace: tiny(), names: everything}
	tables, err := measure(t.Context(), s, s.scenarios(), &out, &out)
	require.NoError(t, err)

	for _, made := range tables {
		require.NotEmpty(t, made.rows, made.name)
		for _, r := range made.rows {
			require.NotEmpty(t, r.samples, "%s: %s", made.name, r.name)
			for _, sample := range r.samples {
				assert.GreaterOrEqual(t, sample, 0.0, "%s: %s", made.name, r.name)
			}
			if made.base != "" {
				require.Len(t, r.against, len(r.samples), "%s: %s", made.name, r.name)
			}
		}
		assert.Contains(t, out.String(), "\n"+made.name+": "+made.title)
	}
	assert.Len(t, find(tables, "hits").rows, 9)
	assert.Len(t, find(tables, "hits-int").rows, 8)
	assert.Len(t, find(tables, "hits-many").rows, 6)

	herd := find(tables, "herd-loads")
	assert.Len(t, herd.rows, 5)
	for _, r := range herd.rows {
		loads := spreadOf(r.samples)
		assert.GreaterOrEqual(t, loads.least, 1.0, r.name)
		assert.LessOrEqual(t, loads.most, float64(s.crowd), r.name)
	}
	assert.Equal(t, 1.0, spreadOf(herd.row(dataWorker).samples).most)
}

func TestCheck_finds_the_tables_of_all_figures(t *testing.T) {
	var out bytes.Buffer
	s := settings{pace: tiny(), names: everything, check: true}
	tables, err := measure(t.Context(), s, s.scenarios(), &out, &out)
	require.NoError(t, err)
	_, err = check(&out, tables, figures)
	require.NoError(t, err)
	for _, f := range figures {
		assert.Contains(t, out.String(), f.promise)
	}
}

func TestRun_writes_the_table_and_the_chart(t *testing.T) {
	directory := t.TempDir()
	var out, errs bytes.Buffer
	args := []string{"-quick", "-rounds", "1", "-run", "^herd$", "-out", directory}
	require.NoError(t, run(t.Context(), args, &out, &errs))

	text, err := os.ReadFile(filepath.Join(directory, "peers.txt"))
	require.NoError(t, err)
	assert.Equal(t, out.String(), string(text))
	assert.FileExists(t, filepath.Join(directory, "peers.svg"))
	assert.Empty(t, errs.String())
}

func TestRun_ends_when_it_is_interrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var out bytes.Buffer
	err := run(ctx, []string{"-quick", "-run", "^herd$"}, &out, &out)
	require.ErrorIs(t, err, context.Canceled)
}

func TestRun_lists_the_scenarios(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(t.Context(), []string{"-list"}, &out, &out))
	assert.Equal(t, len(scenarios()), strings.Count(out.String(), "\n"))
	assert.Contains(t, out.String(), "garbage")
}

func TestRun_says_what_is_wrong_with_a_command_line(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{[]string{"hits"}, `not "hits"`},
		{[]string{"-rounds", "-1"}, "-rounds must be at least 1, not -1"},
		{[]string{"-run", "("}, "-run must be a regular expression"},
		{[]string{"-check", "-run", "hits"}, "leave -run out"},
		{[]string{"-fast"}, "flag provided but not defined"},
	}
	for _, tt := range tests {
		var out, errs bytes.Buffer
		err := run(t.Context(), tt.args, &out, &errs)
		require.ErrorIs(t, err, errUsage, tt.args)
		assert.Contains(t, errs.String(), tt.want)
	}

	var out bytes.Buffer
	require.ErrorIs(t, run(t.Context(), []string{"-h"}, &out, &out), flag.ErrHelp)
	require.ErrorContains(t, run(t.Context(), []string{"-run", "nothing"}, &out, &out), "no scenario")
	require.ErrorContains(t, run(t.Context(), []string{"-out", "nowhere"}, &out, &out), "name a directory")
}

func TestParse_writes_only_after_a_full_run_or_when_told_to(t *testing.T) {
	tests := []struct {
		args []string
		want string
	}{
		{nil, ownDirectory},
		{[]string{"-rounds", "3"}, ownDirectory},
		{[]string{"-quick"}, ""},
		{[]string{"-run", "hits"}, ""},
		{[]string{"-check"}, ""},
		{[]string{"-quick", "-out", "there"}, "there"},
	}
	for _, tt := range tests {
		s, err := parse(tt.args, &bytes.Buffer{})
		require.NoError(t, err)
		assert.Equal(t, tt.want, s.out, tt.args)
	}
}
