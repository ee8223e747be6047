package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

// command is one subcommand.
type command struct {
	name    string
	args    []string // what has to be given; the last one may end in "..."
	summary string
	flags   func(*flag.FlagSet, *options)
	run     func(context.Context, *session) error
}

func commands() []command {
	return []command{
		{"info", []string{"FILE"}, "what the file says about itself", infoFlags, info},
		{"verify", []string{"FILE..."}, "read all of it, and say where it is damaged", noFlags, verify},
		{"list", []string{"FILE"}, "the keys, or every record", listFlags, list},
		{"get", []string{"FILE", "KEY"}, "the value of one key", getFlags, get},
		{"export", []string{"FILE"}, "all entries as JSON lines", exportFlags, export},
		{"compact", []string{"FILE"}, "write the file anew, as small as it can be", noFlags, compact},
	}
}

func commandNamed(name string) (command, bool) {
	all := commands()
	i := slices.IndexFunc(all, func(c command) bool { return c.name == name })
	if i < 0 {
		return command{}, false
	}
	return all[i], true
}

func commandNames() string {
	var names []string
	for _, c := range commands() {
		names = append(names, c.name)
	}
	return strings.Join(names, ", ")
}

// options are the flags of all subcommands.
type options struct {
	json, history, raw, sorted bool
	prefix, target             string
	limit                      int
	keyType, valueType         string
}

func noFlags(*flag.FlagSet, *options) {}

func infoFlags(f *flag.FlagSet, o *options) {
	f.BoolVar(&o.json, "json", false, "print one JSON object")
}

func listFlags(f *flag.FlagSet, o *options) {
	f.StringVar(&o.prefix, "prefix", "", "only keys that begin with `text`")
	f.IntVar(&o.limit, "limit", 0, "print `n` lines at the most; 0 is no limit")
	f.BoolVar(&o.history, "history", false, "print every record, in the order of the file")
	f.StringVar(&o.keyType, "key-type", "", keyTypeUsage)
}

func getFlags(f *flag.FlagSet, o *options) {
	f.BoolVar(&o.raw, "raw", false, "print the bytes of the value, and nothing else")
	f.StringVar(&o.keyType, "key-type", "", keyTypeUsage)
	f.StringVar(&o.valueType, "value-type", "", valueTypeUsage)
}

func exportFlags(f *flag.FlagSet, o *options) {
	f.StringVar(&o.target, "o", "", "write to `file`, which appears when it is complete")
	f.BoolVar(&o.sorted, "sorted", false, "in the order of the keys, rather than that of the file")
	f.BoolVar(&o.raw, "raw", false, "the bytes of keys and values in base64, not decoded")
	f.StringVar(&o.keyType, "key-type", "", keyTypeUsage)
	f.StringVar(&o.valueType, "value-type", "", valueTypeUsage)
}

const (
	keyTypeUsage   = "read raw/1 keys as `type`, such as int64, if the file only knows a name for it"
	valueTypeUsage = "read raw/1 values as `type`, such as [4]float64, if the file only knows a name for it"
)

// parse takes flags before, between and behind the arguments.
func (s *session) parse(c command, args []string) (help bool, err error) {
	flags := newFlags(c, &s.options)
	for len(args) > 0 {
		if args[0] == "--" {
			s.args = append(s.args, args[1:]...)
			break
		}
		if !isFlag(args[0]) {
			s.args, args = append(s.args, args[0]), args[1:]
			continue
		}
		// One flag at a time: an argument may follow it, or a "--".
		n := min(len(args), words(flags, args[0]))
		if err := flags.Parse(args[:n]); errors.Is(err, flag.ErrHelp) {
			return true, nil
		} else if err != nil {
			return false, err
		}
		args = args[n:]
	}
	return false, s.checkArgs(c)
}

func newFlags(c command, o *options) *flag.FlagSet {
	flags := flag.NewFlagSet(c.name, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	c.flags(flags, o)
	return flags
}

// words is how many arguments a flag is made of: its value may be the next one.
func words(flags *flag.FlagSet, arg string) int {
	name, _, hasValue := strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
	known := flags.Lookup(name)
	if known == nil || hasValue {
		return 1
	}
	if simple, ok := known.Value.(interface{ IsBoolFlag() bool }); ok && simple.IsBoolFlag() {
		return 1
	}
	return 2
}

// isFlag: a key may be a negative number.
func isFlag(arg string) bool {
	return len(arg) > 1 && arg[0] == '-' && (arg[1] < '0' || arg[1] > '9')
}

func (s *session) checkArgs(c command) error {
	switch want := len(c.args); {
	case len(s.args) < want:
		return fmt.Errorf("%s is missing", strings.TrimSuffix(c.args[len(s.args)], "..."))
	case len(s.args) > want && !strings.HasSuffix(c.args[want-1], "..."):
		return fmt.Errorf("%q is too much", s.args[want])
	case s.limit < 0:
		return fmt.Errorf("-limit %d: give 0 or more", s.limit)
	}
	for _, name := range []string{s.keyType, s.valueType} {
		if name == "" {
			continue
		}
		if _, ok := parseType(name); !ok {
			return fmt.Errorf("%q is no type of raw/1: give string, []uint8, bool, a number's type such as int64, or an array of numbers", name)
		}
	}
	return nil
}
