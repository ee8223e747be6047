package dump

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"runtime"
	"sync"
)

// restore gives the records of a file, decoded, to a sink, on all processors:
//
//	scan ── snapshot frames ──▶ any worker                     a key is there once
//	     ── batch frames ─────▶ every worker takes its keys    a key is one worker's, so in order
//
// A small file is not worth a goroutine.
type restore[K comparable, V any] struct {
	ctx     context.Context
	path    string
	format  format[K, V]
	sink    Sink[K, V]
	options Options
	origin  Origin
	migrate bool

	workers []*restorer[K, V]
	shared  chan frame // snapshot frames, for any worker
	wait    sync.WaitGroup
	seed    maphash.Seed
}

// restorer is one worker. The first works in the scanner's goroutine if it is the only one.
type restorer[K comparable, V any] struct {
	*restore[K, V]
	number int
	own    chan frame // batch frames: each worker gets all
	failed error      // read when the worker is through

	entry Entry[K, V] // decoded into, so that it is not made anew for each record
}

func newRestore[K comparable, V any](ctx context.Context, path string, f format[K, V], sink Sink[K, V], o Options) *restore[K, V] {
	return &restore[K, V]{ctx: ctx, path: path, format: f, sink: sink, options: o, seed: maphash.MakeSeed()}
}

// accept says whether the file is the right one.
func (r *restore[K, V]) accept(path string, found *header) error {
	refuse := func(kind error, format string, args ...any) error {
		return &Error{Path: path, Offset: headerFixed, Kind: kind, Reason: fmt.Sprintf(format, args...)}
	}
	r.origin = Origin{Schema: found.schema, Codec: found.valueCodec, Type: found.valueType}
	otherCodec, otherSchema := found.valueCodec != r.format.values.Name(), found.schema != r.options.Schema
	r.migrate = otherCodec || otherSchema
	switch {
	case found.name != r.options.Name:
		return refuse(ErrForeign, "it is the dump of %q, and %q was expected: give each its own file", found.name, r.options.Name)
	case found.keyCodec != r.format.keys.Name():
		return refuse(ErrCodec, "its keys are %s written with %s, and %T is to be read with %s",
			found.keyType, found.keyCodec, *new(K), r.format.keys.Name())
	case r.migrate && r.options.Migrate != nil:
		return nil
	case otherSchema:
		return refuse(ErrSchema, "its values have schema version %d, and %d is wanted: give a Migrate, or remove the file",
			found.schema, r.options.Schema)
	case otherCodec:
		return refuse(ErrCodec, "its values are %s written with %s, and %T is to be read with %s: give that codec, or a Migrate",
			found.valueType, found.valueCodec, *new(V), r.format.values.Name())
	}
	return nil
}

// parallelFrom is how many records make goroutines worth their while.
const parallelFrom = 4096

func (r *restore[K, V]) begin(records int) {
	r.sink.Begin(records)
	n := 1
	if records >= parallelFrom {
		n = runtime.GOMAXPROCS(0)
	}
	r.workers = make([]*restorer[K, V], n)
	for i := range r.workers {
		r.workers[i] = &restorer[K, V]{restore: r, number: i}
	}
	if n > 1 {
		shared := make(chan frame, n)
		r.shared = shared
		for _, w := range r.workers {
			r.wait.Go(func() { w.drain(shared) })
		}
	}
}

func (r *restore[K, V]) frame(f frame) error {
	switch {
	case len(r.workers) == 1:
		return r.workers[0].take(f)
	case f.kind == frameEnd:
		return r.turn()
	case f.kind == frameSnapshot:
		return r.send(r.shared, f)
	}
	for _, w := range r.workers {
		if err := r.send(w.own, f); err != nil {
			return err
		}
	}
	return nil
}

// send gives a frame to a worker. Workers take everything until they are told to end, also
// when they have failed.
func (r *restore[K, V]) send(to chan<- frame, f frame) error {
	select {
	case to <- f:
		return nil
	case <-r.ctx.Done():
		return r.ctx.Err()
	}
}

// turn goes over from the snapshot to the batches, when all of the snapshot is in place.
func (r *restore[K, V]) turn() error {
	if err := r.join(); err != nil {
		return err
	}
	for _, w := range r.workers {
		own := make(chan frame, len(r.workers))
		w.own = own
		r.wait.Go(func() { w.drain(own) })
	}
	return nil
}

// join lets the workers end, and returns what went wrong.
func (r *restore[K, V]) join() error {
	if len(r.workers) > 1 {
		if r.shared != nil {
			close(r.shared)
			r.shared = nil
		}
		for _, w := range r.workers {
			if w.own != nil {
				close(w.own)
				w.own = nil
			}
		}
		r.wait.Wait()
	}
	var errs []error
	for _, w := range r.workers {
		errs = append(errs, w.failed)
	}
	return errors.Join(errs...)
}

func (r *restore[K, V]) end() error { return r.join() }

func (w *restorer[K, V]) drain(frames <-chan frame) {
	ended := false
	defer func() {
		if ended {
			return
		}
		w.failed = &Error{Path: w.path, Offset: -1, Kind: ErrDecode, Reason: "a codec called runtime.Goexit"}
		for range frames { // whoever sends must not wait for ever
		}
	}()
	for f := range frames {
		if w.failed == nil {
			w.failed = w.take(f)
		}
	}
	ended = true
}

// take decodes the records of a frame, or those of a batch that are this worker's.
func (w *restorer[K, V]) take(f frame) error {
	shared := f.kind == frameBatch && len(w.workers) > 1
	for offset, rec := range f.all() {
		if err := w.put(rec, shared); err != nil {
			return &Error{Path: w.path, Offset: offset, Kind: ErrDecode, Reason: w.describe(rec), Err: err}
		}
	}
	return nil
}

// put decodes a record. Of a shared frame it takes the keys that are this worker's: by the key
// and not by its bytes, because two zeros are one key.
func (w *restorer[K, V]) put(rec rawRecord, shared bool) error {
	w.entry = Entry[K, V]{At: rec.at}
	if err := w.format.decode(w.format.keys, rec.key, &w.entry.Key); err != nil {
		return err
	}
	if shared && maphash.Comparable(w.seed, w.entry.Key)%uint64(len(w.workers)) != uint64(w.number) {
		return nil
	}
	if rec.deleted {
		w.sink.Delete(w.entry.Key)
		return nil
	}
	if err := w.decodeValue(rec.value); err != nil {
		return err
	}
	w.sink.Put(w.entry)
	return nil
}

func (w *restorer[K, V]) decodeValue(encoded []byte) (err error) {
	if !w.migrate {
		return w.format.decode(w.format.values, encoded, &w.entry.Value)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the migration panicked: %v", p)
		}
	}()
	return w.options.Migrate(w.origin, encoded, &w.entry.Value)
}

// describe names a record that cannot be decoded.
func (w *restorer[K, V]) describe(rec rawRecord) string {
	var key K
	if w.format.decode(w.format.keys, rec.key, &key) != nil {
		return fmt.Sprintf("key % x", rec.key[:min(len(rec.key), 32)])
	}
	return fmt.Sprintf("key %v, %s in the file: if the type was changed, raise the schema version and give a Migrate",
		printable{key}, w.origin.Type)
}
