package main

import (
	"math"
	"slices"
)

// spread sums up the rounds of one measurement.
type spread struct{ median, least, most float64 }

// spreadOf is the spread of at least one sample; of none, it is not a number.
func spreadOf(samples []float64) spread {
	if len(samples) == 0 {
		return spread{math.NaN(), math.NaN(), math.NaN()}
	}
	sorted := slices.Sorted(slices.Values(samples))
	middle := len(sorted) / 2
	s := spread{median: sorted[middle], least: sorted[0], most: sorted[len(sorted)-1]}
	if len(sorted)%2 == 0 {
		s.median = (sorted[middle-1] + sorted[middle]) / 2
	}
	return s
}

// ratios divides what was measured in the same rounds.
func ratios(of, to []float64) []float64 {
	n := min(len(of), len(to))
	quotients := make([]float64, n)
	for i := range n {
		quotients[i] = of[i] / to[i]
	}
	return quotients
}
