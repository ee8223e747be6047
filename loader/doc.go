// Package loader is what a user of DataWorker implements: where the data of a
// bucket comes from.
//
// The whole obligation is one method:
//
//	type widgets struct{ db *sql.DB }
//
//	func (w widgets) Load(ctx context.Context, id int) (Widget, error) { … }
//
// A bucket calls it for a key that it does not hold, and again for every key
// that it holds whenever it refreshes. What else a source can do is said by
// optional companions, found by type assertion on the same value, as package io
// does it:
//
//	[Initializer]    seeds the bucket at its start, or vetoes the start
//	[RelatedLoader]  answers one key and brings its neighbours along
//	[BatchLoader]    many keys in one go
//	[AllLoader]      everything in one go
//	[Reloader]       sees the old value, and may answer [ErrUnchanged]
//	[RefreshFilter]  has the last word on each refreshed value
//
// [Func] makes a Loader of one function; [Funcs] makes one of several, for
// people who would rather not declare a type.
//
// # What a callback may do wrong
//
// Everything. A callback may fail, panic, call runtime.Goexit, hang for ever or
// ignore its context. The bucket calls it through [Go], which turns each of
// these into an error: the process, the bucket and its other keys go on.
//
//	bucket ──Go──▶ (goroutine) ──▶ callback
//	bucket ◀─done─ (goroutine)              it returned, panicked or called Goexit
//	bucket ◀─done─ (timer)                  it was still at work at its deadline
//
// A callback runs in a goroutine of its own, many at a time (never two for one key, except
// when the first was abandoned), so an implementation must be safe for use by many goroutines.
//
// The package knows nothing of actors and imports nothing else of DataWorker.
package loader
