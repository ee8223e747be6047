package bucket

import "time"

// Queued returns how long the queue for a slot is. It is for tests, and only while the
// actor has nothing to do.
func (b *Bucket[K, V]) Queued() int {
	r := b.run.Load()
	return r.queue.size()
}

// Scattered returns how many keys of the bucket's table are beside its index, and how many of its
// slots serve a later record than the one that they were made with, or none. It is for tests, as
// Queued is.
func (b *Bucket[K, V]) Scattered() (loose, worn int) {
	t := b.table.Load()
	return t.loose, t.worn
}

// Put puts an entry into the table, as a load does, past the actor: it must have nothing to do.
func (b *Bucket[K, V]) Put(key K, value V) {
	r := b.run.Load()
	r.table.replace(key, new(r.newRecord(value, SourceLoad, time.Now())))
}
