//go:build !race

package cluster_test

import (
	"bytes"
	"context"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	clustertest "github.com/asynkron/protoactor-go/cluster/clusterproviders/test"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// BenchmarkBorder_fetch is a value from another member, against a bare request of protoactor that is
// answered with the same bytes. The two take turns, so that both meet the same machine.
func BenchmarkBorder_fetch(b *testing.B) {
	value := bytes.Repeat([]byte{7}, 100)
	blobs := bucket.New("blobs", loader.Func(func(context.Context, string) ([]byte, error) { return value, nil }), quiet())
	here, there := join(b, cluster.Carry(blobs)), join(b, cluster.Carry(blobs))
	there.start(b, blobs)
	pid := there.pid(blobs)
	echo := there.Root.Spawn(protoactor.PropsFromFunc(func(c protoactor.Context) {
		if _, ok := c.Message().(*wrapperspb.StringValue); ok {
			c.Respond(wrapperspb.Bytes(value))
		}
	}))
	bare := protoactor.NewPID(there.Address(), echo.Id)

	var ours, theirs []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := here.Root.RequestFuture(bare, wrapperspb.String("key"), time.Minute).Result(); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if _, err := actor.Ask[bucket.Found](b.Context(), here.ActorSystem, pid, bucket.Fetch{Key: "key"}); err != nil {
			b.Fatal(err)
		}
		theirs, ours = append(theirs, between.Sub(began)), append(ours, time.Since(between))
	}
	reportRatios(b, ours, theirs)
}

// BenchmarkHandle_fetch is a value of a bucket that another member owns, by a handle, against a request of
// protoactor's cluster that is answered with the same bytes.
func BenchmarkHandle_fetch(b *testing.B) {
	value := widget{Name: "left-handed", Price: 7}
	encoded := bytes.Repeat([]byte{7}, 100)
	p := plan{
		place: oneOwner[widget], loader: loader.Func(func(context.Context, string) (widget, error) { return value, nil }),
		kinds: []*protocluster.Kind{protocluster.NewKind("bare", protoactor.PropsFromFunc(func(c protoactor.Context) {
			if _, ok := c.Message().(*wrapperspb.StringValue); ok {
				c.Respond(wrapperspb.Bytes(encoded))
			}
		}))},
	}
	agent := clustertest.NewInMemAgent()
	owner := openShop(b, agent, p)
	p.guest = true
	asker := openShop(b, agent, p)
	know(b, owner, asker)
	_, err := asker.handle.Fetch(soon(b), "key")
	require.NoError(b, err)

	var ours, theirs []time.Duration
	for b.Loop() {
		began := time.Now()
		if _, err := asker.cluster.Request("it", "bare", wrapperspb.String("key")); err != nil {
			b.Fatal(err)
		}
		between := time.Now()
		if _, err := asker.handle.Fetch(b.Context(), "key"); err != nil {
			b.Fatal(err)
		}
		theirs, ours = append(theirs, between.Sub(began)), append(ours, time.Since(between))
	}
	reportRatios(b, ours, theirs)
}

func reportRatios(b *testing.B, ours, theirs []time.Duration) {
	b.Helper()
	for name, at := range map[string]float64{"p50": 0.5, "p99": 0.99} {
		b.ReportMetric(float64(quantile(ours, at))/float64(quantile(theirs, at)), name+"-to-bare")
		b.ReportMetric(float64(quantile(ours, at)), name+"-ns")
	}
}

// BenchmarkNearCache_hit is a hit in a near cache, against one in a bucket of the same process that has
// loaded what it holds, as the near cache has fetched it.
func BenchmarkNearCache_hit(b *testing.B) {
	for _, entries := range []int{1_000, 100_000} {
		b.Run(strconv.Itoa(entries), func(b *testing.B) { benchmarkNearCache(b, keysNamed("key", entries)) })
	}
}

func benchmarkNearCache(b *testing.B, keys []string) {
	p := plan{place: oneOwner[widget], loader: widgets(), handle: []cluster.HandleOption{cluster.NearCache(time.Hour)}}
	agent := clustertest.NewInMemAgent()
	owner := openShop(b, agent, p)
	p.guest = true
	asker := openShop(b, agent, p)
	know(b, owner, asker)
	require.NoError(b, asker.handle.Ready(soon(b)))
	for chunk := range slices.Chunk(keys, 1000) {
		eventually(b, func() bool { // what is loaded for it has changed by that
			_, err := asker.handle.FetchMany(soon(b), chunk)
			_, kept := cluster.Kept(asker.handle, chunk[len(chunk)-1])
			return err == nil && kept
		}, "kept")
	}
	eventually(b, func() bool {
		_, err := asker.handle.FetchMany(soon(b), keys)
		return err == nil && cluster.KeptLen(asker.handle) == len(keys)
	}, "all are kept")
	random := rand.New(rand.NewPCG(1, 2)).Perm(len(keys))

	var near, local time.Duration
	for b.Loop() {
		began := time.Now()
		for _, i := range random {
			_, _ = owner.widgets.Fetch(b.Context(), keys[i])
		}
		between := time.Now()
		for _, i := range random {
			_, _ = asker.handle.Fetch(b.Context(), keys[i])
		}
		local, near = local+between.Sub(began), near+time.Since(between)
	}
	b.ReportMetric(float64(near)/float64(local), "to-local")
	b.ReportMetric(float64(near)/float64(b.N)/float64(len(keys)), "ns/hit")
}

// BenchmarkPartitioned_fetchMany is a thousand keys at once, of three other members, against one at a time.
func BenchmarkPartitioned_fetchMany(b *testing.B) {
	keys := keysNamed("key", 1000)
	value := bytes.Repeat([]byte{7}, 100)
	blobs := loader.Func(func(context.Context, string) ([]byte, error) { return value, nil })
	p := planOf[[]byte]{place: inPartitions[[]byte], loader: blobs}
	agent, shops := openShops(b, 3, p)
	p.guest = true
	asker := openShop(b, agent, p)
	know(b, append(shops, asker)...)
	h := asker.handle
	_, err := h.FetchMany(soon(b), keys)
	require.NoError(b, err)
	var many, single time.Duration
	for b.Loop() {
		began := time.Now()
		found, err := h.FetchMany(b.Context(), keys)
		if err != nil || len(found) != len(keys) {
			b.Fatal(err)
		}
		between := time.Now()
		for _, key := range keys {
			if _, err := h.Fetch(b.Context(), key); err != nil {
				b.Fatal(err)
			}
		}
		many, single = many+between.Sub(began), single+time.Since(between)
	}
	b.ReportMetric(float64(single)/float64(many), "singles-to-many")
	b.ReportMetric(float64(many)/float64(b.N), "ns/many")
}

func quantile(samples []time.Duration, at float64) time.Duration {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[int(at*float64(len(sorted)-1))]
}
