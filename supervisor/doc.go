// Package supervisor starts buckets in order, restarts them when they panic, and
// stops them in reverse.
//
//	sup := supervisor.New(system)
//	err := sup.Start(ctx, Widgets, Prices.With(bucket.RefreshEvery(time.Minute)))
//	defer sup.Stop(ctx)
//
// Start returns when every child is ready, or when one is not going to be: then
// what had started has stopped again, in reverse, and the error says which child
// refused and why.
//
//	supervisor ──spawn──▶ widgets ── Init ── ready ──▶ supervisor ──spawn──▶ prices …
//
// # When a child panics
//
// It is restarted, alone, after a pause: [Backoff]'s initial pause at the first
// failure, twice as long at each further one up to its cap, with some jitter. A
// child that fails more often than [MaxRestarts] allows is stopped for good; its
// siblings go on. A bucket keeps its table through all of this, so hits never
// notice, and callers of a given-up bucket get bucket.ErrStopped.
//
// # Events
//
// [Started], [Vetoed], [Restarted], [GaveUp] and [Stopped] are published, by value,
// on the actor system's event stream. A subscriber runs in the supervisor's turn
// and must not block.
//
// # In an actor tree of your own
//
// [Supervisor.Props] makes the supervisor a child of your actor. Any actor can be a
// child of a supervisor: a [Child] is a name and props. One that implements
// [actor.Announcer] is waited for until it reports; any other until it has handled
// its Started.
package supervisor
