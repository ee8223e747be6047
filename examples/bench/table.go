package main

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"unicode/utf8"
)

// table is what a scenario has measured.
type table struct {
	name  string // by which figures and charts find it
	title string
	unit  string
	base  string   // the row that the others are compared with; "" is none
	notes []string // what a reader has to know
	rows  []*row

	// apart: the rows were measured at different times, each beside the base. So only what
	// they are to the base can be compared.
	apart bool
}

// row is one contestant of a table.
type row struct {
	name    string
	samples []float64 // one a round
	against []float64 // of the base row, in the same rounds
}

// row returns the row of a name, which is nil if there is none.
func (t *table) row(name string) *row {
	i := slices.IndexFunc(t.rows, func(r *row) bool { return r.name == name })
	if i < 0 {
		return nil
	}
	return t.rows[i]
}

// add appends a sample to a row, which is made if it is not there.
func (t *table) add(name string, sample float64) {
	r := t.row(name)
	if r == nil {
		r = &row{name: name}
		t.rows = append(t.rows, r)
	}
	r.samples = append(r.samples, sample)
}

// settle gives each row the base of its rounds, once all are in.
func (t *table) settle() {
	base := t.row(t.base)
	if base == nil {
		return
	}
	for _, r := range t.rows {
		r.against = base.samples
	}
}

// take adds the rows of another group, which was measured later beside a base of its own.
func (t *table) take(group *table) {
	for _, r := range group.rows {
		held := t.row(r.name)
		if held == nil {
			t.rows = append(t.rows, r)
			continue
		}
		held.samples = slices.Concat(held.samples, r.samples)
		held.against = slices.Concat(held.against, r.against)
	}
}

// size is what a row is ranked by, and drawn as.
func (t *table) size(r *row) float64 {
	if t.apart {
		return spreadOf(ratios(r.samples, r.against)).median
	}
	return spreadOf(r.samples).median
}

// ratio is a row's spread against another row.
func (t *table) ratio(of, to string) (spread, error) {
	above, below := t.row(of), t.row(to)
	if above == nil || below == nil {
		return spread{}, fmt.Errorf("table %q lacks %q or %q: run all of its contestants", t.name, of, to)
	}
	if to == t.base {
		return spreadOf(ratios(above.samples, above.against)), nil
	}
	return spreadOf(ratios(above.samples, below.samples)), nil
}

// write prints the table as text, the least first.
func (t *table) write(w io.Writer) {
	fmt.Fprintf(w, "\n%s: %s (%s)\n", t.name, t.title, t.unit)
	head := []string{"", "median", "least … most"}
	if t.base != "" {
		head = append(head, "to "+t.base, "least … most")
	}
	cells := [][]string{head}
	for _, r := range t.sorted() {
		s := spreadOf(r.samples)
		line := []string{r.name, digits(s.median), digits(s.least) + " … " + digits(s.most)}
		if t.base != "" {
			q := spreadOf(ratios(r.samples, r.against))
			line = append(line, times(q.median), times(q.least)+" … "+times(q.most))
		}
		cells = append(cells, line)
	}
	writeCells(w, cells)
	for _, note := range t.notes {
		fmt.Fprintf(w, "  %s\n", note)
	}
}

func (t *table) sorted() []*row {
	return slices.SortedStableFunc(slices.Values(t.rows), func(a, b *row) int {
		return cmp.Compare(t.size(a), t.size(b))
	})
}

// writeCells aligns the first column on the left and the others on the right.
func writeCells(w io.Writer, lines [][]string) {
	widths := make([]int, len(lines[0]))
	for _, line := range lines {
		for i, cell := range line {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, line := range lines {
		var text strings.Builder
		for i, cell := range line {
			gap := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if i == 0 {
				text.WriteString("  " + cell + gap)
				continue
			}
			text.WriteString("   " + gap + cell)
		}
		fmt.Fprintln(w, strings.TrimRight(text.String(), " "))
	}
}

// digits writes a number with three digits that count: more would be noise.
func digits(x float64) string {
	switch size := math.Abs(x); {
	case math.IsNaN(x):
		return "–"
	case size >= 100:
		return fmt.Sprintf("%.0f", x)
	case size >= 10:
		return fmt.Sprintf("%.1f", x)
	default:
		return fmt.Sprintf("%.2f", x)
	}
}

func times(x float64) string {
	if math.IsNaN(x) {
		return "–"
	}
	return digits(x) + "×"
}
