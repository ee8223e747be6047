package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"syscall"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// console is the world that the command runs in.
type console struct {
	stdout, stderr io.Writer
	terminal       bool // stderr is one
	shared         bool // stdout is one
	now            func() time.Time
	fs             dump.FS
}

// session is one run of a subcommand.
type session struct {
	console
	options

	args     []string
	out      *bufio.Writer // to stdout; its error stays, and ends the run
	progress *progress
}

// run is the whole program. It returns the exit code.
func run(ctx context.Context, args []string, c console) int {
	s := &session{console: c, out: bufio.NewWriterSize(c.stdout, 64<<10)}
	s.progress = newProgress(c)

	err := s.dispatch(ctx, args)
	s.progress.end()
	if flushed := s.out.Flush(); err == nil || errors.Is(err, errOutput) {
		err = output(flushed)
	}
	code, text := explain(err)
	if text != "" {
		fmt.Fprintln(c.stderr, "dwdump: "+printable(text))
	}
	return code
}

func (s *session) dispatch(ctx context.Context, args []string) error {
	if len(args) == 0 {
		fmt.Fprint(s.stderr, topHelp())
		return silent(exitUsage)
	}
	switch name := args[0]; name {
	case "help", "-h", "-help", "--help":
		return s.help(args[1:])
	default:
		c, ok := commandNamed(name)
		if !ok {
			return usage("there is no %q: it is one of %s; see dwdump --help", name, commandNames())
		}
		return s.invoke(ctx, c, args[1:])
	}
}

func (s *session) invoke(ctx context.Context, c command, args []string) error {
	wantsHelp, err := s.parse(c, args)
	switch {
	case err != nil:
		return usage("%s: %v; see dwdump %s --help", c.name, err, c.name)
	case wantsHelp:
		return s.help([]string{c.name})
	default:
		return c.run(ctx, s)
	}
}

// print writes to stdout what is safe to be seen.
func (s *session) print(format string, args ...any) error {
	_, err := fmt.Fprintf(s.out, format, args...)
	return output(err)
}

func (s *session) write(b []byte) error {
	_, err := s.out.Write(b)
	return output(err)
}

// note says on stderr what is no failure.
func (s *session) note(path, format string, args ...any) {
	_ = s.out.Flush() // it comes first, and its error comes again
	fmt.Fprintf(s.stderr, "dwdump: %s\n", printable(path+": "+fmt.Sprintf(format, args...)))
}

// errOutput marks what went wrong with stdout, not with a file.
var errOutput = errors.New("writing the output")

func output(err error) error {
	switch {
	case err == nil || errors.Is(err, errOutput):
		return err
	case errors.Is(err, syscall.EPIPE) || errors.Is(err, io.ErrClosedPipe):
		return fmt.Errorf("%w: %w", errOutput, errEnough)
	default:
		return fmt.Errorf("%w: %w", errOutput, err)
	}
}

// errEnough ends a reading early: nobody wants more.
var errEnough = errors.New("enough")
