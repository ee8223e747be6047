package supervisor_test

import (
	"bytes"
	"context"
	"fmt"
	"regexp"
	"runtime"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/supervisor"
)

func manyBuckets(n int) ([]numbers, []supervisor.Child) {
	buckets, children := make([]numbers, n), make([]supervisor.Child, n)
	for i := range n {
		buckets[i] = newBucket(fmt.Sprintf("b%d", i))
		children[i] = buckets[i]
	}
	return buckets, children
}

func TestSupervisor_starts_and_stops_a_thousand_buckets(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		buckets, children := manyBuckets(1000)
		system := newSystem()
		heard := listen(system)
		sup := newSupervisor(t, system)
		begun := time.Now()
		require.NoError(t, sup.Start(t.Context(), children...))
		require.Equal(t, children, sup.Children())
		for i, b := range buckets {
			value, err := b.Fetch(t.Context(), "seed")
			require.NoError(t, err)
			require.Equal(t, 4, value)
			require.Equal(t, supervisor.Started{Child: b.Name(), PID: b.PID()}, heard.all[i])
		}
		heard.heard()

		require.NoError(t, sup.Stop(t.Context()))
		assert.Zero(t, time.Since(begun), "nothing in it waits for a clock")
		stopped := heard.heard()
		require.Len(t, stopped, len(buckets))
		for i, b := range buckets {
			require.Nil(t, b.PID())
			require.Equal(t, supervisor.Stopped{Child: b.Name()}, stopped[len(buckets)-1-i], "in reverse")
		}
	})
}

// goroutines counts those of the caller's bubble: the runtime's own come and go.
func goroutines() int {
	stacks := make([]byte, 1<<20)
	stacks = stacks[:runtime.Stack(stacks, true)]
	bubble := regexp.MustCompile(`synctest bubble \d+\]`).Find(stacks) // the caller is the first
	return bytes.Count(stacks, bubble)
}

func TestSupervisor_leaves_no_goroutine(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		system := newSystem()
		settle := func() int {
			time.Sleep(2 * time.Second)
			synctest.Wait()
			return goroutines()
		}
		before := settle()
		buckets, children := manyBuckets(50)
		sup := newSupervisor(t, system, supervisor.MaxRestarts(1, time.Hour))
		for range 3 {
			require.NoError(t, sup.Start(t.Context(), children...))
			require.ErrorIs(t, sup.Start(t.Context(), vetoing("shop")), errClosed)
			idle := settle()
			assert.Equal(t, before, idle, "a child at rest costs no goroutine")
			crash(t, system, buckets[0].PID(), "oops") // it waits for its restart
			crash(t, system, buckets[1].PID(), "oops")
			require.NoError(t, sup.Remove(t.Context(), "b1"))

			hurried, cancel := context.WithCancel(t.Context())
			cancel()
			_ = sup.Stop(hurried)
			require.NoError(t, sup.Stop(t.Context()))
			assert.Equal(t, before, settle())
		}
	})
}
