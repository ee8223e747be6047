package dumptest

import "math/rand/v2"

// Keep says which of the changes that were not synced a power cut leaves.
type Keep uint64

const (
	// Nothing leaves only what was synced.
	Nothing Keep = 0

	// Everything leaves all that was written, but for what a failed Sync lost.
	Everything Keep = 1
)

// Some leaves a random part, always the same for one seed and one disk.
func Some(seed uint64) Keep {
	return Keep(max(seed, seed+2)) // off the two constants
}

// draw makes the choices of one power cut.
type draw struct {
	keep   Keep
	random *rand.Rand // nil unless keep is a seed
	odds   int        // of a sector of the file at hand, in quarters
}

func newDraw(keep Keep, seed uint64) *draw {
	d := &draw{keep: keep}
	if keep != Nothing && keep != Everything {
		d.random = rand.New(rand.NewPCG(uint64(keep), seed))
	}
	return d
}

// nextFile chooses how lucky the sectors of a file are, from never to always: with
// even odds, a file of many sectors would hardly ever be whole, or lost.
func (d *draw) nextFile() {
	if d.random != nil {
		d.odds = d.random.IntN(5)
	}
}

// first returns how many of n changes in a row are kept.
func (d *draw) first(n int) int {
	switch {
	case d.keep == Nothing || n == 0:
		return 0
	case d.keep == Everything || d.random.IntN(3) == 0:
		return n
	default:
		return d.random.IntN(n + 1)
	}
}

// sector says whether a sector is kept.
func (d *draw) sector() bool {
	if d.random == nil {
		return d.keep == Everything
	}
	return d.random.IntN(4) < d.odds
}

// older returns how many versions to go back for a kept sector that has had n others
// since the last Sync.
func (d *draw) older(n int) int {
	if d.random == nil || n == 0 || d.random.IntN(2) == 0 {
		return 0
	}
	return 1 + d.random.IntN(n)
}
