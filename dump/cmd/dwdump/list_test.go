package main

import (
	"bufio"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestList_prints_every_key_in_order(t *testing.T) {
	out := ran(t, "list", numbers(t)).stdout
	var keys []string
	scanner := bufio.NewScanner(strings.NewReader(out))
	for scanner.Scan() {
		keys = append(keys, strings.Fields(scanner.Text())[2])
	}
	require.Equal(t, []string{"-10", "-2", "9", "10"}, keys)
}
