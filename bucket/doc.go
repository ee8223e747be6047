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
// # The table
//
// A hit costs about what a read of a Go map costs. The keys that are known when a table is made,
// which are nearly all, are found by a minimal perfect hash, in slots that hold key and record side
// by side, so a look-up waits for the memory once. The hash is never changed, and the generations of
// a bucket share it. What comes later is in a concurrent map beside it, until there is a quarter more
// of it; then a new table is made, beside all that goes on. Hits are counted in cells that no two
// goroutines share, as a rule.
//
// These have been measured against it, with a million random string keys and two readers on two
// cores, as ratios to a read of a bare map:
//
//	                                                        uncounted     counted
//	a map to slots that point at records                    1.6 to 2.2    2.7
//	an open hash of tags and numbers to slots               1.2           –
//	an open hash of tags, and slots in its order            1.0 to 1.1    1.15 to 1.2
//	the perfect hash, and slots in its order                0.95 to 1.0   1.1 to 1.2
//
// The counter of xsync would add 0.6, a pool of counters the same. The perfect hash has no gaps, so
// an entry takes about as much memory as in a map. To make a table takes about as long as to make a
// map.
//
// # Two ways to ask
//
// A [Bucket] is a typed handle: [Bucket.Fetch] and its siblings. An actor asks
// with messages, [Fetch], [FetchMany], [Get], [Set], [Delete], [Refresh], [Keys],
// [Inspect], [Subscribe] and [Unsubscribe], sent to [Bucket.PID] as requests; each is answered exactly once.
package bucket
