package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()

	switch {
	case err == nil, errors.Is(err, flag.ErrHelp):
	case errors.Is(err, errUsage):
		os.Exit(2) // the flag package has said why
	default:
		fmt.Fprintln(os.Stderr, "regions:", err)
		os.Exit(1)
	}
}

// errUsage marks a command line that makes no sense.
var errUsage = errors.New("usage")

// settings is what the command line decides.
type settings struct {
	path    string        // of the database
	refresh time.Duration // between two full refreshes
	serve   bool          // stay at work after the tour
	every   time.Duration // between two lines of statistics, at work
	far     time.Duration // how far away a query of the refresh from far goes; 0 for no such refresh
}

// quickest is the least pause between refreshes: the tour counts every query, so
// no refresh but its own may come in between.
const quickest = 10 * time.Second

func parse(args []string, stderr io.Writer) (settings, error) {
	var s settings
	flags := flag.NewFlagSet("regions", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&s.path, "db", defaultPath(), "the database `file`, made when it is not there")
	flags.DurationVar(&s.refresh, "refresh", time.Minute, "`pause` between two full refreshes; 0 for none")
	flags.BoolVar(&s.serve, "serve", false, "stay at work after the tour, until interrupted")
	flags.DurationVar(&s.every, "every", 5*time.Second, "with -serve, `pause` between two lines of statistics")
	flags.DurationVar(&s.far, "far", 0, "show a full refresh of the world whose every query takes this `time`, with a progress bar; 0 for none")

	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return s, err
	case err != nil:
		return s, errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "regions takes flags only, not %q; see regions -h\n", flags.Arg(0))
		return s, errUsage
	case s.path == "":
		fmt.Fprintln(stderr, "-db must name a file")
		return s, errUsage
	case s.refresh != 0 && s.refresh < quickest:
		fmt.Fprintf(stderr, "-refresh must be at least %v, or 0 for none, not %v\n", quickest, s.refresh)
		return s, errUsage
	case s.every <= 0:
		fmt.Fprintf(stderr, "-every must be more than nothing, not %v\n", s.every)
		return s, errUsage
	case s.far < 0:
		fmt.Fprintf(stderr, "-far must be a time, or 0 for none, not %v\n", s.far)
		return s, errUsage
	}
	return s, nil
}

// run is the program, but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	return newTour(s, newScreen(stdout), stderr).run(ctx)
}
