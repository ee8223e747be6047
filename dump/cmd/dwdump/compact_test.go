package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

func TestCompact_keeps_every_entry_and_what_the_file_says_of_itself(t *testing.T) {
	path := prices(t)
	before := ran(t, "export", "-sorted", path).stdout
	require.Equal(t, exitOK, ran(t, "compact", path).code)
	require.Equal(t, before, ran(t, "export", "-sorted", path).stdout)
	require.Contains(t, ran(t, "info", path).stdout, "fresh at    2026-01-02T11:59:00Z")
	require.Equal(t, "prices.dump: ok: 2 records in the snapshot, 0 records in 0 batches since\n", ran(t, "verify", path).stdout)
	require.Empty(t, leftovers(t, path))
}

func TestCompact_leaves_a_file_that_is_in_use_alone_and_says_what_to_do(t *testing.T) {
	d := opened(t, missing(t), dump.Options{}, text{"EUR", "1"})
	before, err := os.ReadFile(d.Path())
	require.NoError(t, err)
	got := ran(t, "compact", d.Path())
	require.Equal(t, exitLocked, got.code)
	golden(t, got)
	after, err := os.ReadFile(d.Path())
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.NoError(t, d.Put(entry(text{"EUR", "2"})), "its owner was not disturbed")
}

func TestCompact_leaves_a_damaged_file_alone(t *testing.T) {
	path := damaged(t)
	before, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, exitDamaged, ran(t, "compact", path).code)
	after, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, before, after)
	require.Empty(t, leftovers(t, path))
}
