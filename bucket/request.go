package bucket

import (
	"slices"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// request serves a question, or holds it until the bucket is ready.
func (r *run[K, V]) request(msg any, sender *protoactor.PID) {
	if many, ok := msg.(*askMany[K, V]); ok {
		r.requestMany(many)
		return
	}
	if r.phase() == phaseStarting {
		r.hold(heldRequest{msg, sender})
		return
	}

	r.settleStaged(msg) // again, for what was held
	switch msg := msg.(type) {
	case *ask[K, V]:
		r.serve(msg)
	case Fetch:
		if !r.serveHit(msg.Key, sender) {
			r.serveMessage(msg.Key, nil, &ask[K, V]{op: opFetch, noSave: msg.NoSave, sender: sender})
		}
	case FetchMany:
		r.fetchMany(msg, sender)
	case Get:
		if !r.serveHit(msg.Key, sender) {
			r.serveMessage(msg.Key, nil, &ask[K, V]{op: opFetch, private: true, sender: sender})
		}
	case Set:
		r.serveMessage(msg.Key, &msg.Value, &ask[K, V]{op: opSet, sender: sender})
	case Delete:
		r.serveMessage(msg.Key, nil, &ask[K, V]{op: opDelete, sender: sender})
	case Refresh:
		r.serve(&ask[K, V]{op: opRefresh, sender: sender, run: r})
	case Keys:
		r.send(sender, r.keyList())
	}
}

// requestMany serves the misses of a FetchMany in one go, so that they can be loaded in one go.
func (r *run[K, V]) requestMany(many *askMany[K, V]) {
	r.gather(func() {
		for _, a := range many.asks {
			r.request(a, nil)
		}
	})
}

// gather serves several requests before it launches what they miss.
func (r *run[K, V]) gather(serve func()) {
	if r.gathering {
		serve()
		return
	}
	func() {
		r.gathering = true
		defer func() { r.gathering = false }()
		serve()
	}()
	if r.phase() == phaseReady {
		r.launch()
	}
}

func (r *run[K, V]) hold(request heldRequest) {
	most := DefaultMaxWaiting // until the options are known
	if config := r.config.Load(); config != nil {
		most = config.MaxWaiting
	}
	if waiting := len(r.held) - r.heldGone; waiting >= most {
		r.counters.busy.Add(1)
		r.refuse(request, r.bucket.errorf("%w (%d) for it to start: raise MaxWaiting, or ask less", ErrBusy, waiting))
		return
	}
	r.held = append(r.held, request)
}

// release gives up the place of a caller who has left while the bucket starts.
func (r *run[K, V]) release() {
	r.heldGone++
	if 2*r.heldGone < len(r.held) {
		return
	}
	r.held = slices.DeleteFunc(r.held, func(request heldRequest) bool {
		a, typed := request.msg.(*ask[K, V])
		return typed && a.answered
	})
	r.heldGone = 0
}

// serveHeld serves what came before the bucket was ready, one at a time, so that a
// crash in between loses none.
func (r *run[K, V]) serveHeld() {
	r.gather(func() {
		for len(r.held) > 0 {
			request := r.held[0]
			r.held = r.held[1:]
			r.request(request.msg, request.sender)
		}
	})
	r.held = nil
}

// serveHit answers at once for a key that is held: most messages end here.
func (r *run[K, V]) serveHit(key any, sender *protoactor.PID) bool {
	typed, ok := key.(K)
	if !ok || sender == nil {
		return false
	}
	value, ok := r.bucket.hit(typed)
	if ok {
		r.send(sender, Found{Value: value})
	}
	return ok
}

// serveMessage gives a message its types, and serves it.
func (r *run[K, V]) serveMessage(key any, value *any, a *ask[K, V]) {
	a.run = r
	var err error
	if a.key, err = asKey[K](key); err == nil {
		err = r.bucket.keys.check(a.key)
	}
	if err == nil && value != nil {
		a.value, err = asValue[V](*value)
	}
	if err != nil {
		r.flush() // those who came before get their answers before
		r.send(a.sender, Failed{r.bucket.errorf("%w", err)})
		return
	}
	r.serve(a)
}

func (r *run[K, V]) serve(a *ask[K, V]) {
	if a.answered {
		return // left while it was held
	}
	switch a.op {
	case opFetch:
		r.fetch(a)
	case opReload:
		r.join(a, true)
	case opSet:
		r.set(a)
	case opDelete:
		r.delete(a)
	case opRefresh:
		r.refresh(a)
	}
}

func (r *run[K, V]) fetch(a *ask[K, V]) {
	if r.table.bypass {
		r.counters.misses.Add(1)
		r.join(a, false)
		return
	}
	held, ok := r.table.get(a.key)
	if ok && a.terms.accept(held.loadedAt, time.Now()) {
		r.table.hits.add()
		a.reply(answer[V]{value: held.value})
		return
	}
	r.counters.misses.Add(1)
	r.join(a, ok)
}

func (r *run[K, V]) keyList() KeyList {
	keys := make([]any, 0, r.table.len())
	for key := range r.bucket.All() {
		keys = append(keys, key)
	}
	return KeyList{keys}
}
