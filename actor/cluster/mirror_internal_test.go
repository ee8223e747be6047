package cluster

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

func opening(session uint64, entries ...entry) page {
	return page{Session: session, Run: session, Complete: true, Entries: entries}
}

func mirrorOf(t *testing.T, parts int, maxAge time.Duration) *mirror[string, int] {
	t.Helper()
	null, _ := logtest.NewNullLogger()
	m := newMirror[string, int](&Border{system: actor.NewSystem(null), log: null}, "numbers", parts, maxAge)
	t.Cleanup(m.close)
	return m
}

func TestMirror_does_not_keep_what_has_changed_on_its_way(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := mirrorOf(t, 2, time.Hour)
		fetch := func(key string, part int, during func()) (kept bool) {
			got, err := m.fetch(key, part, func() (int, error) {
				if during != nil {
					during()
				}
				return 1, nil
			})
			require.NoError(t, err)
			require.Equal(t, 1, got)
			_, kept = m.get(key)
			return kept
		}
		assert.False(t, fetch("a", 0, nil), "nobody would say that it changes")
		require.True(t, m.feeds[0].hear(opening(1)))
		assert.True(t, fetch("a", 0, nil))
		assert.False(t, fetch("b", 1, nil), "of a part that is not heard")

		change := func(number uint64, key string) page {
			return page{Session: 1, Run: 1, Number: number, Entries: []entry{{Key: key}}}
		}
		assert.False(t, fetch("c", 0, func() { m.feeds[0].hear(change(1, "c")) }))
		assert.True(t, fetch("c", 0, func() { m.feeds[0].hear(change(2, "other")) }))
		assert.False(t, fetch("d", 0, func() { m.feeds[0].begun() }), "the owner is lost")
		require.True(t, m.feeds[0].hear(opening(2)))
		_, kept := m.get("a")
		assert.False(t, kept, "it may have changed since the session before")
		assert.False(t, fetch("e", 0, func() { m.feeds[0].begun(); m.feeds[0].hear(opening(3)) }), "another session")
		assert.False(t, fetch("f", 0, func() { m.forget("f") }), "written here")

		// One that began after the change is kept, though the one before it is not over.
		fetch("g", 0, func() {
			m.feeds[0].hear(change(3, "g"))
			assert.True(t, fetch("g", 0, nil))
		})
		assert.False(t, fetch("slow", 0, func() { time.Sleep(time.Hour / 8) }), "nobody knows how old it is")
		_, err := m.fetch("h", 0, func() (int, error) { return 0, errors.New("down") })
		require.Error(t, err)
		_, kept = m.get("h")
		assert.False(t, kept)
		assert.Empty(t, m.fetches)
	})
}

func TestMirror_never_keeps_longer_than_it_may(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const maxAge = time.Second
		m := mirrorOf(t, 1, maxAge)
		m.feeds[0].hear(opening(1))
		for i := range 40 { // at any moment of a tick
			time.Sleep(time.Duration(i) * 7 * time.Millisecond)
			key := fmt.Sprint(i)
			_, err := m.fetch(key, 0, func() (int, error) { return 1, nil })
			require.NoError(t, err)
			time.Sleep(maxAge * 3 / 4)
			_, kept := m.get(key)
			assert.True(t, kept, "three quarters of the age")
			time.Sleep(maxAge / 4)
			synctest.Wait()
			_, kept = m.get(key)
			assert.False(t, kept)
		}
		time.Sleep(2 * maxAge)
		synctest.Wait()
		assert.Zero(t, m.shelf.Load().size(), "swept out")
	})
}

func TestMirror_shows_a_copy_when_it_is_complete(t *testing.T) {
	m := mirrorOf(t, 1, 0)
	feed := m.feeds[0]
	incomplete := func(session, number uint64, entries ...entry) page {
		return page{Session: session, Number: number, Run: session, Entries: entries}
	}
	require.True(t, feed.hear(incomplete(1, 0, entry{Key: "a", Value: 1}, entry{Key: "b", Value: 1})))
	assert.Nil(t, m.whole())
	last := incomplete(1, 1, entry{Key: "a", Value: 2}, entry{Key: "b", Removed: true})
	last.Complete, last.To = true, 7
	require.True(t, feed.hear(last))
	at := m.position()
	assert.False(t, at.heard.IsZero())
	at.heard = time.Time{}
	assert.Equal(t, position{Run: 1, Seq: 7, Live: true}, at)
	value, ok := m.get("a")
	assert.True(t, ok)
	assert.Equal(t, 2, value)
	_, ok = m.get("b")
	assert.False(t, ok)
	require.True(t, feed.hear(incomplete(1, 2, entry{Key: "c", Value: 3})))
	_, ok = m.get("c")
	assert.True(t, ok, "a change")

	feed.begun()
	assert.Error(t, m.ready(cancelled()))
	require.True(t, feed.hear(incomplete(2, 0, entry{Key: "d", Value: 4})))
	_, ok = m.get("c")
	assert.True(t, ok, "the old copy serves")
	_, ok = m.get("d")
	assert.False(t, ok)
	last = incomplete(2, 1)
	last.Complete = true
	require.True(t, feed.hear(last))
	_, ok = m.get("c")
	assert.False(t, ok)
	_, ok = m.get("d")
	assert.True(t, ok)
	require.NoError(t, m.ready(cancelled()))

	assert.False(t, feed.hear(incomplete(2, 2, entry{Key: 7, Value: 1})), "a key of another type")
	assert.False(t, feed.hear(incomplete(2, 2, entry{Key: "e", Value: "text"})), "a value of another type")
}

func cancelled() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// script is a listener.
type script struct {
	mu     sync.Mutex
	heard  []uint64
	begins int
}

func (s *script) begun() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begins++
}

func (s *script) hear(p page) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.heard = append(s.heard, p.Number)
	return true
}

func TestFollower_begins_again_when_something_is_missing(t *testing.T) {
	for name, tt := range map[string]struct {
		page   page
		heard  bool
		begins int
	}{
		"the next":                {page{Number: 2, From: 5, To: 6}, true, 0},
		"the one before":          {page{Number: 1, From: 4, To: 5}, true, 0},
		"a page is missing":       {page{Number: 3, From: 5, To: 6}, false, 1},
		"a change is missing":     {page{Number: 2, From: 6, To: 7}, false, 1},
		"a session before":        {page{Session: 99, Number: 2, From: 5, To: 6}, false, 0},
		"a page without a change": {page{Number: 2, From: 5, To: 5}, true, 0},
	} {
		t.Run(name, func(t *testing.T) {
			s := &script{}
			f := &follower{mirror: s, session: 1, seat: &seat{}}
			f.attempts, f.stop = context.WithCancel(t.Context())
			f.restart = func() { f.mirror.begun() }
			assert.Equal(t, heard{1}, f.hear(page{Session: 1, From: 3, To: 4}))
			assert.Equal(t, heard{1}, f.hear(page{Session: 1, Number: 1, From: 4, To: 5}))
			if tt.page.Session == 0 {
				tt.page.Session = 1
			}
			assert.Equal(t, tt.heard, f.hear(tt.page) == heard{1})
			assert.Equal(t, tt.begins, s.begins)
		})
	}
}

// reader is an actor that answers pages, and may leave some out.
type reader struct {
	pages  chan page
	answer func(p page) any
}

func (r *reader) Receive(ctx protoactor.Context) {
	if p, ok := ctx.Message().(page); ok {
		r.pages <- p
		ctx.Respond(r.answer(p))
	}
}

// leadTo carries a bucket to a reader.
func leadTo(
	t *testing.T, b *bucket.Bucket[string, int], f follow, answer func(p page) any,
) (pages chan page, over chan bool, stop func()) {
	t.Helper()
	null, _ := logtest.NewNullLogger()
	system := actor.NewSystem(null)
	sup := supervisor.New(system, supervisor.Logger(null))
	require.NoError(t, sup.Start(t.Context(), b))
	t.Cleanup(func() { require.NoError(t, sup.Stop(context.Background())) })
	r := &reader{pages: make(chan page, 1000), answer: answer}
	pid := system.Root.Spawn(protoactor.PropsFromProducer(func() protoactor.Actor { return r }))
	t.Cleanup(func() { system.Root.Stop(pid) })
	over = make(chan bool, 1)
	go func() {
		over <- lead(t.Context(), &Border{system: system, log: null, losses: newLosses(system.EventStream)}, b, pid, f, 9)
	}()
	return r.pages, over, func() { require.NoError(t, sup.Stop(context.Background())) }
}

func numbers(n int) *bucket.Bucket[string, int] {
	null, _ := logtest.NewNullLogger()
	return bucket.New("numbers", seeded(n), bucket.Logger(null))
}

func TestLead_sends_all_and_then_what_changes(t *testing.T) {
	b := numbers(1000)
	pages, over, stop := leadTo(t, b, follow{Session: 5, Whole: true}, func(page) any { return heard{5} })
	m := mirrorOf(t, 1, 0)
	next, seq := uint64(0), uint64(0)
	take := func() page {
		p := <-pages
		assert.EqualValues(t, 5, p.Session)
		assert.EqualValues(t, 9, p.Run)
		assert.Equal(t, next, p.Number)
		assert.Equal(t, seq, p.From)
		next, seq = p.Number+1, p.To
		require.True(t, m.feeds[0].hear(p))
		return p
	}
	for complete := false; !complete; {
		complete = take().Complete
	}
	assert.Equal(t, 1000, m.whole().size())
	require.NoError(t, b.DirectSet(t.Context(), "a", 7))
	require.NoError(t, b.Delete(t.Context(), "key 1"))
	for seq < b.Seq() {
		assert.False(t, take().Complete, "once")
	}
	value, _ := m.get("a")
	assert.Equal(t, 7, value)
	_, ok := m.get("key 1")
	assert.False(t, ok)
	took := time.Now()
	assert.Empty(t, take().Entries, "a heartbeat")
	assert.Less(t, time.Since(took), silence)
	stop()
	assert.True(t, <-over, "there is nothing to follow any more")
}

// What is written while the copy is made is in there when it is said to be complete.
func TestLead_completes_a_copy_with_all_that_came_before_its_end(t *testing.T) {
	const writes = 3 * pageSize
	b := numbers(1000)
	pages, _, _ := leadTo(t, b, follow{Session: 5, Whole: true}, func(p page) any {
		if p.Number == 0 {
			for i := range writes {
				assert.NoError(t, b.DirectSet(context.Background(), fmt.Sprint("written ", i), i))
			}
		}
		return heard{5}
	})
	for p := range pages {
		if p.Complete {
			assert.GreaterOrEqual(t, p.To, uint64(writes))
			break
		}
		assert.Less(t, p.To, uint64(writes))
	}
}

func TestLead_sends_only_the_keys_of_changes_to_who_wants_no_copy(t *testing.T) {
	b := numbers(10)
	pages, _, _ := leadTo(t, b, follow{Session: 5}, func(page) any { return heard{5} })
	first := <-pages
	assert.Empty(t, first.Entries)
	assert.True(t, first.Complete)
	require.NoError(t, b.DirectSet(t.Context(), "key 1", 70))
	assert.Equal(t, []entry{{Key: "key 1"}}, (<-pages).Entries)
}

func TestLead_ends_when_nobody_follows(t *testing.T) {
	for name, reply := range map[string]any{
		"another session": heard{6},
		"nothing of ours": bucket.Done{},
		"a failure":       bucket.Failed{Err: bucket.ErrBusy},
	} {
		t.Run(name, func(t *testing.T) {
			_, over, _ := leadTo(t, numbers(10), follow{Session: 5, Whole: true}, func(page) any { return reply })
			assert.False(t, <-over)
		})
	}
}

func TestLead_leaves_out_what_cannot_be_carried(t *testing.T) {
	const poison = "key 333"
	for name, refusal := range map[string]error{"too large": ErrTooLarge, "not carried": ErrNotCarried} {
		t.Run(name, func(t *testing.T) {
			m := mirrorOf(t, 1, 0)
			leadTo(t, numbers(1000), follow{Session: 5, Whole: true}, func(p page) any {
				for _, e := range p.Entries {
					if e.Key == poison && !e.Removed {
						return bucket.Failed{Err: refusal}
					}
				}
				if !m.feeds[0].hear(p) {
					return heard{}
				}
				return heard{5}
			})
			require.NoError(t, m.ready(t.Context()))
			assert.Equal(t, 999, m.whole().size())
			_, ok := m.get(poison)
			assert.False(t, ok)
		})
	}
}

func TestBacklog_is_bounded(t *testing.T) {
	b := newBacklog[string, int]()
	for range mostBehind - 1 {
		require.True(t, b.add(bucket.Change[string, int]{}))
	}
	assert.False(t, b.add(bucket.Change[string, int]{}))
	b.close()
	changes, over := b.take(10)
	assert.Len(t, changes, 10)
	assert.True(t, over)
}
