package bucket

import "math/bits"

// perfectHash gives each of a set of keys that never changes a place of its own, without gaps:
// n keys get the places 0 to n-1. To find a place takes one byte out of a small array and a few
// multiplications, whatever the keys are; to keep it takes less than a byte a key. It knows keys by
// their hashes, and of a key that does not belong to the set it does not know that: whoever asks
// compares the key at the place with the one that is looked for.
//
// The keys are divided into small groups, and each group gets a number, its pilot, with which no
// key of it falls on a place that is taken. That is Hash and Displace by Pagh (1999), with the large
// groups first as in CHD by Belazzougui, Botelho and Dietzfelbinger (2009), and with a few more
// places than keys, so that the last groups find one soon, as in PTHash by Pibiri and Trani (2021):
//
//	hash ── group ── pilot ──▶ place, mostly
//	                       └─▶ beyond ──▶ place, if that lies behind the last
//
// It is in this package, and not in one of its own, because the compiler makes a call of what it
// could else write out in the look-up.
type perfectHash struct {
	pilots []uint8           // of the groups, or farPilot
	far    map[uint64]uint64 // the pilots, by their groups, that are too large for a byte: few
	beyond []uint32          // the places of keys that fall behind the last
	keys   uint64
	room   uint64 // places to fall on: keys, and some
}

const (
	// More keys in a group, and their pilot is harder to find; fewer, and there are more pilots.
	keysPerGroup = 3

	// More keys for the room, and their pilots are harder to find; fewer, and more of them fall behind.
	keysPerHundredPlaces = 95

	farPilot = 1<<8 - 1
	maxPilot = 1<<20 - 1
)

// place returns the place of the key with that hash. For a hash that does not belong to a key it
// returns any place. If there are no keys at all, it returns zero.
func (h *perfectHash) place(hash uint64) uint64 {
	group, _ := bits.Mul64(hash, uint64(len(h.pilots))) // reduce
	pilot := uint64(h.pilots[group])
	if pilot == farPilot {
		pilot = h.far[group]
	}
	place, _ := bits.Mul64((hash^pilot*spread)*mix, h.room) // fall
	if place >= h.keys {
		place = uint64(h.beyond[place-h.keys])
	}
	return place
}

// fall is the place on which a key falls with that pilot.
func (h *perfectHash) fall(hash, pilot uint64) uint64 {
	// The upper bits of the hash are the group's, and the product's depend on all of it.
	return reduce((hash^pilot*spread)*mix, h.room)
}

// Odd numbers without a pattern: 2^64 divided by the golden ratio, and a multiplier of PCG.
const (
	spread = 0x9e3779b97f4a7c15
	mix    = 0x5851f42d4c957f2d
)

// reduce maps a hash to a number below n by its upper bits. It is the multiplication that Lemire has
// described in "Fast Random Integer Generation in an Interval" (2019).
func reduce(hash, n uint64) uint64 {
	high, _ := bits.Mul64(hash, n)
	return high
}
