package bucket

import "fmt"

// Change is one step in the history of a bucket; see [Bucket.Watch].
type Change[K comparable, V any] struct {
	Kind ChangeKind
	Key  K
	Old  V // before; not of an Added
	New  V // after; not of a Removed

	// Seq numbers the changes of a run of the bucket without gaps, in the order in which
	// readers see them. That of a Missed is the last of those that were missed.
	Seq uint64

	// Generation is that in which the change is seen.
	Generation uint64
}

// ChangeKind says what a [Change] is.
type ChangeKind uint8

// The kinds of changes.
const (
	Added   ChangeKind = iota + 1 // a key that was not held
	Changed                       // another value for a key
	Removed                       // a key that is held no longer
	Missed                        // changes that the watcher was too slow for
)

// String returns the kind's name in lower case.
func (k ChangeKind) String() string {
	names := [...]string{"", "added", "changed", "removed", "missed"}
	if k == 0 || int(k) >= len(names) {
		return fmt.Sprintf("ChangeKind(%d)", uint8(k))
	}
	return names[k]
}

// MarshalText is for dashboards.
func (k ChangeKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
