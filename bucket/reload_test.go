package bucket_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

func TestFilterRefresh_has_the_last_word_before_the_save(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"double": 1, "refused": 2, "rescued": 3, "gone": 4, "passed": 5, "kept": 6, "panics": 7})
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return src.values, nil },
			FilterRefreshFunc: func(_ context.Context, key string, value int, err error) (int, error) {
				switch key {
				case "double":
					return 2 * value, nil
				case "refused":
					return 0, errors.New("not like this")
				case "rescued":
					return 33, nil
				case "kept":
					return 0, loader.ErrUnchanged
				case "panics":
					panic("ouch")
				default:
					return value, err
				}
			},
		}, quiet())
		start(t, b)
		for _, key := range []string{"double", "refused", "kept"} {
			src.set(key, 10)
		}
		src.fail("rescued", errDown)
		src.fail("gone", loader.ErrNotFound)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 2, report.Failed)
		assert.Equal(t, 1, report.Removed)
		assert.Equal(t, 2, report.Changed)
		assert.Equal(t, 2, report.Unchanged)

		held := map[string]int{}
		for key, value := range b.All() {
			held[key] = value
		}
		assert.Equal(t, map[string]int{"double": 20, "refused": 2, "rescued": 33, "passed": 5, "kept": 6, "panics": 7}, held)

		value, err := b.Fetch(t.Context(), "gone")
		require.ErrorIs(t, err, loader.ErrNotFound)
		assert.Zero(t, value)
		require.NoError(t, b.Delete(t.Context(), "double"))
		value, err = b.Fetch(t.Context(), "double")
		require.NoError(t, err)
		assert.Equal(t, 10, value, "a miss is not filtered")
	})
}

func TestReload_sees_the_old_value_and_may_leave_it_unchanged(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := bucket.New("widgets", loader.Funcs[string, int]{
			LoadFunc: func(context.Context, string) (int, error) { return 1, nil },
			ReloadFunc: func(_ context.Context, key string, old int) (int, error) {
				if key == "still" {
					return 99, loader.ErrUnchanged
				}
				return old + 1, nil
			},
		}, quiet())
		start(t, b)
		_, err := b.FetchMany(t.Context(), []string{"still", "moving"})
		require.NoError(t, err)
		before, _ := b.Entry("still")
		time.Sleep(time.Minute)
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Unchanged)
		assert.Equal(t, 1, report.Changed)
		after, _ := b.Entry("still")
		assert.Equal(t, 1, after.Value)
		assert.Equal(t, before.Version, after.Version)
		assert.Equal(t, time.Minute, after.LoadedAt.Sub(before.LoadedAt), "the age is renewed")
		value, _ := b.DirectGet("moving")
		assert.Equal(t, 2, value)
		value, err = b.RefreshKey(t.Context(), "still")
		require.NoError(t, err)
		assert.Equal(t, 1, value)
	})
}

func TestRefreshKey_loads_one_key_again(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := bucket.New("widgets", src, quiet())
		start(t, b)
		value, err := b.RefreshKey(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 1, value, "also one that is not held")
		src.set("a", 2)
		value, err = b.RefreshKey(t.Context(), "a")
		require.NoError(t, err)
		assert.Equal(t, 2, value)

		src.fail("a", errDown)
		_, err = b.RefreshKey(t.Context(), "a")
		require.ErrorIs(t, err, errDown)
		entry, _ := b.Entry("a")
		assert.Equal(t, 2, entry.Value)
		assert.ErrorIs(t, entry.LastError, errDown)

		src.fail("a", loader.ErrNotFound)
		_, err = b.RefreshKey(t.Context(), "a")
		require.ErrorIs(t, err, loader.ErrNotFound)
		_, ok := b.DirectGet("a")
		assert.False(t, ok)
	})
}
