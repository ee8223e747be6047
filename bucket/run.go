package bucket

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/puzpuzpuz/xsync/v4"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
)

// run is one life of a bucket, from its spawn to its stop. It outlives the
// incarnations of the actor between them:
//
//	spawn ── run ──────────────────────────────────────────────────── stop
//	         incarnation 1 ─ panic   incarnation 2 ─ panic   incarnation 3
//
// A restart must lose neither an entry nor a caller, and must not ask the source
// twice for what it is answering already. So an incarnation keeps nothing of its
// own: the loads in flight, those who wait for them and the refresh under way are
// the run's, and the next incarnation goes on with them. What an earlier run
// started is recognised by its run and ignored.
type run[K comparable, V any] struct {
	bucket *Bucket[K, V]
	system *protoactor.ActorSystem
	self   *protoactor.PID

	ctx    context.Context // lives as long as the run; passed to the callbacks
	cancel context.CancelCauseFunc

	// For any goroutine.
	state    atomic.Int32
	config   atomic.Pointer[Config] // nil until the options are resolved
	reason   atomic.Pointer[error]  // why the run is over, or will be
	over     chan struct{}          // closed when it is
	counters counters
	vitals   atomic.Pointer[vitals]

	// The rest belongs to the actor's turn.
	incarnation actor.Incarnation
	table       *table[K, V]
	claimed     *protoactor.PID // what holds the bucket's name
	crash       error           // the panic for which the restart is awaited

	starting  bool          // OptionsFunc or Init is at work
	spawnedAt time.Time     // for the log
	held      []heldRequest // what came before the bucket was ready

	flights  map[K]*flight[K, V]
	queue    queue[*flight[K, V]] // waiting for a slot
	flying   int                  // slots in use
	parked   int                  // callers in a flight's crowds
	touched  map[K]uint64         // when a key was last written; see overtaken
	touches  uint64
	pruneAt  int          // when touched is that large
	sweep    *sweep[K, V] // the full refresh under way
	nextDue  time.Time    // of the next one
	clock    *protoactor.PID
	respawns *actor.Timer
}

type heldRequest struct {
	msg    any
	sender *protoactor.PID
}

type phase int32

const (
	phaseStarting phase = iota
	phaseReady
	phaseOver
)

func newRun[K comparable, V any](b *Bucket[K, V], system *protoactor.ActorSystem, self *protoactor.PID) *run[K, V] {
	r := &run[K, V]{
		bucket:    b,
		system:    system,
		self:      self,
		over:      make(chan struct{}),
		spawnedAt: time.Now(),
		flights:   make(map[K]*flight[K, V]),
		touched:   make(map[K]uint64),
		pruneAt:   minPrune,
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.vitals.Store(&vitals{})
	r.counters.hits = xsync.NewCounter()
	return r
}

func (r *run[K, V]) phase() phase { return phase(r.state.Load()) }

// why returns the reason for which the run is over.
func (r *run[K, V]) why() error {
	if reason := r.reason.Load(); reason != nil {
		return *reason
	}
	return errStopped
}

var errStopped = fmt.Errorf("%w (%w): start it again to use it", ErrStopped, ErrNotRunning)

// tell puts a note into the actor's mailbox, from any goroutine. A note for an
// actor that is gone is dropped.
func (r *run[K, V]) tell(note any) { r.system.Root.Send(r.self, note) }

// post puts a typed question into the mailbox. Past the look into the registry the
// mailbox answers, whatever happens to the actor.
func (r *run[K, V]) post(a *ask[K, V]) error {
	process, alive := r.system.ProcessRegistry.Get(r.self)
	if !alive || r.phase() == phaseOver {
		return r.bucket.errorf("%w", r.why())
	}
	process.SendUserMessage(r.self, a)
	return nil
}

func (r *run[K, V]) log() logrus.FieldLogger {
	logger := logrus.FieldLogger(logrus.StandardLogger())
	if config := r.config.Load(); config != nil {
		logger = config.Logger
	}
	return logger.WithField("bucket", r.bucket.name)
}

// end answers everybody who waits and lets go of the table. Callbacks at work see
// their context end; nobody waits for them.
func (r *run[K, V]) end(reason error) {
	if r.phase() == phaseOver {
		return
	}
	r.reason.Store(&reason)
	r.state.Store(int32(phaseOver))
	if r.table != nil {
		r.bucket.table.CompareAndSwap(r.table, nil)
	}
	r.cancel(reason)
	r.respawns.Stop()

	err := r.bucket.errorf("%w", reason)
	for _, request := range r.held {
		r.refuse(request, err)
	}
	r.held = nil
	for _, f := range r.flights {
		f.waiters.dismiss(answer[V]{err: err})
		f.next.dismiss(answer[V]{err: err})
	}
	if r.sweep != nil {
		r.sweep.askers.dismiss(answer[V]{err: err})
		r.sweep.pace.Stop()
		r.sweep = nil
	}
}

// close is the last step, when the actor has stopped: the bucket can be started
// again.
func (r *run[K, V]) close() {
	r.end(errStopped)
	if r.claimed != nil {
		r.system.ProcessRegistry.Remove(r.claimed)
	}
	close(r.over)
}

func (r *run[K, V]) refuse(request heldRequest, err error) {
	if a, ok := request.msg.(*ask[K, V]); ok {
		a.reply(answer[V]{err: err})
	} else if request.sender != nil {
		r.system.Root.Send(request.sender, Failed{err})
	}
}

// nameClaim holds a bucket's name in the actor system, so that a second one of the
// same name is found out wherever in the tree it is spawned.
type nameClaim struct{ system *protoactor.ActorSystem }

func (c nameClaim) SendUserMessage(pid *protoactor.PID, msg any) {
	c.system.DeadLetter.SendUserMessage(pid, msg)
}
func (nameClaim) SendSystemMessage(*protoactor.PID, any) {}
func (nameClaim) Stop(*protoactor.PID)                   {}

func (r *run[K, V]) claimName() error {
	if r.claimed != nil {
		return nil
	}
	pid, absent := r.system.ProcessRegistry.Add(nameClaim{r.system}, "dataworker/bucket/"+r.bucket.name)
	if !absent {
		return fmt.Errorf("%w: give one of the two another name", ErrNameTaken)
	}
	r.claimed = pid
	return nil
}
