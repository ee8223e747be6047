package main

import (
	"fmt"
	"math/rand/v2"
)

// seedOf makes runs comparable: the same keys in the same orders, whenever it is run.
const seedOf = 0x9E3779B97F4A7C15

// hexKeys are n random strings of 16 hex digits, each in memory of its own. They start
// with from, so that keys of another range are other keys.
func hexKeys(from, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%016x", mix(uint64(from+i)))
	}
	return keys
}

// intKeys are n random numbers.
func intKeys(from, n int) []int {
	keys := make([]int, n)
	for i := range keys {
		keys[i] = int(mix(uint64(from + i)))
	}
	return keys
}

// mix is the finalizer of splitmix64. It is one to one, so that no key comes twice.
func mix(x uint64) uint64 {
	x += seedOf
	x = (x ^ x>>30) * 0xBF58476D1CE4E5B9
	x = (x ^ x>>27) * 0x94D049BB133111EB
	return x ^ x>>31
}

// leastOrder keeps the order of few keys from being learned by heart by the processor.
const leastOrder = 1 << 16

// uniform asks for each key as often as for any other.
func uniform[K key](keys []K) []K {
	r := rand.New(rand.NewPCG(seedOf, 1))
	order := make([]K, max(leastOrder, len(keys)))
	for i := range order {
		order[i] = keys[r.IntN(len(keys))]
	}
	return order
}

// zipf asks for few keys most of the time. Its exponent is near the 0.99 that other
// benchmarks take; this generator needs more than 1.
func zipf[K key](keys []K) []K {
	draw := rand.NewZipf(rand.New(rand.NewPCG(seedOf, 2)), 1.01, 1, uint64(len(keys)-1))
	order := make([]K, max(leastOrder, len(keys)))
	for i := range order {
		order[i] = keys[draw.Uint64()]
	}
	return order
}

// oneHot asks for one key only.
func oneHot[K key](keys []K) []K {
	order := make([]K, leastOrder)
	for i := range order {
		order[i] = keys[len(keys)/2]
	}
	return order
}
