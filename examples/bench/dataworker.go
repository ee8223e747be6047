package main

import (
	"context"
	"io"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/sirupsen/logrus"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/loader"
	"github.com/dataworker-go/dataworker/supervisor"
)

// worker is a bucket under a supervisor. Its statistics are always on.
type worker[K key] struct {
	held *bucket.Bucket[K, value]
	sup  *supervisor.Supervisor
}

func openDataWorker[K key](ctx context.Context, keys []K, _ int, load loadFunc[K]) (store[K], error) {
	return startBucket(ctx, loader.Funcs[K, value]{
		LoadFunc: load,
		InitFunc: func(context.Context) (map[K]value, error) { return mapOf(keys), nil },
	})
}

// startBucket starts a bucket that refreshes only when it is told to.
func startBucket[K key](ctx context.Context, funcs loader.Funcs[K, value], opts ...bucket.Option) (*worker[K], error) {
	logger := silent()
	opts = append([]bucket.Option{bucket.RefreshEvery(0), bucket.Logger(logger)}, opts...)
	held := bucket.New("bench", funcs, opts...)
	sup := supervisor.New(actor.NewSystem(logger), supervisor.Logger(logger))
	if err := sup.Start(ctx, held); err != nil {
		return nil, err
	}
	return &worker[K]{held, sup}, nil
}

// silent is a logger whose lines would only get in the way of the tables.
func silent() *logrus.Logger {
	logger := logrus.New()
	logger.SetOutput(io.Discard)
	return logger
}

func (w *worker[K]) Get(ctx context.Context, key K) (value, error) { return w.held.Fetch(ctx, key) }

func (w *worker[K]) Set(ctx context.Context, key K, v value) error {
	return w.held.DirectSet(ctx, key, v)
}

func (w *worker[K]) Close() error { return w.sup.Stop(context.Background()) }

// echo is the least that an actor can do for its asker.
type echo struct {
	system *protoactor.ActorSystem
	pid    *protoactor.PID
}

func startEcho() echo {
	system := actor.NewSystem(silent())
	return echo{system, system.Root.Spawn(protoactor.PropsFromFunc(func(ctx protoactor.Context) {
		if msg, ok := ctx.Message().(bucket.Fetch); ok {
			ctx.Respond(bucket.Found{Value: msg.Key})
		}
	}))}
}

func (e echo) stop(ctx context.Context) error { return actor.Stop(ctx, e.system, e.pid) }
