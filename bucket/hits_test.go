package bucket

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestHitCounter_counts_every_hit_of_every_goroutine(t *testing.T) {
	c := newHitCounter()
	const goroutines, each = 100, 10_000
	var wait sync.WaitGroup
	for range goroutines {
		wait.Go(func() {
			for range each {
				c.add()
			}
		})
	}
	wait.Wait()
	assert.EqualValues(t, goroutines*each, c.sum())
}

func TestHitCounter_gives_goroutines_cells_of_their_own(t *testing.T) {
	c := newHitCounter()
	const goroutines = 16
	var added, wait sync.WaitGroup
	added.Add(goroutines)
	release := make(chan struct{})
	for range goroutines {
		wait.Go(func() {
			c.add()
			added.Done()
			<-release // so that no two of them have the same stack
		})
	}
	added.Wait()
	close(release)
	wait.Wait()
	used := 0
	for i := range c.cells {
		if c.cells[i].hits.Load() > 0 {
			used++
		}
	}
	assert.Greater(t, used, goroutines/2, "few meet")
}
