package loader

import "context"

// Loader loads one value. It is all that a bucket needs.
//
// Load returns the value of key, or an error. An error that wraps
// [ErrNotFound] says that the source is sure: there is no such key. Any other
// error says that the source could not tell; a value that the bucket already
// holds is then kept.
//
// The context ends at the bucket's load time-out, and when the bucket stops. It
// does not end when a caller of the bucket goes away, because other callers may
// wait for the same load. A Load that outlives its context is abandoned: its
// answer is thrown away when it comes.
//
// Load is called from many goroutines, at most once at a time for one key, not counting
// calls that were abandoned. It must not wait for its own key in its own bucket; to wait
// for another one it takes a second slot. The returned value belongs to the bucket and is handed to many readers: it must
// not be changed afterwards.
type Loader[K comparable, V any] interface {
	Load(ctx context.Context, key K) (V, error)
}

// Initializer seeds a bucket when it starts.
//
// The map is copied into the bucket after Init has returned, and must not be changed any
// more; nil is an empty one. Any error is logged
// and the bucket starts empty, except one made by [Veto]: then the bucket does
// not start, and whoever started it gets the reason. A panic or a time-out is
// an error like any other.
type Initializer[K comparable, V any] interface {
	Init(ctx context.Context) (map[K]V, error)
}

// RelatedLoader loads one key together with its neighbours. Where it is
// present it is called instead of Load. [ErrUnchanged] renews the key alone.
//
// The value answers the caller and is not saved by itself; every pair of the
// map is. To save the value, put it into the map as well.
type RelatedLoader[K comparable, V any] interface {
	LoadRelated(ctx context.Context, key K) (V, map[K]V, error)
}

// BatchLoader loads many keys in one go. Full refreshes call it instead of Load and Reload, unless
// there is an [AllLoader]; a FetchMany calls it for keys that the bucket does not hold, and so do
// misses that wait for company.
//
// A key that is absent from the map was not found. With an error, what the map holds counts all
// the same, and the others have failed; with [ErrUnchanged], those keep their values that are held.
// Keys that were not asked for are ignored. It is called by many goroutines, for different keys.
// The slice is its own; the map must not be changed after it has returned.
type BatchLoader[K comparable, V any] interface {
	LoadBatch(ctx context.Context, keys []K) (map[K]V, error)
}

// AllLoader loads everything in one go, for full refreshes. The map is the next generation of
// the bucket: what is not in it is gone. With an error the map is ignored, and all keys keep
// their values; [ErrUnchanged] is no failure then.
//
// It has to answer within the bucket's load time-out. The map must not be changed after it has
// returned: it is read while the generation is made.
type AllLoader[K comparable, V any] interface {
	LoadAll(ctx context.Context) (map[K]V, error)
}

// Reloader refreshes one key that the bucket holds. Where it is present it is
// called instead of Load for such a key. The error [ErrUnchanged] keeps the old
// value and renews its age.
type Reloader[K comparable, V any] interface {
	Reload(ctx context.Context, key K, old V) (V, error)
}

// RefreshFilter has the last word on each refreshed value before it is saved.
//
// It sees what the load returned, the error included. What it returns counts
// instead: with a nil error the value is saved, even if the load had failed;
// [ErrNotFound] removes the entry; any other error keeps the old value. A
// filter with no opinion returns its arguments.
type RefreshFilter[K comparable, V any] interface {
	FilterRefresh(ctx context.Context, key K, value V, err error) (V, error)
}

// Func makes a [Loader] of a function.
func Func[K comparable, V any](load func(ctx context.Context, key K) (V, error)) Loader[K, V] {
	return loadFunc[K, V](load)
}

type loadFunc[K comparable, V any] func(ctx context.Context, key K) (V, error)

func (f loadFunc[K, V]) Load(ctx context.Context, key K) (V, error) { return f(ctx, key) }
