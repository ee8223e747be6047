// Package actor is the one room that knows the sharp edges of protoactor-go.
// The rest of DataWorker, and any program that likes it, builds on its verbs:
//
//	[Ask]        a request with a context instead of a time-out
//	[Guard]      props for an actor that leaves nobody without an answer
//	[Start]      spawn, and wait until the actor is ready or has declined
//	[Stop]       stop, and know that it stopped
//	[After]      one message, once, later
//	[Publish]    an event for subscribers who may panic
//	[NewSystem]  an actor system that logs through logrus
//
// # What a guarded actor's asker sees
//
//	the actor is …                      the asker gets
//	answering                           the answer
//	panicking on the asker's message    Answer(msg, *CrashError), then the restart happens
//	calling runtime.Goexit on it        the same; the mailbox goes on
//	crashed, waiting for its restart    its answer from the next incarnation
//	stopping or stopped, message queued Answer(msg, ErrStopped)
//	gone before the message was sent    a dead letter: ErrNoActor from Ask
//
// Without a guard the second, the third and the fifth row are silence: the asker
// runs into its own time-out. After the third the actor never answers anybody again.
//
// # What a guarded actor sees
//
// Started is its first message, even when others know its name before it runs.
// Stopping is its last but one (Stopped follows, and Terminated for children in
// between): no user message arrives after it, and a restart that was already
// on its way is dropped. A panic or a Goexit while it stops or restarts is logged,
// and does not turn the stop into something else.
package actor
