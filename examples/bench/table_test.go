package main

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"runtime/debug"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestSpread_is_the_median_and_its_limits(t *testing.T) {
	tests := []struct {
		samples []float64
		want    spread
	}{
		{[]float64{7}, spread{7, 7, 7}},
		{[]float64{9, 1, 5}, spread{5, 1, 9}},
		{[]float64{4, 1, 3, 2}, spread{2.5, 1, 4}},
	}
	for _, tt := range tests {
		assert.Equal(t, tt.want, spreadOf(tt.samples), tt.samples)
	}
	assert.True(t, math.IsNaN(spreadOf(nil).median))
}

// sample is a table of two rounds, the second of which the machine was half as fast in.
func sample() *table {
	t := &table{name: "hits", title: "some <hits> & more", unit: "ns", base: bareMap, notes: []string{"A note."}}
	for _, took := range []struct {
		name          string
		first, second float64
	}{
		{"otter", 30, 60}, {bareMap, 10, 20}, {dataWorker, 12, 22}, {"slow", 1000, 2000},
	} {
		t.add(took.name, took.first)
		t.add(took.name, took.second)
	}
	t.settle()
	return t
}

func TestTable_is_printed_with_ratios_of_the_same_round(t *testing.T) {
	var out bytes.Buffer
	sample().write(&out)
	assert.Equal(t, `
hits: some <hits> & more (ns)
               median   least … most   to bare map    least … most
  bare map       15.0    10.0 … 20.0         1.00×   1.00× … 1.00×
  DataWorker     17.0    12.0 … 22.0         1.15×   1.10× … 1.20×
  otter          45.0    30.0 … 60.0         3.00×   3.00× … 3.00×
  slow           1500    1000 … 2000          100×     100× … 100×
  A note.
`, out.String())
}

func TestTable_takes_a_group_with_the_ratios_of_the_group(t *testing.T) {
	first := sample()
	first.apart = true
	group := &table{base: bareMap}
	group.add(bareMap, 100)
	group.add("late", 150)
	group.settle()
	first.take(group)

	got, err := first.ratio("late", bareMap)
	require.NoError(t, err)
	assert.InDelta(t, 1.5, got.median, 1e-9)
	assert.Equal(t, []float64{10, 20, 100}, first.row(bareMap).samples)
	assert.Equal(t, []float64{10, 20}, first.row("otter").against)

	var ranked []string
	for _, r := range first.sorted() {
		ranked = append(ranked, r.name)
	}
	assert.Equal(t, []string{bareMap, dataWorker, "late", "otter", "slow"}, ranked, "by what they are to their own base")

	_, err = first.ratio("nobody", bareMap)
	require.ErrorContains(t, err, `lacks "nobody"`)
}

func TestFigures_are_met_up_to_their_limit_and_not_past_it(t *testing.T) {
	empty := sample()
	empty.rows[2].samples = nil
	tests := []struct {
		name  string
		given *table
		f     figure
		want  bool
		who   string
	}{
		{"below", sample(), figure{of: dataWorker, to: bareMap, most: 1.2}, true, ""},
		{"at the limit", sample(), figure{of: "otter", to: bareMap, most: 3}, true, ""},
		{"past", sample(), figure{of: dataWorker, to: bareMap, most: 1.1}, false, ""},
		{"enough", sample(), figure{of: "otter", to: dataWorker, least: 2.5}, true, ""},
		{"not enough", sample(), figure{of: "otter", to: dataWorker, least: 2.7}, false, ""},
		{"the row itself", sample(), figure{of: dataWorker, most: 17}, true, ""},
		{"the row itself, past", sample(), figure{of: dataWorker, most: 16}, false, ""},
		{"each peer", sample(), figure{of: eachPeer, to: dataWorker, least: 1}, true, "otter"},
		{"each peer, past", sample(), figure{of: eachPeer, to: dataWorker, least: 3}, false, "otter"},
		{"slack", sample(), figure{of: dataWorker, to: bareMap, most: 1.1, slack: 2}, true, ""},
		{"too little slack", sample(), figure{of: dataWorker, to: bareMap, most: 1.1, slack: 1.9}, false, ""},
		{"past, and so is the row beside it", sample(), figure{of: "otter", to: bareMap, most: 1.1, beside: "otter"}, true, ""},
		{"past, and the row beside it is not", sample(), figure{of: "otter", to: bareMap, most: 1.1, beside: dataWorker}, false, ""},
		{"nothing measured", empty, figure{of: dataWorker, to: bareMap, most: 2}, false, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.f.table = "hits"
			v, err := tt.f.judge([]*table{{name: "other"}, tt.given})
			require.NoError(t, err)
			assert.Equal(t, tt.want, v.met, "measured %v", v.got)
			assert.Equal(t, tt.who, v.who)
		})
	}

	for _, f := range []figure{
		{table: "gone", of: dataWorker, most: 1},
		{table: "hits", of: "nobody", most: 1},
		{table: "hits", of: dataWorker, to: "nobody", most: 1},
	} {
		_, err := f.judge([]*table{sample()})
		require.Error(t, err)
	}
}

func TestCheck_prints_each_figure_and_counts_those_that_are_not_met(t *testing.T) {
	var out bytes.Buffer
	missed, err := check(&out, []*table{sample()}, []figure{
		{promise: "near the map", table: "hits", of: dataWorker, to: bareMap, most: 1.25},
		{promise: "faster than all", table: "hits", of: eachPeer, to: dataWorker, least: 4},
	})
	require.NoError(t, err)
	assert.Equal(t, 1, missed)
	assert.Equal(t, `
  figure                             wanted   measured   least … most
  near the map                       ≤ 1.25       1.15    1.10 … 1.20        ok
  faster than all (nearest: otter)      ≥ 4       2.61    2.50 … 2.73   NOT MET
`, out.String())
}

func TestJudge_fails_if_a_figure_is_not_met(t *testing.T) {
	met := figure{promise: "possible", table: "hits", of: dataWorker, to: bareMap, most: 1.5}
	missed := figure{promise: "impossible", table: "hits", of: dataWorker, to: bareMap, most: 0.5}
	require.NoError(t, judge(io.Discard, []*table{sample()}, []figure{met}))
	require.EqualError(t, judge(io.Discard, []*table{sample()}, []figure{met, missed}), "1 of 2 figures are not met")
}

func TestChart_is_well_formed_and_shows_every_row(t *testing.T) {
	drawn := chart([]*table{sample()}, []string{"a processor & its <system>"})
	decoder := xml.NewDecoder(bytes.NewReader(drawn))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err)
	}
	for _, want := range []string{
		">DataWorker<", ">bare map<", ">otter<", "1.15×", "some &lt;hits&gt; &amp; more", "a processor &amp; its &lt;system&gt;",
		`fill="#ffffff" stroke`, // a background of its own
		"<path",                 // the bar that is too long
	} {
		assert.Contains(t, string(drawn), want)
	}
	assert.NotContains(t, string(drawn), "NaN")
}

func TestVersions_are_those_that_are_built_in(t *testing.T) {
	info := &debug.BuildInfo{Deps: []*debug.Module{
		{Path: "example.com/other", Version: "v9.9.9"},
		{Path: "github.com/viccon/sturdyc", Version: "v1.1.5"},
		{Path: "github.com/maypok86/otter/v2", Version: "v2.4.0"},
	}}
	assert.Equal(t, []string{"otter v2.4.0", "sturdyc v1.1.5"}, versions(info))
	assert.Equal(t, []string{"versions unknown"}, versions(nil))
}

func TestAmount_counts_in_thousands(t *testing.T) {
	for n, want := range map[int]string{8: "8", 999: "999", 1_000: "1 k", 200_000: "200 k", 1_000_000: "1 M", 1_500_000: "1.5 M", 10_000_000: "10 M", 1_234: "1234"} {
		assert.Equal(t, want, amount(n))
	}
}
