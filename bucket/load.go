package bucket

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"github.com/dataworker-go/dataworker/loader"
)

// outcome is what a load that did not fail brought.
type outcome[K comparable, V any] struct {
	verdict verdict
	value   V
	same    bool    // the value equals the one that was held when the load began
	against uint64  // the version of that; 0 if there was none
	related map[K]V // every pair is saved; the value itself then is not
	bundled bool    // related counts, even if it is empty

	unchanged map[K]struct{} // of related, for a refresh: they equal what is held
}

type verdict uint8

const (
	fetched   verdict = iota // here is the value
	unchanged                // the held value is still right
)

// failure is why a load brought nothing.
type failure struct {
	err  error
	kind failureKind
}

type failureKind uint8

const (
	failed   failureKind = iota // the loader says so
	notFound                    // the source is sure that the key does not exist
	panicked
	timedOut
)

// classify looks into err, which is nil or the user's: its methods may panic.
func classify(err error) (f *failure) {
	if err == nil {
		return nil
	}
	f = &failure{err: err, kind: failed}
	defer func() { _ = recover() }()
	var panicError *loader.PanicError
	switch {
	case errors.As(err, &panicError), errors.Is(err, loader.ErrGoexit):
		f.kind = panicked
	case errors.Is(err, loader.ErrNotFound):
		f.kind = notFound
	case errors.Is(err, context.DeadlineExceeded):
		f.kind = timedOut
	}
	return f
}

// load asks the user's code for one key. It runs in a goroutine of its own that survives
// what it does, so everything that may panic belongs in here: the callbacks, the
// methods of their errors, the comparison of their values.
//
// held is the record of a key that is loaded again, nil for a miss.
func (r *run[K, V]) load(ctx context.Context, key K, again bool, held *record[V]) (outcome[K, V], error) {
	b := r.bucket
	var o outcome[K, V]
	var err error
	switch {
	case held != nil && b.companions.Reloader != nil:
		o.value, err = b.companions.Reloader.Reload(ctx, key, held.value)
	case b.companions.RelatedLoader != nil:
		o.bundled = true
		o.value, o.related, err = b.companions.RelatedLoader.LoadRelated(ctx, key)
	default:
		o.value, err = b.loader.Load(ctx, key)
	}
	if filter := b.companions.RefreshFilter; again && filter != nil {
		o.value, err = filter.FilterRefresh(ctx, key, o.value, err)
		o.related = filterRelated(ctx, filter, o.related)
	}
	if held != nil {
		o.against = held.stamp.version()
	}
	o.related = maps.Clone(o.related) // here, where a panic is a failed load: the map is the user's

	switch {
	case err == nil:
		o.verdict = fetched
		o.same = held != nil && r.equal(held.value, o.value)
	case errors.Is(err, loader.ErrUnchanged) && held != nil:
		o.verdict, o.value = unchanged, held.value
	case errors.Is(err, loader.ErrUnchanged):
		return o, errNotHeld(err)
	default:
		return o, err
	}
	return o, nil
}

// errNotHeld is for a source that says that a value has not changed which was never loaded.
func errNotHeld(err error) error { return fmt.Errorf("%w, but the bucket does not hold the key", err) }

// filterRelated drops the pairs that the filter refuses.
func filterRelated[K comparable, V any](ctx context.Context, filter loader.RefreshFilter[K, V], related map[K]V) map[K]V {
	passed := make(map[K]V, len(related))
	for key, value := range related {
		if value, err := filter.FilterRefresh(ctx, key, value, nil); err == nil {
			passed[key] = value
		}
	}
	return passed
}

// safeError is an error as it may be logged: fmt survives an Error method that
// panics, a logger may not.
type safeError struct{ err error }

func (e safeError) Error() (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(unprintable %T)", e.err)
		}
	}()
	return fmt.Sprintf("%v", e.err)
}

func (e safeError) Unwrap() error { return e.err }
