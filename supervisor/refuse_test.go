package supervisor_test

import (
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/supervisor"
)

// oddChild is a child made of functions.
type oddChild struct {
	name  func() string
	props func() *protoactor.Props
}

func (o oddChild) Name() string             { return o.name() }
func (o oddChild) Props() *protoactor.Props { return o.props() }

// oddAnnouncer is one that reports.
type oddAnnouncer struct {
	oddChild
	announce func(actor.Report) *protoactor.Props
}

func (o oddAnnouncer) Announce(report actor.Report) *protoactor.Props { return o.announce(report) }

func TestStart_refuses_children_that_make_no_sense(t *testing.T) {
	odd := func() string { return "odd" }
	broken := func() string { panic("no name") }
	idle := func(protoactor.Context) {}
	props := func(opts ...protoactor.PropsOption) func() *protoactor.Props {
		return func() *protoactor.Props { return protoactor.PropsFromFunc(idle, opts...) }
	}
	var nobody numbers

	for _, tt := range []struct {
		name      string
		child     supervisor.Child
		wantChild string
		wantIs    error // nil: it is somebody else's error
		wantText  string
		spawned   bool // as far as it comes
	}{
		{"nil", nil, "", supervisor.ErrConfig, "the child is nil", false},
		{"nil bucket", nobody, "", supervisor.ErrConfig, "the child panicked", false},
		{"Name panics", oddChild{broken, props()}, "", supervisor.ErrConfig, "no name", false},
		{"Props panics", oddChild{odd, func() *protoactor.Props { panic("no props") }}, "odd", supervisor.ErrConfig, "no props", false},
		{"Props are nil", oddChild{odd, func() *protoactor.Props { return nil }}, "odd", supervisor.ErrConfig, "Props are nil", false},
		{
			"Announce panics",
			oddAnnouncer{oddChild{odd, props()}, func(actor.Report) *protoactor.Props { panic("no announcement") }},
			"odd", supervisor.ErrConfig, "no announcement", true,
		},
		{
			"Announce gives nil",
			oddAnnouncer{oddChild{odd, props()}, func(actor.Report) *protoactor.Props { return nil }},
			"odd", supervisor.ErrConfig, "Props are nil", true,
		},
		{
			"a guardian",
			oddChild{odd, props(protoactor.WithGuardian(protoactor.DefaultSupervisorStrategy()))},
			"odd", nil, "GuardianStrategy", true,
		},
		{
			"the producer panics",
			oddChild{odd, func() *protoactor.Props {
				return protoactor.PropsFromProducer(func() protoactor.Actor { panic("no actor") })
			}},
			"odd", nil, "no actor", true,
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				good := newBucket("good")
				system := newSystem()
				heard := listen(system)
				sup := newSupervisor(t, system)
				err := sup.Start(t.Context(), good, tt.child)
				requireStartError(t, err, tt.wantChild)
				if tt.spawned {
					assert.Equal(t, []string{"Started good", "Vetoed odd", "Stopped good"}, heard.titles())
				}
				assert.ErrorContains(t, err, tt.wantText)
				if tt.wantIs != nil {
					assert.ErrorIs(t, err, tt.wantIs)
				}
				assert.Nil(t, good.PID(), "what had started has stopped")
				assert.Nil(t, sup.PID())

				require.NoError(t, sup.Start(t.Context(), good))
				requireStartError(t, sup.Add(t.Context(), tt.child), tt.wantChild)
				assert.Equal(t, []string{"good running"}, states(sup), "Add harms nobody")
			})
		})
	}
}

func TestStart_refuses_bad_options_with_their_value_and_the_remedy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		option supervisor.Option
		want   []string
	}{
		{"negative restarts", supervisor.MaxRestarts(-1, time.Second), []string{"MaxRestarts(-1, 1s)", "not negative"}},
		{"no window", supervisor.MaxRestarts(3, 0), []string{"MaxRestarts(3, 0s)", "longer than zero"}},
		{"negative window", supervisor.MaxRestarts(3, -time.Second), []string{"MaxRestarts(3, -1s)", "longer than zero"}},
		{"negative pause", supervisor.Backoff(-time.Second, time.Minute), []string{"Backoff(-1s, 1m0s)", "must not be negative"}},
		{"longest is shorter", supervisor.Backoff(time.Minute, time.Second), []string{"Backoff(1m0s, 1s)", "longer than the longest"}},
		{"no logger", supervisor.Logger(nil), []string{"Logger(nil)", "give a logrus logger"}},
		{"nil option", nil, []string{"option 2 is nil", "leave it out"}},
		{"nil child of With", supervisor.With(newBucket("b"), nil), []string{"the child is nil"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				system := newSystem()
				heard := listen(system)
				sup := newSupervisor(t, system, tt.option)
				b := newBucket("mine")
				err := sup.Start(t.Context(), b)
				require.ErrorIs(t, err, supervisor.ErrConfig)
				for _, want := range tt.want {
					assert.ErrorContains(t, err, want)
				}
				assert.Nil(t, b.PID())
				assert.NotContains(t, heard.titles(), "Started mine")
				assert.Nil(t, sup.PID())
			})
		})
	}
}

func TestStart_names_all_bad_options_at_once(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sup := newSupervisor(t, newSystem(), supervisor.MaxRestarts(-1, 0), supervisor.Backoff(-1, 0), supervisor.Logger(nil))
		err := sup.Start(t.Context())
		for _, option := range []string{"MaxRestarts", "Backoff", "Logger"} {
			assert.ErrorContains(t, err, option)
		}
	})
}

func TestStart_accepts_the_extremes_of_its_options(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		sup := newSupervisor(t, newSystem(), supervisor.MaxRestarts(0, 1), supervisor.Backoff(0, 0), supervisor.With())
		assert.NoError(t, sup.Start(t.Context()))
	})
}

func TestStart_refuses_a_nil_system(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBucket("b")
		sup := newSupervisor(t, nil, supervisor.MaxRestarts(-1, time.Second))
		err := sup.Start(t.Context(), b)
		require.ErrorIs(t, err, supervisor.ErrConfig)
		assert.ErrorContains(t, err, "the actor system is nil")
		assert.ErrorContains(t, err, "MaxRestarts", "what else is wrong is said, too")

		started, err := supervisor.Start(t.Context(), nil, b)
		require.ErrorIs(t, err, supervisor.ErrConfig)
		assert.Nil(t, started)
		assert.ErrorIs(t, sup.Add(t.Context(), b), supervisor.ErrNotRunning)
		assert.NoError(t, sup.Stop(t.Context()))
		assert.Empty(t, sup.Status())
		assert.Empty(t, sup.Children())
	})
}
