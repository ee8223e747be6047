//go:build !race

package chaos

import (
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	members = 3
	keys    = 300

	// deadline is that of each call.
	deadline = 4 * time.Second

	// detection is how long the provider may need to notice that a member was killed: it looks twice, and
	// each look may have begun just before.
	detection = 4 * lifeSign
)

func rounds() int {
	if os.Getenv("DATAWORKER_TORTURE") != "" {
		return 20
	}
	return 3
}

// town is a cluster, and what has been written in it.
type town struct {
	t     *testing.T
	ports []int
	alive [members]atomic.Pointer[process]

	calls, failed, lost atomic.Int64
	slowest             atomic.Int64
	mayFail             atomic.Bool

	mu      sync.Mutex
	issued  map[string]int       // by bucket and key, the last version that was asked to be written
	settled map[string]confirmed // and the last of which it is known that it was
	writing map[string]bool      // by somebody just now, or it is not known whether it was written
}

type confirmed struct {
	version int
	at      time.Time
}

func found(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, ports: freePorts(t, 2*members), issued: map[string]int{}, settled: map[string]confirmed{}, writing: map[string]bool{}}
	var starting sync.WaitGroup
	for i := range members {
		starting.Go(func() { w.alive[i].Store(start(t, i, w.ports)) })
	}
	starting.Wait()
	eventually(t, time.Minute, "the cluster does not come to be", w.serves)
	return w
}

func keyOf(i int) string { return fmt.Sprint("key ", i) }

// serves says whether each member answers for all buckets, quickly and without an error.
func (w *town) serves() bool {
	var wrong atomic.Bool
	var asking sync.WaitGroup
	for i := range w.alive {
		p := w.alive[i].Load()
		if p == nil {
			continue
		}
		for _, name := range names {
			asking.Go(func() {
				c := command{Op: "many", Bucket: name, Within: deadline}
				for i := range keys {
					c.Keys = append(c.Keys, keyOf(i))
				}
				o, err := p.ask(c)
				w.check(c, o)
				if err != nil || o.Err != "" || len(o.Values) != keys {
					wrong.Store(true)
				}
			})
		}
	}
	asking.Wait()
	return !wrong.Load()
}

// work asks members at random for random things until stop is closed, and checks each answer.
func (w *town) work(stop chan struct{}, working *sync.WaitGroup, workers int) {
	for range workers {
		working.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if p := w.alive[rand.IntN(members)].Load(); p != nil {
					w.one(p)
				}
			}
		})
	}
}

// one asks one thing. A key is written by one at a time, so that what comes after what is known.
func (w *town) one(p *process) {
	c := command{Bucket: names[rand.IntN(len(names))], Keys: []string{keyOf(rand.IntN(keys))}, Within: deadline}
	switch dice := rand.IntN(100); {
	case dice < 75:
		c.Op = "fetch"
	case dice < 85:
		c.Op = "many"
		for range 20 {
			c.Keys = append(c.Keys, keyOf(rand.IntN(keys)))
		}
	case dice < 99:
		if c.Version = w.issue(c.Bucket, c.Keys[0]); c.Version == 0 {
			return
		}
		c.Op = "set"
	default:
		c.Op = "keys"
	}
	p.using.RLock()
	defer p.using.RUnlock()
	o, err := p.ask(c)
	if err == nil { // or it was killed
		w.check(c, o)
	}
	if c.Op == "set" {
		w.settle(c, err == nil && o.Err == "")
	}
}

// issue is the next version of a key, zero if somebody is writing it, or one may yet come that was lost.
func (w *town) issue(bucket, key string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.writing[bucket+key] {
		return 0
	}
	w.writing[bucket+key] = true
	w.issued[bucket+key]++
	return w.issued[bucket+key]
}

func (w *town) settle(c command, sure bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if sure {
		w.settled[c.Bucket+c.Keys[0]] = confirmed{c.Version, time.Now()}
		delete(w.writing, c.Bucket+c.Keys[0])
	}
}

// check says what is wrong with an answer.
func (w *town) check(c command, o outcome) {
	w.calls.Add(1)
	if took := int64(o.Took); took > w.slowest.Load() {
		w.slowest.Store(took)
	}
	assert.LessOrEqual(w.t, o.Took, c.Within+c.Within/10, "%s of %s", c.Op, c.Bucket)
	if o.Err != "" {
		w.failed.Add(1)
		if o.Lost {
			w.lost.Add(1)
		}
		assert.True(w.t, w.mayFail.Load(), "%s of %s: %s", c.Op, c.Bucket, o.Err)
		if c.Op == "fetch" {
			return
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	for key, value := range o.Values {
		assert.Equal(w.t, key, value.Key, "%s of %s", c.Op, c.Bucket)
		assert.LessOrEqual(w.t, value.Version, w.issued[c.Bucket+key], "%s of %s: nobody has written that", c.Op, c.Bucket)
	}
}

// known are the last versions of a bucket that were written before some moment.
func (w *town) known(bucket string, before time.Time) map[string]int {
	w.mu.Lock()
	defer w.mu.Unlock()
	known := map[string]int{}
	for i := range keys {
		if c, ok := w.settled[bucket+keyOf(i)]; ok && c.at.Before(before) {
			known[keyOf(i)] = c.version
		}
	}
	return known
}

func TestChaos_a_member_is_killed(t *testing.T) {
	w := found(t)
	stop := make(chan struct{})
	var working sync.WaitGroup
	w.work(stop, &working, 12)
	var longest time.Duration
	for round := range rounds() {
		time.Sleep(500 * time.Millisecond)
		before := w.calls.Load()
		victim := rand.IntN(members)
		w.mayFail.Store(true)
		p := w.alive[victim].Swap(nil)
		// What reached the owner of the copies a moment ago has reached the others.
		reached := w.known("copies", time.Now().Add(-100*time.Millisecond))
		p.kill()
		took := eventually(t, detection+2*time.Second, "the service is not back", w.serves)
		longest = max(longest, took)
		t.Logf("round %d: member %d was killed; back after %v; %d calls since", round+1, victim, took.Round(time.Millisecond), w.calls.Load()-before)
		w.outlived(reached)

		w.alive[victim].Store(start(t, victim, w.ports))
		eventually(t, 10*time.Second, "the member does not come back", w.serves)
		w.mayFail.Store(false)
	}
	close(stop)
	working.Wait()
	t.Logf("%d calls, of which %d failed while a member was gone (%d of them writes that may have been made); slowest %v; longest outage %v",
		w.calls.Load(), w.failed.Load(), w.lost.Load(), time.Duration(w.slowest.Load()).Round(time.Millisecond), longest.Round(time.Millisecond))
}

// outlived asserts that no copy has an older value than what was known.
func (w *town) outlived(known map[string]int) {
	w.t.Helper()
	for i := range w.alive {
		p := w.alive[i].Load()
		if p == nil {
			continue
		}
		c := command{Op: "many", Bucket: "copies", Within: deadline}
		for key := range known {
			c.Keys = append(c.Keys, key)
		}
		missing := map[string]string{}
		eventually(w.t, 3*time.Second, "what was written before is not in a copy", func() bool {
			o, err := p.ask(c)
			require.NoError(w.t, err)
			clear(missing)
			for key, version := range known {
				if got := o.Values[key].Version; got < version {
					missing[key] = fmt.Sprintf("%d and not %d", got, version)
				}
			}
			return len(missing) == 0
		})
	}
}

func TestChaos_a_member_leaves(t *testing.T) {
	w := found(t)
	stop := make(chan struct{})
	var working sync.WaitGroup
	w.work(stop, &working, 12)
	for round := range rounds() {
		time.Sleep(500 * time.Millisecond)
		who := rand.IntN(members)
		p := w.alive[who].Swap(nil)
		before := w.calls.Load()
		p.using.Lock() // what it was asked for, it has answered
		reached := w.known("copies", time.Now())
		_, err := p.ask(command{Op: "leave"})
		p.using.Unlock()
		require.NoError(t, err)
		p.kill()
		require.True(t, w.serves())
		w.outlived(reached)
		w.alive[who].Store(start(t, who, w.ports))
		eventually(t, 10*time.Second, "the member does not come back", w.serves)
		t.Logf("round %d: member %d left and came back; %d calls since", round+1, who, w.calls.Load()-before)
	}
	close(stop)
	working.Wait()
	t.Logf("%d calls, of which %d failed; slowest %v", w.calls.Load(), w.failed.Load(), time.Duration(w.slowest.Load()).Round(time.Millisecond))
	assert.Zero(t, w.failed.Load(), "a member that leaves costs no call")
}
