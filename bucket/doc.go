// Package bucket keeps one named set of key/value data in the memory of a
// program, loads what is missing, and refreshes all of it on a clock.
//
// A bucket is an actor with a shared table. Readers read the table; it is written in the actor's
// turns only:
//
//	hit      caller ── table ──▶ value                          (no message, no lock)
//
//	set      caller ──▶ table        in the actor's place, if it is idle and only the table is concerned;
//	         caller ──▶ bucket       a message otherwise
//
//	miss     caller ──Fetch──▶ bucket ──(goroutine)──▶ Loader.Load
//	         others ──Fetch──▶ bucket                           (same key: they share the load)
//	         caller ◀──Found── bucket ◀──loaded── (goroutine)   (saved first, answered then)
//
//	refresh  refresher ──refreshDue──▶ bucket ──(workers, bounded)──▶ Loader
//	         asker ◀──Refreshed── bucket ◀── the next generation ── (workers)   (published in one step)
//
//	crash    bucket panics ──▶ supervisor ──▶ the next incarnation adopts the table,
//	         the loads in flight and those who wait for them
//
//	file     a change ──▶ encode ──▶ append ──▶ sync, by policy ──▶ table ──▶ answer   (with [File])
//
// # What a caller sees
//
//	when                           Fetch                                   DirectGet
//	not started                    ErrNotRunning                           not there
//	starting (dump, Init at work)  waits, as long as its ctx allows        not there
//	key held                       the value, in nanoseconds               the value
//	key missing, loader answers    the value, saved                        there afterwards
//	key missing, ErrNotFound       *loader.Error with loader.ErrNotFound   not there
//	loader fails or panics         *loader.Error; logged once              not there
//	loader hangs                   *loader.Error with DeadlineExceeded     not there
//	caller's ctx ends first        ctx's error at once; the load goes on   –
//	Set while the key is loading   the set value; the load's is dropped    the set value
//	full refresh running           the old generation, whole               the same
//	full refresh done              the new generation, whole               the same
//	refresh of this key failed     the old value; see Entry                the old value
//	source says the key is gone    after the refresh the loader is asked   not there
//	actor crashed, restarting      hits as ever; misses after the restart  the value
//	stopped, or given up           ErrStopped                              not there
//
// # Two ways to ask
//
// A [Bucket] is a typed handle: [Bucket.Fetch] and its siblings. An actor asks
// with messages, [Fetch], [Get], [Set], [Delete], [Refresh], [Keys], [Inspect],
// [Subscribe] and [Unsubscribe], sent to [Bucket.PID] as requests; each is answered exactly once.
package bucket
