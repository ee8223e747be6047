package bucket_test

import (
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
)

func TestSet_overtakes_a_load_that_is_under_way(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		waiting := fetch(t.Context(), b, "a")
		synctest.Wait()

		require.NoError(t, b.DirectSet(t.Context(), "a", 2))
		assert.Equal(t, got{2, nil}, <-waiting, "those who wait get the set value, at once")
		open()
		synctest.Wait()
		value, ok := b.DirectGet("a")
		assert.True(t, ok)
		assert.Equal(t, 2, value, "the load's is dropped")
		entry, _ := b.Entry("a")
		assert.Equal(t, bucket.SourceSet, entry.Source)
	})
}

func TestSet_before_a_load_is_refreshed_by_it(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", newSource(map[string]int{"a": 1}), quiet())
		start(t, b)
		require.NoError(t, b.DirectSet(t.Context(), "a", 2))
		value, err := b.RefreshKey(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
		value, _ = b.DirectGet("a")
		assert.Equal(t, 1, value)
	})
}

func TestSet_answers_those_whose_load_has_not_begun_and_makes_it_needless(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet(), bucket.MaxConcurrentLoads(1))
		start(t, b)
		fetch(t.Context(), b, "a")
		synctest.Wait()
		queued := fetch(t.Context(), b, "b")
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "b", 3))
		assert.Equal(t, got{3, nil}, <-queued)
		open()
		synctest.Wait()
		assert.EqualValues(t, 1, src.loads.Load())
	})
}

func TestDelete_keeps_an_older_load_from_bringing_the_key_back(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		before := fetch(t.Context(), b, "a")
		synctest.Wait()
		src.set("a", 2)
		require.NoError(t, b.Delete(t.Context(), "a"))
		after := fetch(t.Context(), b, "a") // must see what the source says now
		synctest.Wait()
		assert.EqualValues(t, 1, src.loads.Load(), "never two loads of a key at a time")

		open()
		assert.Equal(t, got{1, nil}, <-before)
		assert.Equal(t, got{2, nil}, <-after)
		value, _ := b.DirectGet("a")
		assert.Equal(t, 2, value)
		assert.False(t, src.overlap.Load())
	})
}

func TestSet_after_a_Delete_answers_those_who_asked_between(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		open := src.gate("a")
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		before := fetch(t.Context(), b, "a")
		synctest.Wait()
		require.NoError(t, b.Delete(t.Context(), "a"))
		between := fetch(t.Context(), b, "a")
		synctest.Wait()
		require.NoError(t, b.DirectSet(t.Context(), "a", 5))
		assert.Equal(t, got{5, nil}, <-before)
		assert.Equal(t, got{5, nil}, <-between)
		open()
		synctest.Wait()
		value, _ := b.DirectGet("a")
		assert.Equal(t, 5, value)
		assert.EqualValues(t, 1, src.loads.Load())
	})
}

func TestDelete_during_a_refresh_of_the_key_wins(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		_, err := b.Fetch(t.Context(), "a")
		require.NoError(t, err)
		open := src.gate("a")
		done := make(chan bucket.Report, 1)
		go func() {
			report, _ := b.Refresh(t.Context())
			done <- report
		}()
		synctest.Wait()
		require.NoError(t, b.Delete(t.Context(), "a"))
		open()
		assert.Zero(t, (<-done).Loaded)
		_, ok := b.DirectGet("a")
		assert.False(t, ok)
	})
}
