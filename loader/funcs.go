package loader

import (
	"context"
	"fmt"
)

// Funcs is a [Loader] made of functions, with the companions for which a
// function is given. A nil field means that the companion is absent; only
// LoadFunc is needed.
//
// A type that embeds Funcs does not inherit its companions, only Load: they are
// fields, not methods.
type Funcs[K comparable, V any] struct {
	LoadFunc          func(ctx context.Context, key K) (V, error)
	InitFunc          func(ctx context.Context) (map[K]V, error)
	LoadRelatedFunc   func(ctx context.Context, key K) (V, map[K]V, error)
	LoadBatchFunc     func(ctx context.Context, keys []K) (map[K]V, error)
	LoadAllFunc       func(ctx context.Context) (map[K]V, error)
	ReloadFunc        func(ctx context.Context, key K, old V) (V, error)
	FilterRefreshFunc func(ctx context.Context, key K, value V, err error) (V, error)
}

// Load calls LoadFunc. Without one it takes the value of LoadRelatedFunc.
func (f Funcs[K, V]) Load(ctx context.Context, key K) (V, error) {
	switch {
	case f.LoadFunc != nil:
		return f.LoadFunc(ctx, key)
	case f.LoadRelatedFunc != nil:
		value, _, err := f.LoadRelatedFunc(ctx, key)
		return value, err
	default:
		var none V
		return none, fmt.Errorf("%T: LoadFunc is nil", f)
	}
}

// companions lists what is there. The fields are assigned one by one, because a
// nil func in an interface would not be a nil interface.
func (f Funcs[K, V]) companions() Companions[K, V] {
	var c Companions[K, V]
	if f.InitFunc != nil {
		c.Initializer = initFunc[K, V](f.InitFunc)
	}
	if f.LoadRelatedFunc != nil {
		c.RelatedLoader = relatedFunc[K, V](f.LoadRelatedFunc)
	}
	if f.LoadBatchFunc != nil {
		c.BatchLoader = batchFunc[K, V](f.LoadBatchFunc)
	}
	if f.LoadAllFunc != nil {
		c.AllLoader = allFunc[K, V](f.LoadAllFunc)
	}
	if f.ReloadFunc != nil {
		c.Reloader = reloadFunc[K, V](f.ReloadFunc)
	}
	if f.FilterRefreshFunc != nil {
		c.RefreshFilter = filterFunc[K, V](f.FilterRefreshFunc)
	}
	return c
}

type (
	initFunc[K comparable, V any]    func(context.Context) (map[K]V, error)
	relatedFunc[K comparable, V any] func(context.Context, K) (V, map[K]V, error)
	batchFunc[K comparable, V any]   func(context.Context, []K) (map[K]V, error)
	allFunc[K comparable, V any]     func(context.Context) (map[K]V, error)
	reloadFunc[K comparable, V any]  func(context.Context, K, V) (V, error)
	filterFunc[K comparable, V any]  func(context.Context, K, V, error) (V, error)
)

func (f initFunc[K, V]) Init(ctx context.Context) (map[K]V, error) { return f(ctx) }

func (f relatedFunc[K, V]) LoadRelated(ctx context.Context, key K) (V, map[K]V, error) {
	return f(ctx, key)
}

func (f batchFunc[K, V]) LoadBatch(ctx context.Context, keys []K) (map[K]V, error) {
	return f(ctx, keys)
}

func (f allFunc[K, V]) LoadAll(ctx context.Context) (map[K]V, error) { return f(ctx) }

func (f reloadFunc[K, V]) Reload(ctx context.Context, key K, old V) (V, error) {
	return f(ctx, key, old)
}

func (f filterFunc[K, V]) FilterRefresh(ctx context.Context, key K, value V, err error) (V, error) {
	return f(ctx, key, value, err)
}
