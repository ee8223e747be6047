package dumptest

import (
	"slices"
	"sync"
	"sync/atomic"
)

// pauses are the calls that are to be held.
type pauses struct {
	mu   sync.Mutex // held to change list
	list atomic.Pointer[[]*pause]
}

type pause struct {
	kinds   Kind
	left    atomic.Int64 // calls until the one to hold
	reached chan struct{}
	resumed chan struct{}
}

// Pause holds the nth call of these kinds from now, from 1, before it does anything.
// Then reached is closed; the call goes on after resume. What a Sync or a SyncDir
// saves is settled before it is held, so that what is written meanwhile is not saved
// by it. Resume may be called sooner, then nothing is held; and more than once.
func (i *Injected) Pause(kinds Kind, nth int) (reached <-chan struct{}, resume func()) {
	p := &pause{kinds: kinds, reached: make(chan struct{}), resumed: make(chan struct{})}
	p.left.Store(int64(nth))
	i.pauses.change(func(list []*pause) []*pause { return append(list, p) })
	return p.reached, sync.OnceFunc(func() {
		i.pauses.change(func(list []*pause) []*pause {
			return slices.DeleteFunc(list, func(other *pause) bool { return other == p })
		})
		close(p.resumed)
	})
}

func (p *pauses) change(how func([]*pause) []*pause) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []*pause
	if before := p.list.Load(); before != nil {
		list = slices.Clone(*before)
	}
	list = how(list)
	p.list.Store(&list)
}

// wait blocks while the call is held.
func (p *pauses) wait(kind Kind) {
	list := p.list.Load()
	if list == nil {
		return
	}
	for _, pause := range *list {
		if pause.kinds&kind != 0 && pause.left.Add(-1) == 0 {
			close(pause.reached)
			<-pause.resumed
		}
	}
}
