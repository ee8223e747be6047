package bucket

import (
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// request serves a question, or holds it until the bucket is ready.
func (r *run[K, V]) request(msg any, sender *protoactor.PID) {
	if r.phase() == phaseStarting {
		r.hold(heldRequest{msg, sender})
		return
	}

	switch msg := msg.(type) {
	case *ask[K, V]:
		r.serve(msg)
	case Fetch:
		r.serveMessage(msg.Key, nil, sender, ask[K, V]{op: opFetch, noSave: msg.NoSave})
	case Get:
		r.serveMessage(msg.Key, nil, sender, ask[K, V]{op: opFetch, private: true})
	case Set:
		r.serveMessage(msg.Key, &msg.Value, sender, ask[K, V]{op: opSet})
	case Delete:
		r.serveMessage(msg.Key, nil, sender, ask[K, V]{op: opDelete})
	case Refresh:
		r.serve(&ask[K, V]{op: opRefresh, sender: sender, run: r})
	case Keys:
		if sender != nil {
			r.system.Root.Send(sender, r.keyList())
		}
	}
}

func (r *run[K, V]) hold(request heldRequest) {
	if config := r.config.Load(); config != nil && len(r.held) >= config.MaxWaiting {
		r.counters.busy.Add(1)
		r.refuse(request, r.bucket.errorf("%w (%d) for it to start: raise MaxWaiting, or ask less", ErrBusy, len(r.held)))
		return
	}
	r.held = append(r.held, request)
}

// serveMessage gives a message its types, and serves it.
func (r *run[K, V]) serveMessage(key any, value *any, sender *protoactor.PID, a ask[K, V]) {
	a.run, a.sender = r, sender
	var err error
	if a.key, err = asKey[K](key); err == nil {
		err = r.bucket.keys.check(a.key)
	}
	if err == nil && value != nil {
		a.value, err = asValue[V](*value)
	}
	if err != nil {
		if sender != nil {
			r.system.Root.Send(sender, Failed{r.bucket.errorf("%w", err)})
		}
		return
	}
	r.serve(&a)
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
	if ok && (!a.terms.limited || time.Since(time.Unix(0, held.loadedAt)) <= a.terms.maxAge) {
		r.table.hits.Inc()
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
