package supervisor

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
)

func TestPause_doubles_up_to_the_cap_within_its_jitter(t *testing.T) {
	for _, tt := range []struct {
		name             string
		initial, longest time.Duration
		n                int
		nominal          time.Duration
	}{
		{"first", 10 * time.Millisecond, 5 * time.Second, 1, 10 * time.Millisecond},
		{"second", 10 * time.Millisecond, 5 * time.Second, 2, 20 * time.Millisecond},
		{"ninth", 10 * time.Millisecond, 5 * time.Second, 9, 2560 * time.Millisecond},
		{"tenth reaches the cap", 10 * time.Millisecond, 5 * time.Second, 10, 5 * time.Second},
		{"from then on", 10 * time.Millisecond, 5 * time.Second, 1_000_000_000, 5 * time.Second},
		{"the cap is no power of two", 4 * time.Second, 5 * time.Second, 2, 5 * time.Second},
		{"always the same", time.Second, time.Second, 5, time.Second},
		{"none", 0, 0, 7, 0},
		{"none, with a cap", 0, time.Second, 7, 0},
		{"no cap to speak of", time.Nanosecond, math.MaxInt64, 11, 1024},
		{"centuries", time.Nanosecond, math.MaxInt64, 1000, math.MaxInt64},
		{"centuries at once", math.MaxInt64, math.MaxInt64, 1, math.MaxInt64},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := settings{initialBackoff: tt.initial, maxBackoff: tt.longest}
			shortest, most := time.Duration(math.MaxInt64), time.Duration(-1)
			for range 2000 {
				pause := s.pause(tt.n)
				shortest, most = min(shortest, pause), max(most, pause)
			}

			fifth := tt.nominal / 5
			floor, ceiling := tt.nominal-fifth, tt.nominal+min(fifth, tt.longest-tt.nominal)
			assert.GreaterOrEqual(t, shortest, floor)
			assert.LessOrEqual(t, most, ceiling)
			if fifth > 0 {
				assert.Less(t, shortest, floor+fifth/10, "some are as short as that")
				assert.Greater(t, most, ceiling-fifth/10, "and some as long")
			}
		})
	}
}

func TestCountFailure_forgets_what_the_window_does_not_hold(t *testing.T) {
	const window = time.Minute
	var m member
	at := time.Now()
	count := func(after time.Duration) int {
		at = at.Add(after)
		return m.countFailure(at, window)
	}
	assert.Equal(t, 1, count(0))
	assert.Equal(t, 2, count(0))
	assert.Equal(t, 3, count(window-1))
	assert.Equal(t, 2, count(1), "the first two are a window old")
	assert.Equal(t, 1, count(window))
	for range 10_000 {
		count(window / 2)
	}
	assert.Len(t, m.failures, 2, "nothing piles up")
}
