package supervisor

import protoactor "github.com/asynkron/protoactor-go/actor"

// Started is published when a child is ready.
type Started struct {
	Child string
	PID   *protoactor.PID
}

// Vetoed is published when a child does not start: Init vetoed it, an option was
// bad, or it crashed too often before it was ready.
type Vetoed struct {
	Child string
	Err   error
}

// Restarted is published when a child that panicked is restarted, after the pause.
type Restarted struct {
	Child    string
	Restarts int // since it was added, this one included
	Reason   error
}

// GaveUp is published when a child has panicked too often and is stopped for good.
type GaveUp struct {
	Child    string
	Restarts int
	Reason   error
}

// Stopped is published when a child that was ready has stopped, whoever stopped it.
// It follows a GaveUp as well.
type Stopped struct{ Child string }
