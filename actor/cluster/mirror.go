package cluster

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
)

// mirror is what a handle keeps of a bucket in this member: a full copy, or what was fetched lately.
// It is told of changes by a follower for each part.
//
//	follower ──page──▶ mirror ◀──look-up── Fetch
//
// Look-ups read the table without a lock. All else is guarded by one.
type mirror[K comparable, V any] struct {
	maxAge time.Duration // of what was fetched; zero for a full copy

	shelf  atomic.Pointer[shelf[K, V]] // nil before there is anything to keep
	system *protoactor.ActorSystem
	log    logrus.FieldLogger
	name   string // of the bucket

	mu      sync.Mutex
	feeds   []*feed[K, V]
	fetches map[K]*fetching
	moved   chan struct{} // closed at the next step of any feed
	closed  bool
	stop    chan struct{} // of the sweeps
}

// feed is what a mirror knows of one part. It is the follower's listener.
type feed[K comparable, V any] struct {
	mirror *mirror[K, V]
	part   int

	live     bool // nothing is missing
	session  uint64
	run, seq uint64
	heard    time.Time
	incoming map[K]V // a copy that is not complete yet
}

// fetching is a value on its way. Several may fetch it.
type fetching struct {
	feed    int
	session uint64
	asked   time.Time // first
	many    int
	stale   bool // it has changed meanwhile
}

func newMirror[K comparable, V any](border *Border, name string, parts int, maxAge time.Duration) *mirror[K, V] {
	m := &mirror[K, V]{
		maxAge: maxAge, system: border.system, log: border.log, name: name, fetches: map[K]*fetching{}, moved: make(chan struct{}),
	}
	for i := range parts {
		m.feeds = append(m.feeds, &feed[K, V]{mirror: m, part: i})
	}
	if maxAge > 0 {
		m.stop = make(chan struct{})
		go m.sweep()
	}
	return m
}

func (m *mirror[K, V]) close() {
	if m.maxAge > 0 {
		close(m.stop)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed = true
	m.shelf.Swap(nil).drop()
}

// keep has other values kept, in place of all that were.
func (m *mirror[K, V]) keep(entries map[K]V) bool {
	if m.closed {
		return false
	}
	s, err := newShelf(m.system, m.log, "dataworker.kept."+m.name, entries) // it waits for nobody
	if err != nil {
		return false
	}
	m.shelf.Swap(s).drop()
	return true
}

// get is a look-up. It costs no lock.
func (m *mirror[K, V]) get(key K) (V, bool) {
	if s := m.shelf.Load(); s != nil {
		return s.bucket.DirectGet(key)
	}
	var none V
	return none, false
}

// whole is the copy, if there is one.
func (m *mirror[K, V]) whole() *shelf[K, V] {
	if m.maxAge > 0 {
		return nil
	}
	return m.shelf.Load()
}

// position is how far the mirror has come, if it is of one part.
func (m *mirror[K, V]) position() position {
	m.mu.Lock()
	defer m.mu.Unlock()
	f := m.feeds[0]
	return position{f.run, f.seq, f.live, f.heard}
}

// begun implements listener.
func (f *feed[K, V]) begun() {
	m := f.mirror
	m.mu.Lock()
	defer m.mu.Unlock()
	f.live, f.incoming = false, nil
	m.step()
}

// hear implements listener.
func (f *feed[K, V]) hear(p page) bool {
	m := f.mirror
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed || p.Number == 0 && !f.open(p) {
		return false
	}
	if m.maxAge == 0 {
		if !f.take(p) {
			return false
		}
	} else {
		for _, e := range p.Entries {
			if key, ok := typed[K](e.Key); ok {
				m.drop(key)
			}
		}
	}
	if p.Complete {
		if f.incoming != nil && !m.keep(f.incoming) {
			return false
		}
		f.incoming, f.live = nil, true
	}
	f.run, f.seq, f.heard = p.Run, p.To, time.Now()
	m.step()
	return true
}

// open begins a session. What was fetched may have changed since the one before.
func (f *feed[K, V]) open(p page) bool {
	f.session = p.Session
	if f.mirror.maxAge > 0 {
		return f.mirror.keep(nil)
	}
	f.incoming = map[K]V{}
	return true
}

// take puts the entries of a page into the copy.
func (f *feed[K, V]) take(p page) bool {
	put := func(key K, value V) { f.incoming[key] = value }
	remove := func(key K) { delete(f.incoming, key) }
	if f.incoming == nil {
		s := f.mirror.shelf.Load()
		put, remove = s.put, s.remove
	}
	for _, e := range p.Entries {
		key, ok := typed[K](e.Key)
		if !ok {
			return false
		}
		if e.Removed {
			remove(key)
			continue
		}
		value, ok := typed[V](e.Value)
		if !ok {
			return false
		}
		put(key, value)
	}
	return true
}

// step wakes those who wait for one. The caller holds the lock.
func (m *mirror[K, V]) step() {
	close(m.moved)
	m.moved = make(chan struct{})
}

// drop forgets a key that has changed, also if it is on its way: nobody knows whether it was asked for
// before or after. One that is loaded for a fetch changes by that, and is kept from the next fetch on.
// The caller holds the lock.
func (m *mirror[K, V]) drop(key K) {
	if s := m.shelf.Load(); s != nil {
		s.remove(key)
	}
	if f := m.fetches[key]; f != nil {
		f.stale = true
		delete(m.fetches, key)
	}
}

// sweepsInAge is how often in the maximum age what is too old is removed. It may have been on its way for
// one of these times when it was put there, and stays for another one until it is noticed.
const sweepsInAge = 16

// sweep removes what is too old, so that look-ups need no clock: to ask it takes longer than they do.
func (m *mirror[K, V]) sweep() {
	pause := max(m.maxAge/sweepsInAge, time.Millisecond)
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			if s := m.shelf.Load(); s != nil {
				s.sweep(time.Now().Add(2*pause - m.maxAge))
			}
		case <-m.stop:
			return
		}
	}
}

// forget is drop for who has changed the key.
func (m *mirror[K, V]) forget(key K) {
	if m.maxAge == 0 {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
}

// fetch keeps what get brings, unless it changes meanwhile, or nobody would say so.
func (m *mirror[K, V]) fetch(key K, part int, get func() (V, error)) (V, error) {
	if m.maxAge == 0 {
		return get()
	}
	f := m.begin(key, part)
	if f == nil {
		return get()
	}
	value, err := get()
	m.end(key, f, value, err == nil)
	return value, err
}

func (m *mirror[K, V]) begin(key K, part int) *fetching {
	m.mu.Lock()
	defer m.mu.Unlock()
	from := m.feeds[part]
	if !from.live {
		return nil
	}
	f := m.fetches[key]
	if f == nil || f.session != from.session || time.Since(f.asked) > m.maxAge/sweepsInAge {
		f = &fetching{feed: part, session: from.session, asked: time.Now()}
		m.fetches[key] = f
	}
	f.many++
	return f
}

func (m *mirror[K, V]) end(key K, f *fetching, value V, found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if from := m.feeds[f.feed]; found && !f.stale && !m.closed && time.Since(f.asked) <= m.maxAge/sweepsInAge && from.live && from.session == f.session {
		m.shelf.Load().put(key, value)
	}
	if f.many--; f.many == 0 && m.fetches[key] == f {
		delete(m.fetches, key)
	}
}

// mostCatchUp bounds how long a writer waits for its own write to come back. It does not while the owner
// changes: the mirror may follow one of them, and the other have made the write.
const mostCatchUp = 2 * heartbeat

// catchUp waits until a change of a part is in the mirror. It gives up when ctx ends, or nothing is heard.
func (m *mirror[K, V]) catchUp(ctx context.Context, part int, change position) {
	patient, stop := context.WithTimeout(ctx, mostCatchUp)
	defer stop()
	_ = m.await(patient, func() bool {
		f := m.feeds[part]
		return f.live && f.run == change.Run && f.seq >= change.Seq || !f.live && m.maxAge > 0
	})
}

// ready waits until nothing is missing.
func (m *mirror[K, V]) ready(ctx context.Context) error {
	return m.await(ctx, func() bool {
		for _, f := range m.feeds {
			if !f.live {
				return false
			}
		}
		return true
	})
}

// await waits until something is so; it is asked with the lock held.
func (m *mirror[K, V]) await(ctx context.Context, so func() bool) error {
	for {
		m.mu.Lock()
		done, moved := so(), m.moved
		m.mu.Unlock()
		if done {
			return nil
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// typed gives a key or value its type. Nil is that of an interface.
func typed[T any](value any) (T, bool) {
	t, ok := value.(T)
	return t, ok || value == nil
}
