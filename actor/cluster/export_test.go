package cluster

// Kept is what a handle has in its own member.
func Kept[K comparable, V any](h *Handle[K, V], key K) (V, bool) { return h.mirror.get(key) }

// OwnsHere says whether the key is owned by the handle's member.
func OwnsHere[K comparable, V any](h *Handle[K, V], key K) bool {
	part, err := h.part(key)
	return err == nil && h.placement.parts[part].bucket.PID() != nil
}

// KeptLen is how many entries that are.
func KeptLen[K comparable, V any](h *Handle[K, V]) int { return h.mirror.shelf.Load().size() }
