package dump

import (
	"fmt"
	"strings"
	"time"
)

// SyncPolicy says what has happened to a write when it is acknowledged, and so what can
// take it back.
//
//	policy        before the answer    a kill or a panic takes   a power cut takes
//	SyncAlways    written, synced      nothing                   nothing
//	SyncEvery(d)  written              nothing                   what came in the last d, and the time of one sync
//	SyncNever     written              nothing                   what the kernel had not got round to writing
//	Buffered      kept in memory       the last second, or MiB   the same, and the time of one sync
//
// Whatever the policy, a file is synced before it replaces another, when it is closed, and
// by [Dump.Sync].
type SyncPolicy time.Duration

// The policies, beside [SyncEvery].
const (
	SyncAlways SyncPolicy = -1 - iota
	SyncNever
	Buffered
)

// DefaultSync is the policy of those who do not choose.
const DefaultSync = SyncPolicy(time.Second)

// SyncEvery syncs once in every interval in which something was written.
func SyncEvery(interval time.Duration) SyncPolicy {
	if interval <= 0 {
		return syncPolicyInvalid
	}
	return SyncPolicy(interval)
}

const syncPolicyInvalid SyncPolicy = -1 << 62

// Valid says whether p is a policy at all; the zero value stands for [DefaultSync].
func (p SyncPolicy) Valid() bool { return p >= Buffered }

// String returns the policy as it is written in code.
func (p SyncPolicy) String() string {
	switch {
	case p == SyncAlways:
		return "SyncAlways"
	case p == SyncNever:
		return "SyncNever"
	case p == Buffered:
		return "Buffered"
	case p == 0:
		return DefaultSync.String()
	case p > 0:
		return fmt.Sprintf("SyncEvery(%v)", time.Duration(p))
	default:
		return "SyncEvery(of no time)"
	}
}

// MarshalText is for dashboards.
func (p SyncPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what [SyncPolicy.MarshalText] writes.
func (p *SyncPolicy) UnmarshalText(text []byte) error {
	for _, known := range []SyncPolicy{SyncAlways, SyncNever, Buffered, syncPolicyInvalid} {
		if string(text) == known.String() {
			*p = known
			return nil
		}
	}
	interval, isEvery := strings.CutPrefix(string(text), "SyncEvery(")
	every, err := time.ParseDuration(strings.TrimSuffix(interval, ")"))
	if !isEvery || err != nil || every <= 0 {
		return fmt.Errorf("dump: %q is no SyncPolicy", text)
	}
	*p = SyncEvery(every)
	return nil
}

// markEvery is the longest time that the length slots are behind what was synced.
const markEvery = time.Second

// interval is how long after a write the dump comes back to it: to write it, to sync it,
// or to mark how far it is synced. Zero is never.
func (p SyncPolicy) interval() time.Duration {
	switch p {
	case SyncNever:
		return 0
	case SyncAlways, Buffered:
		return markEvery
	default:
		return time.Duration(p)
	}
}

// CorruptPolicy says what to do with a file that is damaged: an [ErrCorrupt] or an
// [ErrTruncated]. A file that belongs to something else, or cannot be read, is a mistake
// somewhere else, and always an error.
type CorruptPolicy uint8

const (
	// Fail reports the damage and leaves the file alone.
	Fail CorruptPolicy = iota

	// Quarantine starts with nothing. The damaged file is kept under another name when
	// the first new one takes its place.
	Quarantine

	// SalvagePrefix starts with what stands before the damage. What came after it, undamaged
	// or not, is not believed: it may depend on what is lost. The damaged file is kept as
	// by Quarantine.
	SalvagePrefix
)

// String returns the policy's name.
func (p CorruptPolicy) String() string {
	names := [...]string{"Fail", "Quarantine", "SalvagePrefix"}
	if int(p) >= len(names) {
		return fmt.Sprintf("CorruptPolicy(%d)", uint8(p))
	}
	return names[p]
}

// MarshalText is for dashboards.
func (p CorruptPolicy) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText reads what [CorruptPolicy.MarshalText] writes.
func (p *CorruptPolicy) UnmarshalText(text []byte) error {
	for known := Fail; known <= SalvagePrefix; known++ {
		if string(text) == known.String() {
			*p = known
			return nil
		}
	}
	return fmt.Errorf("dump: %q is no CorruptPolicy", text)
}
