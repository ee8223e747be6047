package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// screen prints the tour: sections with lines in two columns. It colours what it
// prints only for a person at a terminal who did not ask for none.
type screen struct {
	w        io.Writer
	coloured bool
	sections int
}

func newScreen(w io.Writer) *screen {
	return &screen{w: w, coloured: isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

func isTerminal(w io.Writer) bool {
	file, ok := w.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}

// A style is a code of ECMA-48, "select graphic rendition".
type style string

const (
	bold   style = "1"
	dim    style = "2"
	green  style = "32"
	yellow style = "33"
	cyan   style = "36"
)

func (s *screen) paint(as style, text string) string {
	if !s.coloured || as == "" || text == "" {
		return text
	}
	return "\x1b[" + string(as) + "m" + text + "\x1b[0m"
}

const (
	screenWidth = 90
	indent      = 5
	labelWidth  = 16
)

// title opens the show.
func (s *screen) title(name, about string) {
	fmt.Fprintf(s.w, "\n  %s  %s\n", s.paint(bold, name), about)
}

// section begins the next part and numbers it.
func (s *screen) section(title string) {
	s.sections++
	number := strconv.Itoa(s.sections)
	rule := strings.Repeat("─", max(3, screenWidth-utf8.RuneCountInString(title)-indent-1))
	fmt.Fprintf(s.w, "\n  %s%*s%s %s\n", s.paint(cyan, number), indent-2-len(number), "", s.paint(bold, title), s.paint(dim, rule))
}

// line prints one fact under a label, over as many lines as it takes; an empty
// label goes on with the last one.
func (s *screen) line(label, format string, args ...any) {
	s.print("", label, fmt.Sprintf(format, args...))
}

// good prints a fact that was checked and held.
func (s *screen) good(label, format string, args ...any) {
	s.print(green, label, fmt.Sprintf(format, args...))
}

// log prints what the library logged.
func (s *screen) log(entries []string) {
	for i, entry := range entries {
		label := "log"
		if i > 0 {
			label = ""
		}
		s.print(yellow, label, entry)
	}
}

func (s *screen) print(as style, label, text string) {
	for _, row := range wrap(text, screenWidth-indent-labelWidth) {
		gap := strings.Repeat(" ", max(1, labelWidth-utf8.RuneCountInString(label)))
		fmt.Fprintf(s.w, "%*s%s%s%s\n", indent, "", s.paint(dim, label), gap, s.paint(as, row))
		label = ""
	}
}

// wrap breaks a text into rows of at most width characters, between words where
// it can: a path stays in one piece.
func wrap(text string, width int) []string {
	var rows []string
	row, length := "", 0
	for i, word := range strings.Split(text, " ") {
		size := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			row, length = word, size
		case length+1+size > width:
			rows = append(rows, row)
			row, length = word, size
		default:
			row, length = row+" "+word, length+1+size
		}
	}
	return append(rows, row)
}

// end leaves a line between the show and what comes after it.
func (s *screen) end() { fmt.Fprintln(s.w) }

// rounded cuts a duration to three digits: more would be noise.
func rounded(d time.Duration) time.Duration {
	unit := time.Nanosecond
	for d.Abs()/unit >= 1000 {
		unit *= 10
	}
	return d.Round(unit)
}

// each is the time of one of n equal steps.
func each(total time.Duration, n int) string {
	return fmt.Sprintf("%.1f ns", float64(total)/float64(n))
}

// grouped writes a number with its thousands apart: 1,234,567.
func grouped[N int | int64 | uint64](n N) string {
	digits := fmt.Sprint(n)
	sign := ""
	if digits[0] == '-' {
		sign, digits = "-", digits[1:]
	}
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return sign + digits
}

// plural counts things: "1 query", "2 queries".
func plural[N int | int64 | uint64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return grouped(n) + " " + many
}
