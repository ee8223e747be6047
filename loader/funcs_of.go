package loader

// FuncsOf takes a loader to pieces: its Load, and the functions of those companions that it has.
// They can be replaced one by one, and make a loader again:
//
//	f := loader.FuncsOf(l)
//	load := f.LoadFunc
//	f.LoadFunc = func(ctx context.Context, key string) (Widget, error) {
//		defer measure(time.Now())
//		return load(ctx, key)
//	}
//
// The loader must be one that [Check] has nothing against.
func FuncsOf[K comparable, V any](l Loader[K, V]) Funcs[K, V] {
	f := Funcs[K, V]{LoadFunc: l.Load}
	c := CompanionsOf(l)
	if c.Initializer != nil {
		f.InitFunc = c.Initializer.Init
	}
	if c.RelatedLoader != nil {
		f.LoadRelatedFunc = c.RelatedLoader.LoadRelated
	}
	if c.BatchLoader != nil {
		f.LoadBatchFunc = c.BatchLoader.LoadBatch
	}
	if c.AllLoader != nil {
		f.LoadAllFunc = c.AllLoader.LoadAll
	}
	if c.Reloader != nil {
		f.ReloadFunc = c.Reloader.Reload
	}
	if c.RefreshFilter != nil {
		f.FilterRefreshFunc = c.RefreshFilter.FilterRefresh
	}
	return f
}
