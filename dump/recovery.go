package dump

import (
	"fmt"
	"time"
)

// Recovery says what was found when a dump was opened.
type Recovery struct {
	Outcome Outcome

	// Records is how many sets and removals were read, of whatever keys; Generation the number of the file they came
	// from: it grows by one with each file that replaces another.
	Records    int
	Generation uint64

	// FreshAt and Partial are what the owner said of the [Snapshot] that the file began with.
	FreshAt time.Time
	Partial bool

	// Damage is why the file could not be read as it is, for the outcomes that say so. It
	// is an [*Error].
	Damage error

	// Cut is how many bytes at the end were not believed, Kept where they, or the whole
	// file, are kept, or will be when the file is replaced.
	Cut  int64
	Kept string

	// SlotDamaged says that one of the two length slots was damaged. The other does; the
	// next one that is written mends it.
	SlotDamaged bool

	// Migrated says that the entries came through the [Migration].
	Migrated bool

	Took time.Duration
}

// Outcome is how the opening of a file went.
type Outcome uint8

// The outcomes.
const (
	Absent      Outcome = iota // there was no file
	Clean                      // the file had been closed
	Unclean                    // it had not, and is whole
	Torn                       // the last write before a crash was torn; it was not acknowledged, or not synced
	Quarantined                // the file is damaged: nothing of it was read
	Salvaged                   // the file is damaged: what stands before the damage was read
)

// String returns the outcome's name in lower case.
func (o Outcome) String() string {
	names := [...]string{"absent", "clean", "unclean", "torn", "quarantined", "salvaged"}
	if int(o) >= len(names) {
		return fmt.Sprintf("Outcome(%d)", uint8(o))
	}
	return names[o]
}

// MarshalText is for dashboards.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads what [Outcome.MarshalText] writes.
func (o *Outcome) UnmarshalText(text []byte) error {
	for known := Absent; known <= Salvaged; known++ {
		if string(text) == known.String() {
			*o = known
			return nil
		}
	}
	return fmt.Errorf("dump: %q is no Outcome", text)
}

// Empty says that nothing was read, so the owner has to seed.
func (r Recovery) Empty() bool { return r.Outcome == Absent || r.Outcome == Quarantined }
