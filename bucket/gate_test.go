package bucket_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// shrunk is a bucket of 10 keys whose source now lacks some, and fails for others.
func shrunk(t *testing.T, lost, failing int, opts ...bucket.Option) (*bucket.Bucket[string, int], *source) {
	t.Helper()
	src := newSource(seedOf(10))
	b := seeded(src, opts...)
	start(t, b)
	src.mu.Lock()
	for i := range lost {
		delete(src.values, fmt.Sprint("key", i))
	}
	src.mu.Unlock()
	for i := range failing {
		src.fail(fmt.Sprint("key", 9-i), errDown)
	}
	return b, src
}

func TestGate_refuses_what_its_rules_forbid(t *testing.T) {
	errCustom := errors.New("not on a Sunday")
	tests := []struct {
		name          string
		lost, failing int
		gate          bucket.Option
		want          string // "" if it passes
	}{
		{"MaxLoss, few lost", 2, 0, bucket.Gate(bucket.MaxLoss(0.2)), ""},
		{"MaxLoss, many lost", 3, 0, bucket.Gate(bucket.MaxLoss(0.2)), "3 of 10 keys would be lost, and MaxLoss is 0.2"},
		{"MaxFailures, few failed", 0, 5, bucket.Gate(bucket.MaxFailures(0.5)), ""},
		{"MaxFailures, many failed", 0, 6, bucket.Gate(bucket.MaxFailures(0.5)), "6 of 10 keys failed"},
		{"MinEntries, enough", 5, 0, bucket.Gate(bucket.MinEntries(5)), ""},
		{"MinEntries, too few", 6, 0, bucket.Gate(bucket.MinEntries(5)), "4 entries, and MinEntries is 5"},
		{"the second of two", 3, 0, bucket.Gate(bucket.MinEntries(1), bucket.MaxLoss(0.1)), "MaxLoss"},
		{"custom", 0, 0, bucket.Gate(nil, func(c bucket.Candidate) error {
			if c.Entries == 10 && c.Before == 10 && c.Report.Loaded == 10 {
				return errCustom
			}
			return nil
		}), "not on a Sunday"},
		{"custom, panics", 0, 0, bucket.Gate(func(bucket.Candidate) error { panic("at the disco") }), "at the disco"},
		{"custom, hangs", 0, 0, bucket.Gate(func(bucket.Candidate) error { time.Sleep(time.Hour); return nil }), "deadline exceeded"},
		{"none, all but one lost", 9, 0, nil, ""},
		{"none, all lost", 10, 0, nil, "nothing would be left of 10 entries"},
		{"an empty one, all lost", 10, 0, bucket.Gate(), ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				opts := []bucket.Option{bucket.RefreshEvery(time.Hour), bucket.Jitter(0)}
				if tt.gate != nil {
					opts = append(opts, tt.gate)
				}
				b, _ := shrunk(t, tt.lost, tt.failing, opts...)
				report, err := b.Refresh(t.Context())
				if tt.want == "" {
					require.NoError(t, err)
					require.NoError(t, report.Refused)
					assert.EqualValues(t, 2, report.Generation)
					assert.Equal(t, 10-tt.lost, b.Len())
					return
				}
				require.ErrorIs(t, err, bucket.ErrRefused)
				require.ErrorContains(t, err, tt.want)
				assert.Equal(t, err, report.Refused)
				assert.EqualValues(t, 1, report.Generation)
				assert.Equal(t, tt.lost, report.Removed)
				assert.Equal(t, seedOf(10), maps.Collect(b.All()), "nothing has changed")
				time.Sleep(2 * time.Hour)
			})
		})
	}
}

func TestGate_that_refused_is_visible_until_a_refresh_gets_through(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(10))
		logger, log := captured()
		b := seeded(src, bucket.Gate(bucket.MaxLoss(0.2)), bucket.RefreshEvery(time.Hour), bucket.Jitter(0), logger)
		system, _ := start(t, b)
		var refusals []bucket.RefreshRefused
		sub := system.EventStream.Subscribe(func(event any) {
			if refused, ok := event.(bucket.RefreshRefused); ok {
				refusals = append(refusals, refused)
			}
		})
		defer system.EventStream.Unsubscribe(sub)
		for i := range 3 {
			src.fail(fmt.Sprint("key", i), loader.ErrNotFound)
		}
		time.Sleep(time.Hour + time.Second) // by the clock
		synctest.Wait()
		require.Len(t, refusals, 1)
		assert.Equal(t, "widgets", refusals[0].Bucket)
		require.ErrorIs(t, refusals[0].Report.Refused, bucket.ErrRefused)
		health := b.Health()
		assert.Equal(t, bucket.Degraded, health.State)
		assert.Contains(t, fmt.Sprint(health.Reasons), "3 of 10 keys would be lost")
		assert.EqualValues(t, 1, b.Stats().Refusals)
		assert.Zero(t, b.Stats().Refreshes)
		require.ErrorIs(t, b.Stats().LastRefresh.Refused, bucket.ErrRefused)
		assert.Contains(t, log.LastEntry().Message, "refused")

		reply, err := system.Root.RequestFuture(b.PID(), bucket.Refresh{}, time.Minute).Result()
		require.NoError(t, err)
		require.ErrorIs(t, failure(t, reply), bucket.ErrRefused)

		for i := range 3 {
			src.set(fmt.Sprint("key", i), i)
		}
		time.Sleep(time.Hour + time.Second)
		assert.Equal(t, bucket.Ready, b.Health().State)
		assert.EqualValues(t, 2, b.Stats().Generation)
	})
}

func TestGate_that_refused_loses_nothing_that_was_written(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(10))
		disk := newDisk(t)
		b := bucket.New("numbers", loader.Funcs[string, int]{
			LoadFunc: src.Load,
			InitFunc: func(context.Context) (map[string]int, error) { return seedOf(10), nil },
		}, quiet(), on(disk), bucket.Gate(bucket.MinEntries(100)))
		life(t, b, func() {
			open := src.gate("key3")
			done := make(chan struct{})
			go func() { _, _ = b.Refresh(t.Context()); close(done) }()
			<-src.begun
			require.NoError(t, b.DirectSet(t.Context(), "set", 1))
			open()
			<-done
			assert.Equal(t, 11, b.Len())
		})
		assert.Len(t, kept[int](t, disk), 11)
	})
}
