package cluster

import (
	"context"
	"iter"
	"sync"
	"sync/atomic"
	"time"

	"github.com/puzpuzpuz/xsync/v4"
)

// mirror is what a handle keeps of a bucket in this member: a full copy, or what was fetched lately.
// It is told of changes by a follower for each part.
//
//	follower ──page──▶ mirror ◀──look-up── Fetch
//
// Look-ups read the table without a lock. All else is guarded by one.
type mirror[K comparable, V any] struct {
	maxAge time.Duration // of what was fetched; zero for a full copy
	clock  *coarseClock  // nil for a full copy

	table atomic.Pointer[xsync.Map[K, kept[V]]]

	mu      sync.Mutex
	feeds   []*feed[K, V]
	fetches map[K]*fetching
	moved   chan struct{} // closed at the next step of any feed
}

// kept is a value, and when it was asked for.
type kept[V any] struct {
	value V
	at    int64 // of the clock
}

// feed is what a mirror knows of one part. It is the follower's listener.
type feed[K comparable, V any] struct {
	mirror *mirror[K, V]
	part   int

	live     bool // nothing is missing
	session  uint64
	run, seq uint64
	heard    time.Time
	incoming *xsync.Map[K, kept[V]] // of a copy that is not complete yet
}

// fetching is a value on its way. Several may fetch it.
type fetching struct {
	feed    int
	session uint64
	many    int
	stale   bool // it has changed meanwhile
}

func newMirror[K comparable, V any](parts int, maxAge time.Duration) *mirror[K, V] {
	m := &mirror[K, V]{maxAge: maxAge, fetches: map[K]*fetching{}, moved: make(chan struct{})}
	for i := range parts {
		m.feeds = append(m.feeds, &feed[K, V]{mirror: m, part: i})
	}
	if maxAge > 0 {
		m.table.Store(xsync.NewMap[K, kept[V]]())
		m.clock = newCoarseClock(maxAge, m.sweep)
	}
	return m
}

func (m *mirror[K, V]) close() {
	if m.clock != nil {
		m.clock.stop()
	}
}

// get is a look-up. It costs no lock.
func (m *mirror[K, V]) get(key K) (V, bool) {
	if table := m.table.Load(); table != nil {
		if k, ok := table.Load(key); ok && (m.clock == nil || m.clock.young(k.at)) {
			return k.value, true
		}
	}
	var none V
	return none, false
}

// whole is the copy, if there is one.
func (m *mirror[K, V]) whole() *xsync.Map[K, kept[V]] {
	if m.clock != nil {
		return nil
	}
	return m.table.Load()
}

// all is what is kept.
func (m *mirror[K, V]) all() iter.Seq2[K, V] {
	return func(yield func(K, V) bool) {
		for key, k := range m.table.Load().All() {
			if !yield(key, k.value) {
				return
			}
		}
	}
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
	if p.Number == 0 {
		f.open(p)
	}
	if m.clock == nil {
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
		if f.incoming != nil {
			m.table.Store(f.incoming)
			f.incoming = nil
		}
		f.live = true
	}
	f.run, f.seq, f.heard = p.Run, p.To, time.Now()
	m.step()
	return true
}

// open begins a session. What was fetched may have changed since the one before.
func (f *feed[K, V]) open(p page) {
	f.session = p.Session
	if f.mirror.clock == nil {
		f.incoming = xsync.NewMap[K, kept[V]]()
		return
	}
	f.mirror.table.Store(xsync.NewMap[K, kept[V]]())
}

// take puts the entries of a page into the copy.
func (f *feed[K, V]) take(p page) bool {
	into := f.incoming
	if into == nil {
		into = f.mirror.table.Load()
	}
	for _, e := range p.Entries {
		key, ok := typed[K](e.Key)
		if !ok {
			return false
		}
		if e.Removed {
			into.Delete(key)
			continue
		}
		value, ok := typed[V](e.Value)
		if !ok {
			return false
		}
		into.Store(key, kept[V]{value: value})
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
	m.table.Load().Delete(key)
	if f := m.fetches[key]; f != nil {
		f.stale = true
		delete(m.fetches, key)
	}
}

// sweep forgets what is too old. What has just been fetched again may go with it.
func (m *mirror[K, V]) sweep() {
	table := m.table.Load()
	for key, k := range table.All() {
		if !m.clock.young(k.at) {
			table.Delete(key)
		}
	}
}

// forget is drop for who has changed the key.
func (m *mirror[K, V]) forget(key K) {
	if m.clock == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.drop(key)
}

// fetch keeps what get brings, unless it changes meanwhile, or nobody would say so.
func (m *mirror[K, V]) fetch(key K, part int, get func() (V, error)) (V, error) {
	if m.clock == nil {
		return get()
	}
	f := m.begin(key, part)
	if f == nil {
		return get()
	}
	asked := m.clock.now()
	value, err := get()
	m.end(key, f, kept[V]{value, asked}, err == nil)
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
	if f == nil || f.session != from.session {
		f = &fetching{feed: part, session: from.session}
		m.fetches[key] = f
	}
	f.many++
	return f
}

func (m *mirror[K, V]) end(key K, f *fetching, value kept[V], found bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if from := m.feeds[f.feed]; found && !f.stale && from.live && from.session == f.session {
		m.table.Load().Store(key, value)
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
		return f.live && f.run == change.Run && f.seq >= change.Seq || !f.live && m.clock != nil
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
