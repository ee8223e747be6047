package main

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// scenario is one thing that is measured, by its name.
type scenario struct {
	name  string
	about string
	run   func(ctx context.Context, r *race) ([]*table, error)
}

// scenarios are all of them. Those of hits vary one thing at a time around the first.
func scenarios() []scenario {
	all := runtime.GOMAXPROCS(0)
	list := []scenario{
		{"hits", "1 M string keys, each as often as any other, a reader for each processor", hits(hitPlan{entries: centre, allocs: true})},
		{"hits-few", "1 k entries", hits(hitPlan{entries: func(p pace) int { return p.few }})},
		{"hits-some", "100 k entries", hits(hitPlan{entries: func(p pace) int { return p.some }})},
		{"hits-many", "10 M entries", hitsOfMany},
		{"hits-zipf", "a few keys are asked for most of the time", hits(hitPlan{entries: centre, order: zipf[string], how: "zipf"})},
		{"hits-int", "int keys", hitsOfInts},
	}
	for _, n := range []int{1, 2, 4, 8} {
		if n != all {
			list = append(list, scenario{
				fmt.Sprint("hits-readers-", n), amount(n) + " readers",
				hits(hitPlan{entries: centre, readers: n}),
			})
		}
	}
	return append(list,
		scenario{"hot", "one key, a reader for each processor", hits(hitPlan{entries: centre, order: oneHot[string], how: "one key only"})},
		scenario{"writes", "5 % of the accesses are writes", hits(hitPlan{entries: centre, writeEvery: 20, allocs: true})},
		scenario{"herd", "1 000 callers of one cold key", herd},
		scenario{"latency", "single reads while something else goes on", latencies},
		scenario{"refresh", "a full refresh of 1 M entries", refreshes},
		scenario{"file", "starts without a file and with it", files},
		scenario{"memory", "bytes an entry", memory},
		scenario{"garbage", "the heap after many refreshes", garbage},
		scenario{"miss", "a load that costs nothing", miss},
	)
}

func centre(p pace) int { return p.entries }

// hitPlan is a scenario of hits of string keys. Its zero values are those of the centre.
type hitPlan struct {
	entries    func(pace) int
	order      func([]string) []string
	how        string // the order, in words
	readers    int
	writeEvery int
	allocs     bool
}

// readNotes say what is timed. A map that finds the very string that it holds need not
// compare the bytes, which is good for all alike.
var readNotes = []string{
	"Time passed by the accesses of all readers. Keys are asked for with the strings that are held.",
	"otter, theine, sturdyc and ttlcache by their loading calls; ristretto, sync.Map and the maps have none.",
	"All that have statistics have them on: not sync.Map and the maps.",
}

func hits(plan hitPlan) func(context.Context, *race) ([]*table, error) {
	return func(ctx context.Context, r *race) ([]*table, error) {
		n := plan.entries(r.pace)
		p := readers[string]{
			table:      table{base: bareMap},
			of:         stringContestants(),
			keys:       func() []string { return hexKeys(0, n) },
			order:      uniform[string],
			count:      runtime.GOMAXPROCS(0),
			writeEvery: plan.writeEvery,
			allocs:     plan.allocs,
		}
		how := "uniform"
		if plan.order != nil {
			p.order, how = plan.order, plan.how
		}
		if plan.readers > 0 {
			p.count = plan.readers
		}
		if plan.writeEvery > 0 {
			p.of = those(p.of, canBeSet)
			p.table.base = dataWorker
			how += fmt.Sprintf(", one of %d a write", plan.writeEvery)
		}
		p.table.name = r.scenario
		p.title(n, "string", how)
		return p.run(ctx, r)
	}
}

// title says what a table of readers is about.
func (p *readers[K]) title(entries int, keys, how string) {
	p.table.title = fmt.Sprintf("%s entries, %s keys, %s, %s", amount(entries), keys, how, counted(p.count, "reader"))
	p.table.unit = "ns an access"
	p.table.notes = readNotes
}

// hitsOfInts leaves sturdyc out, which has no keys but strings.
func hitsOfInts(ctx context.Context, r *race) ([]*table, error) {
	p := readers[int]{
		table: table{name: r.scenario, base: bareMap},
		of:    contestants[int](),
		keys:  func() []int { return intKeys(0, r.entries) },
		order: uniform[int],
		count: runtime.GOMAXPROCS(0),
	}
	p.title(r.entries, "int", "uniform")
	p.table.notes = append(slices.Clone(readNotes), "sturdyc has no int keys.")
	return p.run(ctx, r)
}

// leanEnough are those whose 10 M entries fit into a few GiB beside the bare map, and are
// filled in before long.
func leanEnough(c contestant[string]) bool {
	return c.name != "theine" && c.name != "ristretto" && c.name != "ttlcache"
}

// hitsOfMany opens one contestant at a time beside the bare map.
func hitsOfMany(ctx context.Context, r *race) ([]*table, error) {
	p := readers[string]{
		table: table{name: r.scenario, base: bareMap},
		of:    those(stringContestants(), leanEnough),
		keys:  func() []string { return hexKeys(0, r.many) },
		order: uniform[string],
		count: runtime.GOMAXPROCS(0),
		apart: true,
	}
	if r.guard {
		p.of = those(p.of, isOursOrMap)
	}
	p.title(r.many, "string", "uniform")
	p.table.notes = append(slices.Clone(readNotes),
		"One contestant at a time beside the bare map: only what they are to the bare map can be compared.",
		"theine, ristretto and ttlcache are left out: they take too much memory, or time to fill.")
	return p.run(ctx, r)
}

// amount writes a number in words of thousands: 1 k, 100 k, 10 M.
func amount(n int) string {
	switch {
	case n >= 1_000_000 && n%100_000 == 0:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e6), ".0") + " M"
	case n >= 1_000 && n%100 == 0:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/1e3), ".0") + " k"
	default:
		return fmt.Sprint(n)
	}
}

// counted is "1 reader", "2 readers".
func counted(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprint(n, " ", what)
}
