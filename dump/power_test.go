package dump_test

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/dump/dumptest"
)

// A power cut at every call that changes anything leaves a file that opens, with what stood
// in it after some prefix of the writes: at least those that were promised to survive.
func TestTorture_power_cut_takes_only_what_its_policy_says(t *testing.T) {
	t.Parallel()
	for _, policy := range allPolicies {
		t.Run(policy.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				disk := newDisk(t, 1)
				p := powerCuts{
					T: t, disk: disk, keeper: newKeeper(disk, dump.Options{Sync: policy}),
					seeds: rounds(12, 8, 1000),
				}
				disk.Inject(p.before)
				p.run(rounds(300, 200, 300))
				require.Positive(t, p.cuts)
			})
		})
	}
}

// powerCuts tries power cuts while its keeper works.
type powerCuts struct {
	*testing.T
	*keeper
	disk  *dumptest.Disk
	seeds int
	cuts  int
}

func (p *powerCuts) before(op dumptest.Op) error {
	if op.Mutation == 0 {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cuts++
	options := p.options
	if p.damaged {
		options.OnCorrupt = dump.SalvagePrefix
	}
	p.cut(op, options, dumptest.Nothing)
	p.cut(op, options, dumptest.Everything)
	for seed := range p.seeds {
		p.cut(op, options, dumptest.Some(uint64(op.Mutation*p.seeds+seed)))
	}
	p.kill(op, options)
	return nil
}

func (p *powerCuts) cut(op dumptest.Op, options dump.Options, keep dumptest.Keep) {
	after := p.disk.Crash(keep)
	_, table, err := found(after, options)
	require.NoError(p, err, "cut before %v, keeping %d", op, keep)
	if p.damaged && p.keptAside(after, table) {
		return
	}
	require.True(p, p.may(table, p.durable), "cut before %v, keeping %d: found %v, and %v is durable",
		op, keep, brief(table), brief(p.history[p.durable]))
}

// keptAside says that a damaged file has left its place, and the next has not come yet.
func (p *powerCuts) keptAside(disk *dumptest.Disk, table map[string]string) bool {
	return maps.Equal(table, absent) && strings.Contains(strings.Join(disk.Names("/data"), " "), ".corrupt-")
}

// kill ends the process, and lets the next one work until the power is cut.
func (p *powerCuts) kill(op dumptest.Op, options dump.Options) {
	disk := p.disk.Clone()
	d, table, err := found(disk, options)
	require.NoError(p, err, "killed before %v", op)
	if p.damaged && p.keptAside(disk, table) {
		return
	}
	from := p.acked
	if options.Sync == dump.Buffered {
		from = p.durable
	}
	require.True(p, p.may(table, from), "killed before %v: found %v, and %v was acknowledged",
		op, brief(table), brief(p.history[from]))
	if d.Broken() != nil {
		return
	}
	require.NoError(p, d.Put(dump.Entry[string, string]{Key: "after", Value: "it"}))
	require.NoError(p, d.Sync())
	table = applied(table, []change{{key: "after", value: "it"}})
	for _, keep := range []dumptest.Keep{dumptest.Nothing, dumptest.Some(uint64(op.Mutation))} {
		_, again, err := found(disk.Crash(keep), options)
		require.NoError(p, err, "killed before %v, and then cut", op)
		require.Equal(p, brief(table), brief(again), "killed before %v, and then cut", op)
	}
}

func (p *powerCuts) run(steps int) {
	random := rand.New(rand.NewPCG(3, 4))
	for number := range steps {
		require.NoError(p, p.mend())
		switch random.IntN(24) {
		case 0, 1:
			require.NoError(p, p.rewrite())
		case 2, 3:
			require.NoError(p, p.sync())
		case 4, 5:
			time.Sleep(1500 * time.Millisecond) // the clock's turn
		case 6, 7:
			require.NoError(p, p.close())
		case 8:
			p.damage(random)
		default:
			require.NoError(p, p.write(newChanges(random, number)...))
		}
	}
	require.NoError(p, p.mend())
	require.NoError(p, p.close())
}

// damage flips a bit and takes what can be salvaged for the truth.
func (p *powerCuts) damage(random *rand.Rand) {
	require.NoError(p, p.close())
	info, err := p.disk.Lstat(dumpPath)
	require.NoError(p, err)
	const frames = 1536
	p.mu.Lock()
	p.damaged = true
	require.NoError(p, p.disk.FlipBit(dumpPath, 8*frames+random.Int64N(8*(info.Size()-frames))))
	options := p.options
	options.OnCorrupt = dump.SalvagePrefix
	_, table, err := found(p.disk.Clone(), options)
	require.NoError(p, err)
	p.push(table)
	p.durable = p.acked
	p.mu.Unlock()

	p.options.OnCorrupt = dump.SalvagePrefix
	require.NoError(p, p.open())
	p.options.OnCorrupt = dump.Fail
	require.ErrorIs(p, p.d.Broken(), dump.ErrBroken)
	require.NoError(p, p.rewrite())
}
