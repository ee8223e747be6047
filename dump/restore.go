package dump

import (
	"context"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"sync/atomic"
)

// restore gives the records of a file, decoded, to a sink. Decoding is what takes long, so
// that is done on all processors; the sink gets everything in the order of the file:
//
//	scan ──frames──▶ any worker ──entries, a piece at a time──┐
//	     ──the same frames, in order──▶ deliver ◀─────────────┘ ──▶ sink
//
// The first few records are not worth a goroutine.
type restore[K comparable, V any] struct {
	ctx     context.Context
	path    string
	format  format[K, V]
	sink    Sink[K, V]
	options Options
	origin  Origin
	migrate bool

	next   decoding[K, V]       // frames for the next worker
	seen   int                  // records
	work   chan *decoding[K, V] // for any worker; nil if there are none
	order  chan *decoding[K, V] // the same, for who delivers
	wait   sync.WaitGroup
	failed error       // why no more is put; read when all have ended
	over   atomic.Bool // nothing more has to be decoded
	forget func() bool // ends the watch for the end of ctx
	pieces sync.Pool
	piece  int // how many entries are in one
}

// decoding is some frames on their way through a worker.
type decoding[K comparable, V any] struct {
	frames  []frame
	records int
	bytes   int
	decoded chan piece[K, V]
}

// piece is some entries, or the error that comes behind the last of them.
type piece[K comparable, V any] struct {
	entries []decoded[K, V]
	err     error
}

type decoded[K comparable, V any] struct {
	Entry[K, V]
	deleted bool
}

func newRestore[K comparable, V any](ctx context.Context, path string, f format[K, V], sink Sink[K, V], o Options) *restore[K, V] {
	r := &restore[K, V]{ctx: ctx, path: path, format: f, sink: sink, options: o}
	r.piece = max(1, min(mostInPiece, bytesInPiece/int(reflect.TypeFor[decoded[K, V]]().Size())))
	r.pieces.New = func() any { return make([]decoded[K, V], 0, r.piece) }
	return r
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

const (
	parallelFrom = 4096 // records make goroutines worth their while

	// What a worker gets is large enough to be worth handing over.
	recordsForWorker = 1024
	bytesForWorker   = 64 << 10

	// So is a piece, and it is small enough for memory.
	mostInPiece  = 256
	bytesInPiece = 64 << 10

	// piecesAhead lets a worker get through what it has while what comes before is delivered.
	piecesAhead = 16
)

func (r *restore[K, V]) begin(records int) {
	r.sink.Begin(records)
	r.failed, r.seen = nil, 0
	r.over.Store(false)
	r.forget = context.AfterFunc(r.ctx, func() { r.over.Store(true) })
	if records >= parallelFrom {
		r.start()
	}
}

func (r *restore[K, V]) start() {
	n := runtime.GOMAXPROCS(0)
	r.work, r.order = make(chan *decoding[K, V]), make(chan *decoding[K, V], n)
	for range n {
		r.wait.Go(r.decodeAll)
	}
	r.wait.Go(r.deliver)
}

// frame takes a frame. What cannot be decoded is no reason to stop: if there is damage behind
// it, that is what the file suffers from.
func (r *restore[K, V]) frame(f frame) error {
	if r.seen += f.records; r.work == nil && r.seen > parallelFrom {
		r.start()
	}
	switch {
	case r.over.Load():
	case r.work == nil:
		if r.failed = r.decode(f, r.put); r.failed != nil {
			r.over.Store(true)
		}
	default:
		r.next.frames = append(r.next.frames, f)
		r.next.records += f.records
		r.next.bytes += len(f.payload)
		if r.next.records >= recordsForWorker || r.next.bytes >= bytesForWorker {
			r.hand()
		}
	}
	return nil
}

// hand gives the frames that have been gathered to a worker. It waits for nothing but the
// workers, and they for nothing but the sink.
func (r *restore[K, V]) hand() {
	if len(r.next.frames) == 0 {
		return
	}
	d := r.next
	d.decoded = make(chan piece[K, V], piecesAhead)
	r.next = decoding[K, V]{}
	r.order <- &d
	r.work <- &d
}

// end waits until everything is put. It may be called again.
func (r *restore[K, V]) end() error {
	if r.forget == nil {
		return r.failed
	}
	if r.work != nil {
		r.hand()
		close(r.work)
		close(r.order)
		r.wait.Wait()
		r.work, r.order = nil, nil
	}
	if r.forget(); r.failed == nil {
		r.failed = r.ctx.Err() // it may have ended the work too early
	}
	r.forget = nil
	return r.failed
}

// decodeAll is a worker.
func (r *restore[K, V]) decodeAll() {
	var at *decoding[K, V]
	defer func() {
		if at == nil {
			return
		}
		// It may not be missed: without workers everybody would wait for ever.
		r.wait.Go(r.decodeAll)
		at.decoded <- piece[K, V]{err: &Error{Path: r.path, Offset: -1, Kind: ErrDecode, Reason: "a codec or a migration called runtime.Goexit"}}
		close(at.decoded)
	}()
	for d := range r.work {
		at = d
		for _, f := range d.frames {
			err := r.decode(f, func(entries []decoded[K, V]) { d.decoded <- piece[K, V]{entries: entries} })
			if err != nil {
				d.decoded <- piece[K, V]{err: err}
				break
			}
		}
		at = nil
		close(d.decoded)
	}
}

// deliver puts what the workers have decoded, in the order of the file, up to the first
// error. The rest is only taken from them.
func (r *restore[K, V]) deliver() {
	var at *decoding[K, V]
	defer func() {
		if at == nil {
			return
		}
		r.fail(&Error{Path: r.path, Offset: -1, Kind: ErrDecode, Reason: "the sink called runtime.Goexit"})
		for range at.decoded { // the workers must not wait for ever
		}
		r.wait.Go(r.deliver)
	}()
	for d := range r.order {
		at = d
		for p := range d.decoded {
			if r.failed == nil && p.err == nil {
				r.put(p.entries)
			} else if r.failed == nil {
				r.fail(p.err)
			}
		}
		at = nil
	}
}

func (r *restore[K, V]) fail(err error) {
	r.failed = err
	r.over.Store(true)
}

func (r *restore[K, V]) put(entries []decoded[K, V]) {
	for i := range entries {
		if e := &entries[i]; e.deleted {
			r.sink.Delete(e.Key)
		} else {
			r.sink.Put(e.Entry)
		}
	}
	clear(entries)
	r.pieces.Put(entries[:0]) //nolint:staticcheck // the header of a slice is nothing to a piece
}

// decode decodes the records of a frame, and gives them to take, which then owns them.
func (r *restore[K, V]) decode(f frame, take func([]decoded[K, V])) error {
	entries := r.pieces.Get().([]decoded[K, V])
	for offset, rec := range f.all() {
		if r.over.Load() {
			break
		}
		entries = append(entries, decoded[K, V]{})
		if err := r.decodeRecord(rec, &entries[len(entries)-1]); err != nil {
			return &Error{Path: r.path, Offset: offset, Kind: ErrDecode, Reason: r.describe(rec), Err: err}
		}
		if len(entries) == r.piece {
			take(entries)
			entries = r.pieces.Get().([]decoded[K, V])
		}
	}
	take(entries)
	return nil
}

func (r *restore[K, V]) decodeRecord(rec rawRecord, into *decoded[K, V]) error {
	into.At, into.deleted = rec.at, rec.deleted
	if err := r.format.decode(r.format.keys, rec.key, &into.Key); err != nil || rec.deleted {
		return err
	}
	return r.decodeValue(rec.value, &into.Value)
}

func (r *restore[K, V]) decodeValue(encoded []byte, value *V) (err error) {
	if !r.migrate {
		return r.format.decode(r.format.values, encoded, value)
	}
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the migration panicked: %v", p)
		}
	}()
	return r.options.Migrate(r.origin, encoded, value)
}

// describe names a record that cannot be decoded.
func (r *restore[K, V]) describe(rec rawRecord) string {
	var key K
	if r.format.decode(r.format.keys, rec.key, &key) != nil {
		return fmt.Sprintf("key % x", rec.key[:min(len(rec.key), 32)])
	}
	return fmt.Sprintf("key %v, %s in the file: if the type was changed, raise the schema version and give a Migrate",
		printable{key}, r.origin.Type)
}
