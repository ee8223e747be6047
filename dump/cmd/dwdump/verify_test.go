package main

import (
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestVerify_names_the_offset_of_the_damage(t *testing.T) {
	path := damaged(t)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	frame := len(b) - 40 // the last one: a header of 32 bytes, and a deletion with its padding
	got := ran(t, "verify", path)
	require.Equal(t, exitDamaged, got.code)
	require.Contains(t, got.stdout, "corrupt at offset 1752: ")
	require.Equal(t, 1752, frame)
}

func TestVerify_finds_every_wrong_bit(t *testing.T) {
	path := prices(t)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	for at := range b {
		b[at] ^= 0x10
		require.NoError(t, os.WriteFile(path, b, 0o600))
		b[at] ^= 0x10
		got := ran(t, "verify", path)
		if got.code == exitOK {
			require.Contains(t, got.stdout, "length slots is damaged", "byte %d", at)
			continue
		}
		require.Contains(t, []int{exitDamaged, exitForeign}, got.code, "byte %d: %s", at, got.stdout)
	}
}

func TestVerify_goes_on_after_a_bad_file_and_exits_with_the_worst(t *testing.T) {
	got := ran(t, "verify", torn(t), damaged(t), foreign(t), missing(t), prices(t))
	require.Equal(t, exitDamaged, got.code)
	golden(t, got)
}

func TestVerify_of_several_files_ranks_what_is_wrong(t *testing.T) {
	ranked := []func(testing.TB) string{damaged, missing, foreign, torn, prices}
	codes := []int{exitDamaged, exitUsage, exitForeign, exitTorn, exitOK}
	for i, graver := range ranked {
		for _, lesser := range ranked[i:] {
			require.Equal(t, codes[i], ran(t, "verify", graver(t), lesser(t)).code)
			require.Equal(t, codes[i], ran(t, "verify", lesser(t), graver(t)).code)
		}
	}
}
