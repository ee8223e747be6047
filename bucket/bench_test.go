package bucket_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"

	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
)

// The benchmarks come in pairs, so that a ratio can be read from one run: what the
// bucket costs, and what the least that could do the job costs.

var held = func() map[string]int { return seedOf(100_000) }()

func keysOf(values map[string]int) []string {
	keys := make([]string, 0, len(values))
	for key := range values {
		keys = append(keys, key)
	}
	return keys
}

func benchBucket(b *testing.B, opts ...bucket.Option) (*bucket.Bucket[string, int], *protoactor.ActorSystem) {
	values := bucket.New("widgets", loader.Funcs[string, int]{
		LoadFunc: func(context.Context, string) (int, error) { return 1, nil },
		InitFunc: func(context.Context) (map[string]int, error) { return held, nil },
	}, append([]bucket.Option{quiet(), bucket.RefreshEvery(0)}, opts...)...)
	system, _ := start(b, values)
	return values, system
}

// BenchmarkHit: what does it cost to read a key that is held?
func BenchmarkHit(b *testing.B) {
	keys := keysOf(held)
	readers := func(read func(key string) bool) func(b *testing.B) {
		return func(b *testing.B) {
			b.ReportAllocs()
			var turn atomic.Uint64
			b.RunParallel(func(pb *testing.PB) {
				i := int(turn.Add(1) * 7919)
				for pb.Next() {
					if !read(keys[i%len(keys)]) {
						b.Error("not there")
						return
					}
					i++
				}
			})
		}
	}
	values, _ := benchBucket(b)
	ctx := b.Context()
	b.Run("of=map", readers(func(key string) bool {
		_, ok := held[key]
		return ok
	}))
	b.Run("of=DirectGet", readers(func(key string) bool {
		_, ok := values.DirectGet(key)
		return ok
	}))
	b.Run("of=Fetch", readers(func(key string) bool {
		_, err := values.Fetch(ctx, key)
		return err == nil
	}))
}

// BenchmarkRequest: what does a hit by message cost, against an actor that only echoes?
// The two take turns, so that a machine that speeds up or slows down does it to both;
// x-echo is the ratio.
func BenchmarkRequest(b *testing.B) {
	values, system := benchBucket(b)
	echo := system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
		if msg, ok := ctx.Message().(bucket.Fetch); ok {
			ctx.Respond(bucket.Found{Value: msg.Key})
		}
	}))
	defer system.Root.Stop(echo)
	const round = 1000
	ask := func(pid *protoactor.PID) time.Duration {
		begun := time.Now()
		for range round {
			reply, err := system.Root.RequestFuture(pid, bucket.Fetch{Key: "key7"}, time.Minute).Result()
			if _, ok := reply.(bucket.Found); !ok || err != nil {
				b.Fatal(reply, err)
			}
		}
		return time.Since(begun)
	}

	var toEcho, toBucket time.Duration
	rounds := 0
	for b.Loop() {
		toEcho += ask(echo)
		toBucket += ask(values.PID())
		rounds++
	}
	each := float64(rounds * round)
	b.ReportMetric(0, "ns/op") // of no meaning here
	b.ReportMetric(float64(toEcho)/each, "ns/echo")
	b.ReportMetric(float64(toBucket)/each, "ns/bucket")
	b.ReportMetric(float64(toBucket)/float64(toEcho), "x-echo")
}

// BenchmarkMiss: what does a load that costs nothing cost, from the call to the answer, against
// a request to an actor that only echoes? Of what a fetch costs, entry is for the value that is
// then held; nofetch is the rest of it.
func BenchmarkMiss(b *testing.B) {
	keysFor := func(b *testing.B) []string {
		keys := make([]string, b.N)
		for i := range keys {
			keys[i] = "miss" + strconv.Itoa(i)
		}
		b.ReportAllocs()
		b.ResetTimer()
		return keys
	}
	misses := func(miss func(values *bucket.Bucket[string, int], key string) error) func(b *testing.B) {
		return func(b *testing.B) {
			values, _ := benchBucket(b)
			for _, key := range keysFor(b) {
				if err := miss(values, key); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	ctx := b.Context()
	b.Run("fetch", misses(func(values *bucket.Bucket[string, int], key string) error {
		_, err := values.Fetch(ctx, key)
		return err
	}))
	b.Run("entry", misses(func(values *bucket.Bucket[string, int], key string) error {
		values.Put(key, 1)
		return nil
	}))
	b.Run("unsaved", misses(func(values *bucket.Bucket[string, int], key string) error {
		_, _, err := values.FetchNoSave(ctx, key)
		return err
	}))
	b.Run("echo", func(b *testing.B) {
		system := newSystem()
		echo := system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
			if key, ok := ctx.Message().(string); ok {
				ctx.Respond(key)
			}
		}))
		defer system.Root.Stop(echo)
		for _, key := range keysFor(b) {
			if _, err := system.Root.RequestFuture(echo, key, time.Minute).Result(); err != nil {
				b.Fatal(err)
			}
		}
	})
}
