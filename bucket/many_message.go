package bucket

import (
	"reflect"

	protoactor "github.com/asynkron/protoactor-go/actor"
)

// FetchMany asks for the values of several keys at once, as [Bucket.FetchMany] does. Keys is a slice
// of the bucket's key type, a []K, and must not be changed any more. The reply is a [FoundMany], when
// the last load is over; or a [Failed], if none of the keys could be served.
type FetchMany struct{ Keys any }

// FoundMany answers a [FetchMany]. Values is a slice of the bucket's value type, a []V. It and Errs are
// as long as the keys, and in their order: where there is no error there is a value. Errs is nil if
// there are none at all. The values are shared with every other reader and must not be changed.
type FoundMany struct {
	Values any
	Errs   []error
}

// IgnoreDeadLetterLogging keeps the answer out of the log.
func (FoundMany) IgnoreDeadLetterLogging() {}

// joint is the answer to a FetchMany of another actor, in the making: each key that the bucket does
// not hold is an ask of its own.
type joint[V any] struct {
	values  []V
	errs    []error
	missing int
	send    func(FoundMany)
}

// share is what one ask contributes.
type share[V any] struct {
	of *joint[V]
	at int
}

func (s *share[V]) add(got answer[V]) {
	if got.err != nil {
		s.of.fail(s.at, got.err)
	} else {
		s.of.values[s.at] = got.value
	}
	s.of.less()
}

func (j *joint[V]) fail(at int, err error) {
	if j.errs == nil {
		j.errs = make([]error, len(j.values))
	}
	j.errs[at] = err
}

// less answers when nothing is missing any more.
func (j *joint[V]) less() {
	if j.missing--; j.missing == 0 {
		j.send(FoundMany{j.values, j.errs})
	}
}

// fetchMany serves a FetchMany of another actor. What is missing is asked for in one go, so that it
// can be loaded in one go.
func (r *run[K, V]) fetchMany(msg FetchMany, sender *protoactor.PID) {
	keys, ok := msg.Keys.([]K)
	if !ok {
		r.flush() // those who came before get their answers before
		r.send(sender, Failed{r.bucket.errorf("%w: got %T, want %s", ErrKeyType, msg.Keys, reflect.TypeFor[[]K]())})
		return
	}
	j := &joint[V]{
		values:  make([]V, len(keys)),
		missing: 1, // this function
		send:    func(answer FoundMany) { r.send(sender, answer) },
	}
	var asks []*ask[K, V]
	for i, key := range keys {
		if err := r.bucket.keys.check(key); err != nil {
			j.fail(i, r.bucket.errorf("%w", err))
			continue
		}
		if held, ok := r.table.hit(key); ok {
			j.values[i] = held.value
			continue
		}
		asks = append(asks, &ask[K, V]{op: opFetch, key: key, many: true, run: r, share: &share[V]{j, i}})
	}
	j.missing += len(asks)
	r.gather(func() {
		for _, a := range asks {
			r.serve(a)
		}
	})
	j.less()
}
