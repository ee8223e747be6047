package main

import (
	"embed"
	"flag"
	"fmt"
	"strings"
)

//go:embed help
var helpTexts embed.FS

// help prints the help of the program, or of a subcommand.
func (s *session) help(args []string) error {
	if len(args) == 0 || args[0] == "help" {
		return s.print("%s", topHelp())
	}
	c, ok := commandNamed(args[0])
	if !ok {
		return usage("there is no help about %q: there is some about %s", args[0], commandNames())
	}
	return s.print("%s", commandHelp(c))
}

func helpText(name string) string {
	text, err := helpTexts.ReadFile("help/" + name + ".txt")
	if err != nil {
		panic(err) // it was built without
	}
	return string(text)
}

func topHelp() string {
	var list strings.Builder
	for _, c := range commands() {
		fmt.Fprintf(&list, "  %-20s %s\n", c.name+" "+strings.Join(c.args, " "), c.summary)
	}
	return strings.Replace(helpText("dwdump"), "COMMANDS\n", list.String(), 1)
}

// commandHelp is the text about a subcommand, its flags in the middle.
func commandHelp(c command) string {
	var list strings.Builder
	newFlags(c, new(options)).VisitAll(func(f *flag.Flag) {
		value, about := flag.UnquoteUsage(f)
		fmt.Fprintf(&list, "  %-18s %s\n", strings.TrimSpace("-"+f.Name+" "+value), about)
	})
	flags := ""
	if list.Len() > 0 {
		flags = "Flags:\n\n" + list.String() + "\n"
	}
	usage := fmt.Sprintf("dwdump %s %s", c.name, strings.Join(c.args, " "))
	if flags != "" {
		usage += " [FLAGS]"
	}
	return usage + "\n\n" + strings.Replace(helpText(c.name), "FLAGS\n\n", flags, 1)
}
