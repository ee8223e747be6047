//go:build !race

package cluster_test

import (
	"bytes"
	"context"
	"slices"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
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
	for name, at := range map[string]float64{"p50": 0.5, "p99": 0.99} {
		b.ReportMetric(float64(quantile(ours, at))/float64(quantile(theirs, at)), name+"-to-bare")
		b.ReportMetric(float64(quantile(ours, at)), name+"-ns")
	}
}

func quantile(samples []time.Duration, at float64) time.Duration {
	sorted := slices.Sorted(slices.Values(samples))
	return sorted[int(at*float64(len(sorted)-1))]
}
