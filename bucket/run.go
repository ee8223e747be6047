package bucket

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
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
	inbox  protoactor.Process // of self; it answers, whatever happens to the actor

	equal func(a, b V) bool // the configuration's; set before anything is loaded

	ctx    context.Context // lives as long as the run; passed to the callbacks
	cancel context.CancelCauseFunc

	// For any goroutine.
	state    atomic.Int32
	config   atomic.Pointer[Config]             // nil until the options are resolved
	logger   atomic.Pointer[logrus.FieldLogger] // known earlier than the rest
	reason   atomic.Pointer[error]              // why the run is over, or will be
	over     chan struct{}                      // closed when it is
	counters counters
	bells    bells
	vitals   atomic.Pointer[vitals]
	version  atomic.Uint64 // of the last value saved
	now      atomic.Uint64 // counts writes and the beginnings of loads
	feed     *feed[K, V]
	reading  atomic.Pointer[pass[K, V]] // the full refresh whose loads have begun

	// What runs beside the actor and has to end before the run does.
	background sync.WaitGroup
	file       atomic.Pointer[openedFile[K, V]] // nil until it was read

	// The rest belongs to the actor's turn.
	incarnation actor.Incarnation
	table       *table[K, V]
	claimed     *protoactor.PID // what holds the bucket's name
	crash       error           // the panic for which the restart is awaited

	starting  bool          // OptionsFunc, the file or Init is at work
	step      int           // counts them; their notes carry it
	atStart   bool          // the refresh of the start has begun
	planted   bool          // the seed of a bucket with a file is in the table
	reseeded  bool          // in place of what the file held, which was too old
	spawnedAt time.Time     // for the log
	gathering bool          // more misses are to come before the next is launched
	held      []heldRequest // what came before the bucket was ready
	heldGone  int           // those of them who have left

	flights map[K]*flight[K, V]
	alarm   alarm[K, V]          // for those that take too long
	queue   queue[*flight[K, V]] // waiting for a slot
	window  window[K, V]         // misses that wait for company
	flying  int                  // slots in use, those of a refresh included
	aloft   int                  // flights that have a slot, or a part of one
	parked  int                  // callers in a flight's crowds
	dropped int                  // flights in the queue that nobody wants any more
	written map[K]uint64         // how old what a key holds is at least; see overtaken
	pruneAt int                  // when written is that large
	pass    *pass[K, V]          // the full refresh under way
	nextDue time.Time            // of the next one

	reindexing  *reindexing[K, V] // of the table; nil if it is not under way
	reindexedAt time.Time

	nextAskers    crowd[K, V]    // for a refresh that begins after the one under way
	queuedWorkers int            // of a refresh, in the queue
	origins       *origins[K]    // of the last refresh, for loads that began before it ended; nil if there are none
	allAt         uint64         // now, when the source was asked for everything that was published last
	allBut        map[K]struct{} // of which that brought nothing, for loads that began before
	pressed       atomic.Bool    // callers wait for a slot

	keeper      *keeper[K, V]                // of the file; nil without one
	subscribers map[string]*subscriber[K, V] // by their PIDs
	clock       *protoactor.PID
	respawns    *actor.Timer
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
		bucket:      b,
		system:      system,
		self:        self,
		over:        make(chan struct{}),
		spawnedAt:   time.Now(),
		feed:        newFeed[K, V](),
		flights:     make(map[K]*flight[K, V]),
		subscribers: make(map[string]*subscriber[K, V]),
		written:     make(map[K]uint64),
		pruneAt:     minPrune,
	}
	r.ctx, r.cancel = context.WithCancelCause(context.Background())
	r.vitals.Store(&vitals{})
	r.counters.hits = newHitCounter()
	r.inbox, _ = system.ProcessRegistry.Get(self) // whoever is being spawned is in there
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

// tell puts a note into the actor's mailbox, from any goroutine. A note for an actor
// that is gone is dropped.
func (r *run[K, V]) tell(note any) {
	if r.phase() != phaseOver {
		r.inbox.SendUserMessage(r.self, note)
	}
}

// send gives an actor a message, if it lives. A dead letter would be published in this
// very call, and a subscriber that panics, or calls runtime.Goexit, would cost those who
// are answered next their answers.
func (r *run[K, V]) send(to *protoactor.PID, msg any) {
	if to == nil {
		return
	}
	if _, alive := r.system.ProcessRegistry.Get(to); !alive {
		return
	}
	defer func() {
		if p := recover(); p != nil {
			r.log(func(log logrus.FieldLogger) { log.Errorf("a subscriber of the event stream panicked: %v", p) })
		}
	}()
	r.system.Root.Send(to, msg)
}

// post puts a typed question, or several, into the mailbox.
func (r *run[K, V]) post(question any) error {
	if r.phase() == phaseOver {
		return r.bucket.errorf("%w", r.why())
	}
	r.inbox.SendUserMessage(r.self, question)
	return nil
}

// log gives the bucket's logger to write. A logger with its hooks is the user's, and no
// reason to crash.
func (r *run[K, V]) log(write func(logrus.FieldLogger)) {
	logger := logrus.FieldLogger(logrus.StandardLogger())
	if known := r.logger.Load(); known != nil {
		logger = *known
	}
	logSafely(logger, func(log logrus.FieldLogger) { write(log.WithField("bucket", r.bucket.name)) })
}

// debugging says whether a line for debugging may be written at all. What is not found is common,
// and to prepare its line costs more than to look for it.
func (r *run[K, V]) debugging() (wanted bool) {
	known := r.logger.Load()
	if known == nil {
		return true
	}
	defer func() { _ = recover() }() // an Entry that nobody has made
	wanted = true
	switch logger := (*known).(type) {
	case *logrus.Logger:
		return logger.IsLevelEnabled(logrus.DebugLevel)
	case *logrus.Entry:
		return logger.Logger.IsLevelEnabled(logrus.DebugLevel)
	}
	return wanted
}

// publish tells the subscribers of the event stream. One that panics is no reason to crash.
func (r *run[K, V]) publish(event any) {
	if err := actor.Publish(r.system, event); err != nil {
		r.log(func(log logrus.FieldLogger) { log.WithError(err).Error("a subscriber of the event stream panicked") })
	}
}

func logSafely(logger logrus.FieldLogger, write func(logrus.FieldLogger)) {
	defer func() { _ = recover() }()
	write(logger)
}

// end answers everybody who waits and lets go of the table. Callbacks at work see
// their context end; nobody waits for them.
func (r *run[K, V]) end(reason error) {
	if r.phase() != phaseOver {
		if r.keeper != nil {
			r.keeper.closing = true
			r.flush()
			r.keeper.retry.Stop()
		}
		r.reason.Store(&reason)
		r.state.Store(int32(phaseOver))
		if r.table != nil {
			r.bucket.table.CompareAndSwap(r.table, nil)
		}
		r.cancel(reason)
		r.respawns.Stop()
		r.alarm.stop()
		r.closeWindow()
	}
	r.dismissAll(r.bucket.errorf("%w", r.why()))
}

// dismissAll answers everybody who waits for anything. If it is cut short, it can be called
// again for the rest.
func (r *run[K, V]) dismissAll(err error) {
	r.dismissStaged(err)
	for len(r.held) > 0 {
		request := r.held[0]
		r.held = r.held[1:]
		r.refuse(request, err)
	}
	for _, f := range r.flights {
		if f.launched && !f.landed && !f.riding {
			r.giveUp(f.call) // it has been cancelled; one that returns is counted out
		}
		r.dismiss(&f.waiters, answer[V]{err: err})
		r.dismiss(&f.next, answer[V]{err: err})
	}
	r.endPass(err)
}

// close is the last step, when the actor has stopped: the bucket can be started again.
// The bucket remembers the run until then, for its statistics, but not its data.
func (r *run[K, V]) close() {
	r.end(errStopped)
	r.closeKeeper()
	if r.claimed != nil {
		r.system.ProcessRegistry.Remove(r.claimed)
	}
	r.table, r.reindexing, r.keeper, r.flights, r.written, r.queue = nil, nil, nil, nil, nil, queue[*flight[K, V]]{}
	r.alarm = alarm[K, V]{}
	close(r.over)
}

func (r *run[K, V]) closed() bool {
	select {
	case <-r.over:
		return true
	default:
		return false
	}
}

func (r *run[K, V]) refuse(request heldRequest, err error) {
	if a, ok := request.msg.(*ask[K, V]); ok {
		a.reply(answer[V]{err: err})
		return
	}
	r.send(request.sender, refusal(request.msg, err))
}

// refusal is the answer to a message that cannot be served: a Get hides the reason.
func refusal(msg any, err error) any {
	if _, private := msg.(Get); private {
		return Missing{}
	}
	return Failed{err}
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
