package main

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestMain makes the test binary the command itself, for what only a process can show.
func TestMain(m *testing.M) {
	if os.Getenv("DWDUMP_TEST_AS_COMMAND") != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

func TestPipe_that_is_closed_ends_it_quietly(t *testing.T) {
	path := large(t)
	for _, args := range [][]string{{"export", path}, {"export", "-sorted", path}, {"get", path, "key1"}, {"list", path}, {"list", "-history", path}, {"info", path}, {"verify", path}, {"--help"}} {
		for _, broken := range []error{syscall.EPIPE, io.ErrClosedPipe} {
			got := ranIn(context.Background(), t, func(c *console) { c.stdout = &brokenPipe{10, broken} }, args...)
			require.Equal(t, result{exitOK, "", ""}, got, args)
		}
	}
}

func TestPipe_that_is_closed_is_no_signal_to_die_of(t *testing.T) {
	command := exec.Command(os.Args[0], "export", large(t))
	command.Env = append(os.Environ(), "DWDUMP_TEST_AS_COMMAND=1")
	out, err := command.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, command.Start())
	_, err = bufio.NewReader(out).ReadByte()
	require.NoError(t, err)
	require.NoError(t, out.Close())
	require.NoError(t, command.Wait())
}
