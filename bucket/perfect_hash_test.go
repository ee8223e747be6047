package bucket

import (
	"fmt"
	"hash/maphash"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func hashesOf(n int, seed uint64) []uint64 {
	random := rand.New(rand.NewPCG(seed, 1))
	hashes := make([]uint64, n)
	for i := range hashes {
		hashes[i] = random.Uint64()
	}
	return hashes
}

// requirePerfect checks that each key has a place of its own, and is found there.
func requirePerfect(t *testing.T, hashes []uint64) {
	t.Helper()
	h, places, ok := newPerfectHash(hashes)
	require.True(t, ok)
	require.Len(t, places, len(hashes))
	for key, hash := range hashes {
		require.EqualValues(t, places[key], h.place(hash))
	}
	sorted := slices.Sorted(slices.Values(places))
	for i, place := range sorted {
		require.EqualValues(t, i, place, "no place twice, and none left out")
	}
}

func TestPerfectHash_gives_every_key_a_place_of_its_own(t *testing.T) {
	for n := range 200 {
		for seed := range uint64(50) {
			requirePerfect(t, hashesOf(n, seed))
		}
	}
	for _, n := range []int{1_000, 10_000, 300_000} {
		t.Run(fmt.Sprint(n), func(t *testing.T) { requirePerfect(t, hashesOf(n, 1)) })
	}
}

func TestPerfectHash_works_with_the_hashes_of_the_language(t *testing.T) {
	seed := maphash.MakeSeed()
	var numbers, words []uint64
	for i := range 100_000 {
		numbers = append(numbers, maphash.Comparable(seed, i))
		words = append(words, maphash.Comparable(seed, fmt.Sprint("key", i)))
	}
	requirePerfect(t, numbers)
	requirePerfect(t, words)
}

func TestPerfectHash_place_of_a_stranger_is_one_of_the_places(t *testing.T) {
	for _, n := range []int{1, 2, 3, 100, 10_000} {
		h, _, ok := newPerfectHash(hashesOf(n, 2))
		require.True(t, ok)
		for _, hash := range hashesOf(10_000, 3) {
			require.Less(t, h.place(hash), uint64(n))
		}
	}
}

func TestPerfectHash_place_without_keys_is_zero(t *testing.T) {
	h, places, ok := newPerfectHash(nil)
	require.True(t, ok)
	assert.Empty(t, places)
	for _, hash := range append(hashesOf(1000, 4), 0, ^uint64(0)) {
		require.Zero(t, h.place(hash))
	}
}

func TestPerfectHash_refuses_equal_hashes(t *testing.T) {
	hashes := hashesOf(1000, 5)
	hashes[998] = hashes[3]
	_, _, ok := newPerfectHash(hashes)
	assert.False(t, ok)
}

func TestPerfectHash_refuses_hashes_that_no_pilot_separates(t *testing.T) {
	// All in one group, and far more than find room with one pilot.
	hashes := make([]uint64, 2000)
	for i := range hashes {
		hashes[i] = uint64(i)
	}
	_, _, ok := newPerfectHash(hashes)
	assert.False(t, ok)
}

func TestPerfectHash_takes_less_than_a_byte_a_key(t *testing.T) {
	const n = 100_000
	h, _, ok := newPerfectHash(hashesOf(n, 6))
	require.True(t, ok)
	assert.Less(t, len(h.pilots)+4*len(h.beyond)+50*len(h.far), n)
	assert.NotEmpty(t, h.far, "or nothing here has tested them")
}

func BenchmarkPerfectHash_make(b *testing.B) {
	const n = 1_000_000
	hashes := hashesOf(n, 7)
	for b.Loop() {
		if _, _, ok := newPerfectHash(hashes); !ok {
			b.Fatal("unlucky")
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/key")
}

func BenchmarkPerfectHash_place(b *testing.B) {
	for _, n := range []int{1_000, 1_000_000} {
		hashes := hashesOf(n, 8)
		h, _, ok := newPerfectHash(hashes)
		require.True(b, ok)
		b.Run(fmt.Sprint("keys=", n), func(b *testing.B) {
			i, sum := 0, uint64(0)
			for b.Loop() {
				sum += h.place(hashes[i])
				if i++; i == n {
					i = 0
				}
			}
			_ = sum
		})
	}
}
