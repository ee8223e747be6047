package bucket

import (
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// Fetch asks for the value under Key, which is loaded if the bucket does not hold
// it. The reply is a [Found] or a [Failed]. With NoSave a loaded value is not
// saved.
type Fetch struct {
	Key    any
	NoSave bool
}

// Get is a [Fetch] for an asker who does not care why there is no value. The
// reply is a [Found] or a [Missing]; a key of the wrong type is a [Failed].
type Get struct{ Key any }

// Found answers a [Fetch] or a [Get]. Loaded says that the loader ran for it. The
// value is shared with every other reader and must not be changed.
type Found struct {
	Value  any
	Loaded bool
}

// Missing answers a [Get] for which there is no value.
type Missing struct{}

// Failed answers any request that could not be served.
type Failed struct{ Err error }

// Set saves Value under Key, without asking the loader. The reply is a [Done] or a
// [Failed].
type Set struct{ Key, Value any }

// Delete removes Key from the bucket; the next [Fetch] asks the loader. The reply
// is a [Done], also when the key was not there, or a [Failed].
type Delete struct{ Key any }

// Done answers a [Set] or a [Delete] that was carried out.
type Done struct{}

// Refresh asks for a full refresh, or joins one, as [Bucket.Refresh] does. The reply comes
// when it is over: a [Refreshed] or a [Failed].
type Refresh struct{}

// Refreshed answers a [Refresh]. It is also published on the actor system's event
// stream after every full refresh, whoever asked for it. A subscriber runs in the bucket's
// turn: it must not block, and a Fetch that has to load would wait for ever.
type Refreshed struct {
	Bucket string
	Report Report
}

// RefreshRefused is published when the gate refused a generation; see [Gate].
type RefreshRefused struct {
	Bucket string
	Report Report // Refused says why
}

// RefreshStalled is published when a full refresh has stood still for the [StallTimeout]. It was
// given up, and another one has begun.
type RefreshStalled struct {
	Bucket      string
	Stood       time.Duration
	Done, Total int // keys
}

// DumpOpened is published on the actor system's event stream when a bucket with a file starts,
// and says what it found.
type DumpOpened struct {
	Bucket   string
	Path     string
	Recovery dump.Recovery
}

// DumpFailed is published when something goes wrong with a bucket's file. The bucket goes on,
// and tries to repair it until that succeeds: then comes [DumpRepaired].
type DumpFailed struct {
	Bucket string
	Err    error
}

// DumpRepaired is published when a file that was in trouble holds all that the bucket holds.
type DumpRepaired struct{ Bucket string }

// Keys asks which keys the bucket holds. The reply is a [KeyList].
type Keys struct{}

// KeyList answers [Keys], in no particular order.
type KeyList struct{ Keys []any }

// Inspect asks a bucket to describe itself. The reply is a [Status]. It is
// answered at once, also while the bucket starts.
type Inspect struct{}

// Status answers [Inspect].
type Status struct {
	Name   string
	Config Config
	Stats  Stats
	Health Health
}

// Crash makes the bucket's actor panic with Reason, for fire drills: to see that
// hits go on, that waiting callers are answered and that the supervisor does its
// work. As a request it is answered with a [Failed].
type Crash struct{ Reason any }

// Answers whose asker has gone are nobody's business, and may hold what must not be logged.

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (Found) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (Missing) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (Failed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (Done) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (Refreshed) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (KeyList) IgnoreDeadLetterLogging() {}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (Status) IgnoreDeadLetterLogging() {}

// Notes of the actor to itself.
type (
	// resolved brings the options of OptionsFunc.
	resolved struct {
		run     any    // the *run[K, V] that asked; only compared
		config  Config // what was known before
		options []Option
		err     error
		step    int
	}

	// seeded brings the outcome of Init.
	seeded[K comparable, V any] struct {
		run  *run[K, V]
		seed seed[K, V]
		err  error
		step int
	}

	// opened says that the file was read, or was not.
	opened struct {
		run  any // the *run[K, V]; only compared
		step int
	}

	// founded says that the first file was written, or was not.
	founded struct {
		run     any // the *run[K, V]; only compared
		skipped dump.Skipped
		err     error
		step    int
	}

	// writesDue ends a series of writes that are written together.
	writesDue struct{}

	// rewritten ends a rewrite of the file.
	rewritten struct {
		skipped dump.Skipped
		err     error
	}

	// dumpTrouble is the dump's word that something failed while nobody was writing.
	dumpTrouble struct{ err error }

	// repairDue calls for the next attempt to repair the file.
	repairDue struct{}

	// loaded brings the outcome of a load.
	loaded[K comparable, V any] struct {
		flight  *flight[K, V]
		outcome outcome[K, V]
		failure *failure
		at      uint64 // run.now when the loader was called; it may have taken a while to get there
	}

	// left says that a caller went away before its answer.
	left[K comparable, V any] struct{ ask *ask[K, V] }

	// refreshDue is the refresher's word that the clock struck.
	refreshDue struct{}

	// keysMapped says that a refresh knows what to load.
	keysMapped[K comparable, V any] struct{ pass *pass[K, V] }

	// shift is a worker's word about its slot for loads.
	shift[K comparable, V any] struct {
		worker *worker[K, V]
		back   bool // it gives the slot back
		want   bool // it waits for one
		over   bool // it has ended
		taken  bool // the note was heeded
	}

	// rode brings what a worker loaded for a flight as well.
	rode[K comparable, V any] struct {
		pass    *pass[K, V]
		key     K
		nothing bool // it loaded nothing after all
		outcome outcome[K, V]
		failure *failure
	}

	// reindexed says that a table with a new index is made.
	reindexed[K comparable, V any] struct{ *reindexing[K, V] }

	// patrol has a look at a refresh, to see if it gets on.
	patrol[K comparable, V any] struct{ pass *pass[K, V] }

	// passed says that a refresh has loaded everything.
	passed[K comparable, V any] struct{ pass *pass[K, V] }

	// unsubscribed ends the subscription of an actor that is not there.
	unsubscribed[K comparable, V any] struct{ subscriber *subscriber[K, V] }

	// respawn replaces a refresher that was lost.
	respawn struct{}

	// crashed goes on after a panic. A supervisor that resumes a crashed actor, instead
	// of restarting it, makes no next incarnation that would.
	crashed struct{}
)

func (*resolved) IgnoreDeadLetterLogging()     {}
func (*opened) IgnoreDeadLetterLogging()       {}
func (*seeded[K, V]) IgnoreDeadLetterLogging() {}
func (*founded) IgnoreDeadLetterLogging()      {}
func (writesDue) IgnoreDeadLetterLogging()     {}
func (rewritten) IgnoreDeadLetterLogging()     {}
func (dumpTrouble) IgnoreDeadLetterLogging()   {}
func (*loaded[K, V]) IgnoreDeadLetterLogging() {}
func (*left[K, V]) IgnoreDeadLetterLogging()   {}
func (refreshDue) IgnoreDeadLetterLogging()    {}

func (*keysMapped[K, V]) IgnoreDeadLetterLogging()   {}
func (*reindexed[K, V]) IgnoreDeadLetterLogging()    {}
func (*shift[K, V]) IgnoreDeadLetterLogging()        {}
func (*rode[K, V]) IgnoreDeadLetterLogging()         {}
func (*passed[K, V]) IgnoreDeadLetterLogging()       {}
func (*patrol[K, V]) IgnoreDeadLetterLogging()       {}
func (*unsubscribed[K, V]) IgnoreDeadLetterLogging() {}
func (crashed) IgnoreDeadLetterLogging()             {}
