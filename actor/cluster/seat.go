package cluster

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/eventstream"
	"github.com/asynkron/protoactor-go/remote"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// seat is where a part of a bucket is to be found: who sits there owns it. It may be used by many
// goroutines.
type seat struct {
	identity string
	kind     string
	cluster  *protocluster.Cluster
	losses   *losses
	owner    atomic.Pointer[sitting]

	mu        sync.Mutex
	searching *search // nil if nobody looks for the owner
}

// sitting is who sits there.
type sitting struct {
	pid  *protoactor.PID
	here bool // in this member
}

// pauseAgain is how long a question waits that found no owner, before it looks for it again.
const pauseAgain = 20 * time.Millisecond

const (
	// firstPatience is how long the first attempt at a question waits for an answer. The patience doubles with
	// each. An answer may be lost without anybody's noticing: an owner that sees a member come back at the
	// address at which another one was killed may close the connection to the new one.
	firstPatience = time.Second

	// endlessPatience is for a question that must not be asked again while it is being answered.
	endlessPatience = 0
)

// ask asks the owner, and the next one if that has gone or is lost, or does not answer: a question may be
// asked twice, and the bucket has those who ask for the same wait together.
func ask[T any](ctx context.Context, s *seat, question any) (T, error) {
	return askFor[T](ctx, s, question, firstPatience)
}

func askFor[T any](ctx context.Context, s *seat, question any, patience time.Duration) (T, error) {
	var none T
	var last error
	for {
		answer, err := askOnce[T](ctx, s, question, patience)
		switch {
		case err == nil:
			return answer, nil
		case ctx.Err() != nil:
			return none, because(ctx.Err(), last)
		case loader.IsVeto(err), !again(err) && !errors.Is(err, ErrLost):
			return none, err
		}
		if last == nil || telling(err) || !telling(last) {
			last = err
		}
		if errors.Is(err, ErrLost) {
			patience *= 2
		}
		select {
		case <-time.After(pauseAgain):
		case <-ctx.Done():
			return none, because(ctx.Err(), last)
		}
	}
}

// again says that a question was not served, and that another member, or this one in a moment, will.
func again(err error) bool {
	var load *loader.Error
	if errors.As(err, &load) {
		return false // the bucket has answered; its loader may have asked others
	}
	for _, passing := range []error{
		bucket.ErrNotRunning, bucket.ErrAlreadyRunning, bucket.ErrNameTaken, actor.ErrNoActor,
		dump.ErrLocked, // the owner of before has not let go of the file yet
	} {
		if errors.Is(err, passing) {
			return true
		}
	}
	return false
}

// telling says that an error is a reason, and not only that nobody was there just then.
func telling(err error) bool {
	return errors.Is(err, dump.ErrLocked) || errors.Is(err, ErrLost) ||
		errors.Is(err, bucket.ErrAlreadyRunning) || errors.Is(err, bucket.ErrNameTaken)
}

// because says why there was no answer in time.
func because(ended, last error) error {
	if last == nil {
		return ended
	}
	return fmt.Errorf("%w: %w", ended, last)
}

// askOnce asks whom it takes for the owner.
func askOnce[T any](ctx context.Context, s *seat, question any, patience time.Duration) (T, error) {
	var none T
	who, err := s.find(ctx)
	if err != nil {
		return none, err
	}
	lost := s.losses.at(who.pid.GetAddress())
	if s.owner.Load() != who { // it was lost before, and is not lost again
		return none, fmt.Errorf("%q: %w: its owner has just gone", s.identity, bucket.ErrNotRunning)
	}
	attempt, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	if patience > 0 {
		defer time.AfterFunc(patience, func() { stop(ErrLost) }).Stop()
	}
	go func() {
		select {
		case <-lost:
			stop(ErrLost)
		case <-attempt.Done():
		}
	}()
	reply, err := actor.Ask[any](attempt, s.cluster.ActorSystem, who.pid, question)
	if err != nil && ctx.Err() == nil && attempt.Err() != nil {
		err = ErrLost
	}
	if failed, ok := reply.(bucket.Failed); ok {
		err = failed.Err
	}
	if err != nil {
		if again(err) || errors.Is(err, ErrLost) {
			s.forget(who)
		}
		return none, err
	}
	answer, ok := reply.(T)
	if !ok {
		return none, fmt.Errorf("%w: %q answered with a %T", ErrUnknownMessage, s.identity, reply)
	}
	return answer, nil
}

// find returns the owner. Many may look for it at a time, and one search is made for all of them.
func (s *seat) find(ctx context.Context) (*sitting, error) {
	if who := s.owner.Load(); who != nil {
		return who, nil
	}
	s.mu.Lock()
	looking := s.searching
	if looking == nil {
		looking = &search{over: make(chan struct{})}
		s.searching = looking
		go s.search(looking)
	}
	s.mu.Unlock()
	select {
	case <-looking.over:
		if looking.found == nil {
			return nil, fmt.Errorf("%q: %w: no member of the cluster has it: place it in one", s.identity, bucket.ErrNotRunning)
		}
		return looking.found, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// search is a search for the owner.
type search struct {
	over  chan struct{}
	found *sitting // nil if there is none; to be read when it is over
}

// pauseSearch is how long a look at the cluster may take before another one is made beside it:
// protoactor's own waits five seconds for a member that has just been killed, and does not notice that
// another has taken its place.
const pauseSearch = 250 * time.Millisecond

func (s *seat) search(looking *search) {
	type sight struct {
		pid  *protoactor.PID
		from uint64
	}
	looks := make(chan sight)
	over := make(chan struct{})
	look := func() {
		from := s.losses.now()
		pid := s.cluster.Get(s.identity, s.kind)
		select {
		case looks <- sight{pid, from}:
		case <-over:
		}
	}
	ticker := time.NewTicker(pauseSearch)
	defer ticker.Stop()
	go look()
	for searching := true; searching; {
		select {
		case seen := <-looks:
			if seen.pid != nil {
				who := &sitting{seen.pid, seen.pid.GetAddress() == s.cluster.ActorSystem.Address()}
				s.owner.Store(who)
				if s.losses.since(seen.from, seen.pid.GetAddress()) { // it answered, and was lost then
					s.forget(who)
					go look()
					continue
				}
				looking.found = who
			}
			searching = false
		case <-ticker.C:
			go look()
		}
	}
	close(over)
	s.mu.Lock()
	s.searching = nil
	s.mu.Unlock()
	close(looking.over)
}

// forget has the owner looked up again.
func (s *seat) forget(who *sitting) { s.owner.CompareAndSwap(who, nil) }

// lost has the owner looked up again if it is there.
func (s *seat) lost(address string) {
	if who := s.owner.Load(); who != nil && who.pid.GetAddress() == address {
		s.forget(who)
	}
}

// losses tell when a member is lost: its connection is closed, or the cluster says that it has left.
type losses struct {
	mu        sync.Mutex
	byAddress map[string]chan struct{}     // closed when the member is lost
	count     uint64                       // of all losses
	last      map[string]uint64            // by address, which was the last
	told      map[int]func(address string) // must not block
	tellers   int
}

func newLosses(stream *eventstream.EventStream) *losses {
	l := &losses{byAddress: map[string]chan struct{}{}, last: map[string]uint64{}, told: map[int]func(string){}}
	stream.Subscribe(func(event any) { // for as long as the system lives
		switch event := event.(type) {
		case *remote.EndpointTerminatedEvent:
			l.lose(event.Address)
		case *protocluster.ClusterTopology:
			for _, member := range event.Left {
				l.lose(member.Address())
			}
		}
	})
	return l
}

// at is closed when the member at that address is lost.
func (l *losses) at(address string) <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	lost := l.byAddress[address]
	if lost == nil {
		lost = make(chan struct{})
		l.byAddress[address] = lost
	}
	return lost
}

// now is a moment, for since.
func (l *losses) now() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

// since says whether the member at that address was lost after that moment.
func (l *losses) since(moment uint64, address string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last[address] > moment
}

// tell has somebody told of each loss, until he has had enough.
func (l *losses) tell(told func(address string)) (enough func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tellers++
	number := l.tellers
	l.told[number] = told
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.told, number)
	}
}

// lose is called in the event's turn: it must not block.
func (l *losses) lose(address string) {
	l.mu.Lock()
	lost := l.byAddress[address]
	delete(l.byAddress, address)
	l.count++
	l.last[address] = l.count
	told := slices.Collect(maps.Values(l.told))
	l.mu.Unlock()
	if lost != nil {
		close(lost)
	}
	for _, tell := range told {
		tell(address)
	}
}
