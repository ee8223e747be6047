package bucket_test

import (
	"context"
	"maps"
	"runtime"
	"sync"
	"testing"
	"weak"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// goods is a value whose memory can be seen to be given back.
type goods struct {
	Number int
	_      *int // what has no pointers may share its memory with others
}

type goodsChange = bucket.Change[int, *goods]

// Keys of goods are not negative, but for that which ends a series of changes.
const endOfSeries = -1

// follower is a watcher that reads. It sums up what it is told, so that two can be compared.
type follower struct {
	changes int
	gaps    int // in the numbers, and Missed
	last    uint64
	digest  uint64
	content map[int]int // nil if it does not keep any
}

func (f *follower) hear(c goodsChange) {
	if c.Kind == bucket.Missed || c.Seq != f.last+1 {
		f.gaps++
	}
	f.changes++
	f.last = c.Seq
	f.digest = f.digest*31 + uint64(c.Key)<<8 + uint64(c.Kind)
	if c.New != nil {
		f.digest += uint64(c.New.Number) << 24
	}
	switch {
	case f.content == nil:
	case c.New != nil:
		f.content[c.Key] = c.New.Number
	default:
		delete(f.content, c.Key)
	}
}

// A watcher that never reads costs the others nothing, and the bucket no more than a bounded part
// of the past. When it reads after all, it is told that it has missed something, and then what
// came after that.
func TestWatch_by_a_thousand_of_whom_one_never_reads(t *testing.T) {
	const (
		keys         = 1 << 14
		publications = 5 // just more than a watcher may be behind
		writes       = 100
		forgotten    = 4 // generations that are part of no change which may still be read
	)
	watchers := 1000
	if racing {
		watchers = 200
	}
	source := &goodsSource{keys: keys, traced: forgotten}
	b := bucket.New("goods", loader.Funcs[int, *goods]{
		LoadFunc:    func(context.Context, int) (*goods, error) { return nil, loader.ErrNotFound },
		InitFunc:    source.everything,
		LoadAllFunc: source.everything,
	}, quiet(), bucket.RefreshEvery(0))
	_, sup := start(t, b)
	ctx := context.Background()

	asleep := b.Watch(ctx)
	followers := make([]follower, watchers-1)
	followers[0].content = source.first()
	ready := make(chan struct{}, len(followers)) // with a series, or with a gap
	var all sync.WaitGroup
	for i := range followers {
		f, changes := &followers[i], b.Watch(ctx)
		all.Go(func() {
			for c := range changes {
				if f.hear(c); c.Key == endOfSeries && c.Kind == bucket.Added || c.Kind == bucket.Missed {
					ready <- struct{}{}
				}
			}
		})
	}
	for series := range publications {
		_, err := b.Refresh(ctx)
		require.NoError(t, err)
		for i := range writes {
			require.NoError(t, b.DirectSet(ctx, keys+i, &goods{Number: i}))
		}
		for i := range writes {
			require.NoError(t, b.Delete(ctx, keys+i))
		}
		// Nobody but the one who is asleep is far behind.
		require.NoError(t, b.DirectSet(ctx, endOfSeries, &goods{Number: -series}))
		for range followers {
			<-ready
		}
	}
	assert.Zero(t, source.alive(), "values of generations that nobody can read any more")

	// A refresh removes what ended the series before: the source does not have it.
	last := uint64(publications*(keys+2*writes+1) + publications - 1)
	content := map[int]int{}
	for key, value := range b.All() {
		content[key] = value.Number
	}
	heard := followers[0].last // nothing comes after that
	late := follower{content: maps.Clone(content)}
	for c := range asleep {
		if late.last == 0 {
			require.Equal(t, bucket.Missed, c.Kind)
			require.Greater(t, c.Seq, uint64(1<<16))
			require.LessOrEqual(t, c.Generation, b.Snapshot().Generation())
			late.last = c.Seq
			continue
		}
		if late.hear(c); late.last >= heard {
			break
		}
	}
	assert.Zero(t, late.gaps)
	assert.Equal(t, content, late.content)

	require.NoError(t, sup.Stop(ctx)) // ends the watches, when all was read
	all.Wait()
	for i, f := range followers {
		require.Zero(t, f.gaps, "watcher %d", i)
		require.EqualValues(t, last, f.changes, "watcher %d", i)
		require.Equal(t, followers[0].digest, f.digest, "watcher %d", i)
	}
	assert.Equal(t, content, followers[0].content)
}

// goodsSource gives other values each time. It traces what becomes of those of its first answers.
type goodsSource struct {
	keys, traced int

	mu      sync.Mutex
	answers int
	traces  []weak.Pointer[goods]
}

func (s *goodsSource) everything(context.Context) (map[int]*goods, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers++
	all := make(map[int]*goods, s.keys)
	for key := range s.keys {
		all[key] = &goods{Number: s.answers}
		if s.answers <= s.traced {
			s.traces = append(s.traces, weak.Make(all[key]))
		}
	}
	return all, nil
}

// first is what the bucket starts with.
func (s *goodsSource) first() map[int]int {
	first := map[int]int{}
	for key := range s.keys {
		first[key] = 1
	}
	return first
}

// alive counts the traced values that somebody holds on to.
func (s *goodsSource) alive() (n int) {
	runtime.GC()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, trace := range s.traces {
		if trace.Value() != nil {
			n++
		}
	}
	return n
}
