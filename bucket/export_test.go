package bucket

// Queued returns how long the queue for a slot is. It is for tests, and only while the
// actor has nothing to do.
func (b *Bucket[K, V]) Queued() int {
	r := b.run.Load()
	return r.queue.size()
}
