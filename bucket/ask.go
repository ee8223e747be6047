package bucket

import (
	"sync"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// ask is one question to the bucket's actor: a call of the typed handle, which
// waits for the bell, or a message of another actor, which waits at sender, or has a share. After
// it is sent it belongs to the actor's turn.
type ask[K comparable, V any] struct {
	op      op
	key     K
	value   V // of a set
	noSave  bool
	many    bool // of a FetchMany
	terms   fetchTerms
	private bool // answered Missing instead of Failed: a Get

	progress func(done, total int) // the asker's; not the actor's business

	run    *run[K, V]      // the run that was asked
	bell   chan struct{}   // of a typed call; rings once, when got is there
	sender *protoactor.PID // of a message
	share  *share[V]       // of a message that asks for many

	answered bool
	got      answer[V]
	spare    *flight[K, V] // for the load that it may begin; nil if it has none
	crowd    *crowd[K, V]  // where it waits, at this place
	place    int
}

// askMany is the asks of one FetchMany, so that they are served together. Each is answered by
// itself.
type askMany[K comparable, V any] struct{ asks []*ask[K, V] }

type op uint8

const (
	opFetch op = iota
	opReload
	opSet
	opDelete
	opRefresh
)

type answer[V any] struct {
	value  V
	loaded bool
	report *Report
	err    error
}

func newAsk[K comparable, V any](op op, key K) *ask[K, V] {
	return &ask[K, V]{op: op, key: key}
}

// newMiss is newAsk for what most likely ends in a load: with the flight, in one piece of memory.
func newMiss[K comparable, V any](op op, key K) *ask[K, V] {
	m := &struct {
		ask    ask[K, V]
		flight flight[K, V]
	}{ask: ask[K, V]{op: op, key: key}}
	m.ask.spare = &m.flight
	return &m.ask
}

// bells are used again once they have rung and were heard. A caller who leaves before takes its
// bell along: it may ring yet. They belong to a run, because the callers of a run are all of one
// synctest bubble, and so are its channels.
type bells struct{ pool sync.Pool }

func (b *bells) take() chan struct{} {
	if bell, ok := b.pool.Get().(chan struct{}); ok {
		return bell
	}
	return make(chan struct{}, 1)
}

// heard is the answer of an ask whose bell has rung.
func (a *ask[K, V]) heard() (answer[V], error) {
	a.run.bells.pool.Put(a.bell)
	return a.got, a.got.err
}

// reply answers the question, once; later answers are ignored.
func (a *ask[K, V]) reply(got answer[V]) {
	if a.answered {
		return
	}
	a.answered = true
	switch {
	case a.bell != nil:
		a.got = got
		a.bell <- struct{}{}
	case a.sender != nil:
		a.run.send(a.sender, a.message(got))
	case a.share != nil:
		a.share.add(got)
	}
}

// message is the answer as an actor gets it.
func (a *ask[K, V]) message(got answer[V]) any {
	switch {
	case got.err != nil && a.private:
		return Missing{}
	case got.err != nil:
		return Failed{got.err}
	case a.op == opSet, a.op == opDelete:
		return Done{}
	case a.op == opRefresh:
		return a.refreshed(got.report)
	default:
		return Found{Value: got.value, Loaded: got.loaded}
	}
}

// refreshed is apart from message to keep the large value off the stack of a hit.
//
//go:noinline
func (a *ask[K, V]) refreshed(report *Report) any {
	return Refreshed{Bucket: a.run.bucket.name, Report: *report}
}

// crowd is a set of asks that wait for the same thing, in the order of their
// arrival except where one has left.
type crowd[K comparable, V any] struct{ asks []*ask[K, V] }

func (c *crowd[K, V]) size() int { return len(c.asks) }

func (c *crowd[K, V]) join(a *ask[K, V]) {
	a.crowd, a.place = c, len(c.asks)
	c.asks = append(c.asks, a)
}

// leave takes a out at the same cost however many wait.
func (c *crowd[K, V]) leave(a *ask[K, V]) {
	last := len(c.asks) - 1
	c.asks[a.place] = c.asks[last]
	c.asks[a.place].place = a.place
	c.asks[last] = nil
	c.asks = c.asks[:last]
	a.crowd = nil
}

// pop takes somebody out: the last, so that the places of the others stay right.
func (c *crowd[K, V]) pop() *ask[K, V] {
	a := c.asks[len(c.asks)-1]
	c.leave(a)
	return a
}

// moveTo has everybody wait somewhere else.
func (c *crowd[K, V]) moveTo(other *crowd[K, V]) {
	for c.size() > 0 {
		other.join(c.pop())
	}
}

// dismiss answers everybody. Whoever was answered is out, even if the next answer is the
// end of this turn: a subscriber that hears of a dead letter can call runtime.Goexit.
func (c *crowd[K, V]) dismiss(got answer[V]) {
	for c.size() > 0 {
		c.pop().reply(got)
	}
}
