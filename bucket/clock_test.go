package bucket_test

import (
	"testing"
	"testing/synctest"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"
	logtest "github.com/sirupsen/logrus/hooks/test"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/supervisor"
)

func TestHealth_says_so_when_no_refresh_has_completed_in_three_intervals(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1, "b": 2})
		b := seeded(src, bucket.RefreshEvery(time.Minute), bucket.Jitter(0))
		start(t, b)
		src.fail("a", errDown)
		src.fail("b", errDown)
		time.Sleep(3*time.Minute - time.Second)
		assert.Equal(t, bucket.Degraded, b.Health().State)
		time.Sleep(2 * time.Second)
		health := b.Health()
		assert.Equal(t, bucket.Stale, health.State)
		assert.Contains(t, health.Reasons[0], "no full refresh has completed for 3m")
		src.set("a", 1)
		time.Sleep(time.Minute)
		assert.Equal(t, bucket.Degraded, b.Health().State, "b still fails")
		src.set("b", 2)
		time.Sleep(time.Minute)
		assert.Equal(t, bucket.Ready, b.Health().State)
		assert.Empty(t, b.Health().Reasons)
	})
}

func TestRefresh_goes_on_by_the_clock_through_crashes(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src, bucket.RefreshEvery(time.Hour), bucket.Jitter(0))
		system, _ := start(t, b)
		begun := time.Now()
		for time.Since(begun) < 10*time.Hour { // crashes come more often than refreshes
			time.Sleep(7 * time.Minute)
			system.Root.Send(b.PID(), bucket.Crash{Reason: "drill"})
		}
		synctest.Wait()
		assert.EqualValues(t, 10, src.loads.Load())
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestRefresh_under_way_survives_a_crash(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(seedOf(100))
		b := seeded(src, bucket.RefreshConcurrency(2), bucket.RefreshRate(20))
		system, _ := start(t, b)
		done := make(chan bucket.Report, 1)
		go func() {
			report, err := b.Refresh(t.Context())
			assert.NoError(t, err)
			done <- report
		}()
		for range 20 {
			time.Sleep(200 * time.Millisecond)
			system.Root.Send(b.PID(), bucket.Crash{Reason: "drill"})
		}
		report := <-done
		assert.Equal(t, 100, report.Loaded)
		assert.InDelta(t, 5*time.Second, report.Took, float64(time.Second), "taken up at once, not by the next stroke of the clock")
		assert.EqualValues(t, 100, src.loads.Load())
	})
}

func TestRefresher_that_is_lost_is_replaced(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		src := newSource(map[string]int{"a": 1})
		b := seeded(src, bucket.RefreshEvery(time.Minute), bucket.Jitter(0))
		system, _ := start(t, b)
		clock := protoactor.NewPID(b.PID().Address, b.PID().Id+"/refresher")
		for range 3 {
			system.Root.Stop(clock)
			time.Sleep(30 * time.Second)
		}
		time.Sleep(time.Hour)
		assert.GreaterOrEqual(t, src.loads.Load(), int64(59))
		assert.Equal(t, bucket.Ready, b.Health().State)
	})
}

func TestRefreshed_event_survives_a_subscriber_that_panics(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := seeded(newSource(map[string]int{"a": 1}))
		system := newSystem()
		system.EventStream.Subscribe(func(event any) {
			if _, ok := event.(bucket.Refreshed); ok {
				panic("ouch")
			}
		})
		sup := supervisor.New(system, noLog())
		require.NoError(t, sup.Start(t.Context(), b))
		_, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Zero(t, b.Stats().Restarts)
		require.NoError(t, sup.Stop(t.Context()))
	})
}

// hook is a logger's hook that panics on one message.
type hook struct{ message string }

func (hook) Levels() []logrus.Level { return logrus.AllLevels }

func (h hook) Fire(entry *logrus.Entry) error {
	if entry.Message == h.message {
		panic("hook")
	}
	return nil
}

func TestBucket_does_not_crash_when_its_logger_does(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		logger, _ := logtest.NewNullLogger()
		logger.AddHook(hook{"bucket is ready"})
		logger.AddHook(hook{"refreshed"})
		logger.AddHook(hook{"load failed"})
		src := newSource(map[string]int{"a": 1})
		b := seeded(src, bucket.Logger(logger))
		start(t, b)
		begun := time.Now()
		report, err := b.Refresh(t.Context())
		require.NoError(t, err)
		assert.Equal(t, 1, report.Loaded)
		src.fail("b", errDown)
		_, err = b.Fetch(t.Context(), "b")
		require.ErrorIs(t, err, errDown)
		assert.Zero(t, time.Since(begun))
		assert.Zero(t, b.Stats().Restarts)
	})
}
