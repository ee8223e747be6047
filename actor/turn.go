package actor

import (
	"sync"
	"sync/atomic"
)

// Turn lets others than an actor do something in the actor's place, between two of its messages, if
// it has nothing to do: without a message, a change of goroutines, and a wait. It is for what is
// small, and cannot panic, block or call anybody's code. [GuardWithTurn] makes an actor take it.
//
// A Turn may be used by many goroutines. The zero Turn is ready, and belongs to one actor at a time;
// it must not be copied.
type Turn struct {
	mu sync.Mutex // is held while the actor is at work

	// awake is not zero from the moment that a message is posted until the actor is done with it and
	// has no other, and from a crash until it is done with the first message after it.
	awake atomic.Int64
}

// Try calls do in the actor's place, and returns what it says. It says false without a call if the
// actor has messages: what was sent before comes before. It never blocks.
func (t *Turn) Try(do func() bool) bool {
	if !t.mu.TryLock() {
		return false
	}
	defer t.mu.Unlock()
	return t.awake.Load() == 0 && do()
}
