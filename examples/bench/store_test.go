package main

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestContestants_hold_load_and_change_what_they_should(t *testing.T) {
	t.Run("string", func(t *testing.T) { testContestants(t, stringContestants(), hexKeys) })
	t.Run("int", func(t *testing.T) { testContestants(t, contestants[int](), intKeys) })
}

func testContestants[K key](t *testing.T, of []contestant[K], keysFrom func(from, n int) []K) {
	held, cold := keysFrom(0, 500), keysFrom(500, 5)
	for _, c := range of {
		t.Run(c.name, func(t *testing.T) {
			ctx := t.Context()
			var loads atomic.Int64
			s, err := c.open(ctx, held, len(cold), func(context.Context, K) (value, error) {
				loads.Add(1)
				return loaded, nil
			})
			require.NoError(t, err)
			defer func() { require.NoError(t, s.Close()) }()

			require.NoError(t, verify(ctx, s, held))
			assert.Zero(t, loads.Load(), "what is held is not loaded")

			for _, key := range cold {
				got, err := s.Get(ctx, key)
				if !c.loads {
					require.ErrorIs(t, err, errMissing)
					continue
				}
				require.NoError(t, err)
				assert.Equal(t, loaded, got)
			}
			if c.loads {
				assert.EqualValues(t, len(cold), loads.Load())
			}

			err = s.Set(ctx, held[7], value{A: 70, B: 71})
			if !canBeSet(c) {
				require.ErrorIs(t, err, errReadOnly)
				return
			}
			require.NoError(t, err)
			got, err := s.Get(ctx, held[7])
			require.NoError(t, err)
			assert.Equal(t, value{A: 70, B: 71}, got)
		})
	}
}

func TestVerify_notices_a_wrong_value(t *testing.T) {
	keys := hexKeys(0, 3)
	s, err := openLocked(t.Context(), keys, 0, neverLoad[string])
	require.NoError(t, err)
	require.NoError(t, s.Set(t.Context(), keys[1], value{}))
	require.ErrorContains(t, verify(t.Context(), s, keys), "key "+keys[1]+": got {0 0}")
	require.ErrorIs(t, verify(t.Context(), s, hexKeys(3, 1)), errMissing)
}

func TestKeys_are_all_different_and_the_same_each_time(t *testing.T) {
	keys := hexKeys(0, 10_000)
	seen := map[string]bool{}
	for _, key := range keys {
		require.Len(t, key, 16)
		seen[key] = true
	}
	assert.Len(t, seen, len(keys))
	assert.Equal(t, keys[9_000:], hexKeys(9_000, 1_000))
}

func TestOrders_ask_for_keys_as_they_say(t *testing.T) {
	keys := intKeys(0, 1000)
	most := func(order []int) (count int) {
		times := map[int]int{}
		for _, key := range order {
			times[key]++
			count = max(count, times[key])
		}
		return count
	}
	assert.Equal(t, uniform(keys), uniform(keys))
	assert.Less(t, most(uniform(keys)), leastOrder/200)
	assert.Greater(t, most(zipf(keys)), leastOrder/20)
	assert.Equal(t, leastOrder, most(oneHot(keys)))
}
