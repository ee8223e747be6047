package supervisor_test

import (
	"fmt"
	"testing"
	"time"
)

// What does a tree of n buckets cost at the start of a program, and at its end?
func BenchmarkStartStop(b *testing.B) {
	for _, n := range []int{1, 100, 1000} {
		b.Run(fmt.Sprintf("buckets=%d", n), func(b *testing.B) {
			_, children := manyBuckets(n)
			sup := newSupervisor(b, newSystem())
			var starting, stopping time.Duration
			b.ReportAllocs()
			for b.Loop() {
				begun := time.Now()
				if err := sup.Start(b.Context(), children...); err != nil {
					b.Fatal(err)
				}
				ready := time.Now()
				if err := sup.Stop(b.Context()); err != nil {
					b.Fatal(err)
				}
				starting += ready.Sub(begun)
				stopping += time.Since(ready)
			}
			b.ReportMetric(float64(starting.Microseconds())/float64(b.N), "µs/start")
			b.ReportMetric(float64(stopping.Microseconds())/float64(b.N), "µs/stop")
		})
	}
}
