package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
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
		os.Exit(2) // the flag package, or parse, has said why
	default:
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// errUsage marks a command line that makes no sense.
var errUsage = errors.New("usage")

// settings is what the command line decides.
type settings struct {
	pace
	names *regexp.Regexp // of the scenarios
	out   string         // directory of the table and the chart; "" is none
	list  bool
	check bool
}

// ownDirectory is where this program's table and chart are, seen from its module.
const ownDirectory = "bench"

func parse(args []string, stderr io.Writer) (settings, error) {
	s := settings{pace: usual()}
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.SetOutput(stderr)
	names := flags.String("run", "", "run the scenarios whose names match this `regexp`; all of them without it")
	small := flags.Bool("quick", false, "small sizes and few rounds, to try it out")
	rounds := flags.Int("rounds", 0, "`number` of rounds; what takes seconds a round has half as many (default 11)")
	flags.StringVar(&s.out, "out", "", "`directory` for peers.txt and peers.svg (default "+ownDirectory+" after a full run, none after any other)")
	flags.BoolVar(&s.list, "list", false, "list the scenarios")
	flags.BoolVar(&s.check, "check", false, "run what the promised figures need, and say whether they are met")

	err := flags.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return s, err
	case err != nil:
		return s, errUsage
	case flags.NArg() > 0:
		fmt.Fprintf(stderr, "bench takes flags only, not %q; see bench -h\n", flags.Arg(0))
		return s, errUsage
	case *rounds < 0:
		fmt.Fprintf(stderr, "-rounds must be at least 1, not %d\n", *rounds)
		return s, errUsage
	case s.check && *names != "":
		fmt.Fprintln(stderr, "-check chooses the scenarios itself: leave -run out")
		return s, errUsage
	}
	if s.names, err = regexp.Compile(*names); err != nil {
		fmt.Fprintf(stderr, "-run must be a regular expression: %v\n", err)
		return s, errUsage
	}
	if *small {
		s.pace = quick()
	}
	if *rounds > 0 {
		s.rounds, s.slow = *rounds, (*rounds+1)/2
	}
	if s.out == "" && *names == "" && !*small && !s.check {
		s.out = ownDirectory
	}
	return s, nil
}

// memoryBound is where the collector begins to work harder, for a machine that others use too.
const memoryBound = 9 << 30

// run is the program, but for the process around it.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) error {
	s, err := parse(args, stderr)
	if err != nil {
		return err
	}
	chosen := s.scenarios()
	if s.list {
		for _, c := range chosen {
			fmt.Fprintf(stdout, "%-16s %s\n", c.name, c.about)
		}
		return nil
	}
	if len(chosen) == 0 {
		return fmt.Errorf("-run %s: no scenario has such a name: see -list", s.names)
	}
	if err := canWrite(s.out); err != nil {
		return err
	}
	defer debug.SetMemoryLimit(debug.SetMemoryLimit(memoryBound))

	var text bytes.Buffer
	about := caption(time.Now())
	stdout = io.MultiWriter(stdout, &text)
	for _, line := range about {
		fmt.Fprintln(stdout, line)
	}
	tables, err := measure(ctx, s, chosen, stdout, stderr)
	if err != nil {
		return err
	}
	if s.check {
		return judge(stdout, tables, figures)
	}
	return publish(s.out, text.Bytes(), tables, about)
}

// scenarios are those that the command line asks for.
func (s settings) scenarios() []scenario {
	wanted := needed(figures)
	var chosen []scenario
	for _, c := range scenarios() {
		if s.names.MatchString(c.name) && (!s.check || wanted[c.name]) {
			chosen = append(chosen, c)
		}
	}
	return chosen
}

// measure runs the scenarios, and prints the tables of each as soon as it has them.
func measure(ctx context.Context, s settings, chosen []scenario, stdout, stderr io.Writer) ([]*table, error) {
	shown := newProgress(stderr, len(chosen))
	said := map[string]bool{} // a note is printed once
	var tables []*table
	for _, c := range chosen {
		shown.step(c.name)
		made, err := c.run(ctx, &race{pace: s.pace, guard: s.check, scenario: c.name, tell: shown.step})
		if err != nil {
			return nil, fmt.Errorf("scenario %s: %w", c.name, err)
		}
		shown.clear()
		for _, t := range made {
			t.notes = slices.DeleteFunc(slices.Clone(t.notes), func(note string) bool { return said[note] })
			for _, note := range t.notes {
				said[note] = true
			}
			t.write(stdout)
		}
		shown.done()
		tables = append(tables, made...)
	}
	return tables, nil
}

// judge prints what became of the figures. It is an error if one is past its limit.
func judge(stdout io.Writer, tables []*table, figures []figure) error {
	missed, err := check(stdout, tables, figures)
	if err == nil && missed > 0 {
		err = fmt.Errorf("%d of %d figures are not met", missed, len(figures))
	}
	return err
}

// canWrite finds out before minutes of measuring whether there is a place for the results.
func canWrite(directory string) error {
	if directory == "" {
		return nil
	}
	info, err := os.Stat(directory)
	if err == nil && !info.IsDir() {
		err = errors.New("not a directory")
	}
	if err != nil {
		return fmt.Errorf("-out %s: %w: name a directory that is there", directory, err)
	}
	return nil
}

// publish writes the tables and the chart.
func publish(directory string, text []byte, tables []*table, about []string) error {
	if directory == "" {
		return nil
	}
	if err := os.WriteFile(filepath.Join(directory, "peers.txt"), text, 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(directory, "peers.svg"), chart(tables, about), 0o644)
}
