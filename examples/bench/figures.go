package main

import (
	"fmt"
	"io"
	"math"
)

// figure is one number that DataWorker promises: the median of a row, or of the ratio of two.
type figure struct {
	promise string
	table   string  // where it is read
	of, to  string  // rows; without to it is the number of the row itself
	most    float64 // 0 is no limit
	least   float64 // 0 is no limit
	slack   float64 // of to, in units of the table, by which a ratio may be past its limit all the same
	beside  string  // a row without DataWorker: to be as good as that is enough, whatever the machine does to both
}

// asGood is the most by which a row may be above the one beside it: what a hit may cost against
// a map at other times.
const asGood = 1.25

// eachPeer stands for all rows but DataWorker's and the bare map's, which cannot be written
// while it is read, and so is the measure and no peer. The one that comes off worst for
// DataWorker counts.
const eachPeer = "each peer"

// allocsOfEntry is what a saved entry takes without any caller or loader: the record, and its
// place in the table of the keys that came later. The growth of that table is less than one
// more for many entries.
const allocsOfEntry = 2

// figures are all that -check looks at. They are ratios in one run, with statistics on.
var figures = []figure{
	{promise: "a hit of 1 M costs what a map costs", table: "hits", of: dataWorker, to: bareMap, most: 1.25},
	// The runtime's own allocations are counted with those of the readers.
	{promise: "a hit allocates nothing", table: "hits-allocs", of: dataWorker, most: 0.001},
	{promise: "a hit is faster than otter's loading Get", table: "hits", of: "otter", to: dataWorker, least: 1.5},
	{promise: "a hit is faster than sturdyc's GetOrFetch", table: "hits", of: "sturdyc", to: dataWorker, least: 3},
	{promise: "a hit of 10 M costs what a map costs", table: "hits-many", of: dataWorker, to: bareMap, most: 1.25},
	{promise: "one hot key: as fast as each peer", table: "hot", of: eachPeer, to: dataWorker, least: 1},
	{promise: "5 % writes: as fast as each peer", table: "writes", of: eachPeer, to: dataWorker, least: 1},
	// What the runtime allocates besides is counted, too, and is less than a half.
	{promise: "allocations of a miss", table: "miss-allocs", of: dataWorker, most: 4 + allocsOfEntry + 0.5},
	{promise: "a miss against a message there and back", table: "miss", of: dataWorker, to: requestFuture, most: 2},
	{promise: "p99.9 of hits during full refreshes, one by one", table: "latency-p99.9", of: whileOne, to: idle, most: 2, beside: mapBeside},
	{promise: "p99.9 of hits during full refreshes, in batches", table: "latency-p99.9", of: whileBatches, to: idle, most: 2, beside: mapBeside},
	{promise: "p99.9 of hits while the file is written", table: "latency-p99.9", of: whileDumping, to: idleWithFile, most: 2, beside: mapBeside},
	{promise: "memory of an entry against a map", table: "memory", of: dataWorker, to: bareMap, most: 1.5},
	{promise: "many refreshes leave no garbage", table: "garbage", of: inTheEnd, to: atFirst, most: 1.01, slack: 1},
}

// scenariosOf are the names of the scenarios that make the tables of the figures.
var scenariosOf = map[string]string{
	"hits-allocs": "hits", "miss-allocs": "miss", "latency-p99.9": "latency",
}

// needed are the scenarios without which the figures cannot be read.
func needed(figures []figure) map[string]bool {
	names := map[string]bool{}
	for _, f := range figures {
		name := f.table
		if of, ok := scenariosOf[name]; ok {
			name = of
		}
		names[name] = true
	}
	return names
}

// verdict is what became of a figure.
type verdict struct {
	figure
	got spread
	who string // the peer that it is about, where it is about each
	met bool
}

// judge reads a figure from the tables.
func (f figure) judge(tables []*table) (verdict, error) {
	for _, t := range tables {
		if t.name == f.table {
			return f.judgeBy(t)
		}
	}
	return verdict{}, fmt.Errorf("figure %q: no table %q: run the scenario that makes it", f.promise, f.table)
}

func (f figure) judgeBy(t *table) (verdict, error) {
	v := verdict{figure: f}
	if f.of != eachPeer {
		return v, v.read(t, f.of)
	}
	v.got.median = math.Inf(1)
	for _, r := range t.rows {
		if r.name == dataWorker || r.name == bareMap {
			continue
		}
		peer := verdict{figure: f, who: r.name}
		if err := peer.read(t, r.name); err != nil {
			return v, err
		}
		if peer.got.median < v.got.median {
			v = peer
		}
	}
	return v, nil
}

// read fills in what a row says.
func (v *verdict) read(t *table, of string) error {
	r := t.row(of)
	if r == nil {
		return fmt.Errorf("figure %q: table %q has no row %q", v.promise, t.name, of)
	}
	if v.to == "" {
		v.got = spreadOf(r.samples)
		v.met = v.within(v.got.median)
		return nil
	}
	got, err := t.ratio(of, v.to)
	if err != nil {
		return fmt.Errorf("figure %q: %w", v.promise, err)
	}
	v.got = got
	v.met = v.within(got.median) ||
		v.slack > 0 && spreadOf(r.samples).median-spreadOf(t.row(v.to).samples).median <= v.slack
	if v.met || v.beside == "" {
		return nil
	}
	against, err := t.ratio(of, v.beside)
	if err != nil {
		return fmt.Errorf("figure %q: %w", v.promise, err)
	}
	v.met = against.median <= asGood
	return nil
}

// within says whether a number is inside the limits. What is not a number is not.
func (f figure) within(x float64) bool {
	return !math.IsNaN(x) && (f.most == 0 || x <= f.most) && (f.least == 0 || x >= f.least)
}

// wanted is the limit in words.
func (f figure) wanted() string {
	if f.least > 0 {
		return fmt.Sprint("≥ ", f.least)
	}
	return fmt.Sprint("≤ ", f.most)
}

// check prints a line for each figure and says how many are not met.
func check(w io.Writer, tables []*table, figures []figure) (missed int, err error) {
	cells := [][]string{{"figure", "wanted", "measured", "least … most", ""}}
	for _, f := range figures {
		v, err := f.judge(tables)
		if err != nil {
			return 0, err
		}
		result := "ok"
		switch {
		case !v.met:
			result = "NOT MET"
			missed++
		case f.beside != "" && !f.within(v.got.median):
			result = "ok, as " + f.beside
		}
		promise := f.promise
		if v.who != "" {
			promise += " (nearest: " + v.who + ")"
		}
		cells = append(cells, []string{promise, f.wanted(), digits(v.got.median), digits(v.got.least) + " … " + digits(v.got.most), result})
	}
	fmt.Fprintln(w)
	writeCells(w, cells)
	return missed, nil
}
