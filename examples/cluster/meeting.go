package main

import (
	"context"
	"fmt"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/automanaged"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// meeting is how the members find each other.
type meeting struct {
	Kind      string
	Endpoints []string // of etcd
	Key       string   // under which they meet there
}

// provider makes protoactor's provider for a member.
func (m *meeting) provider(args arguments) (protocluster.ClusterProvider, error) {
	if len(m.Endpoints) == 0 {
		return automanaged.NewWithConfig(500*time.Millisecond, args.Health, args.Hosts...), nil
	}
	return etcd.NewWithConfig(m.Key, clientv3.Config{Endpoints: m.Endpoints, DialTimeout: 5 * time.Second})
}

// reach asks etcd for a sign of life. protoactor's provider does not: at an etcd that is not there, a
// member would wait for ever, without a word.
func (m *meeting) reach(ctx context.Context) error {
	client, err := clientv3.New(clientv3.Config{Endpoints: m.Endpoints, Logger: zap.NewNop()})
	if err != nil {
		return err
	}
	defer func() { _ = client.Close() }() // it has only asked
	ctx, stop := context.WithTimeout(ctx, 5*time.Second)
	defer stop()
	if _, err := client.Get(ctx, m.Key); err != nil {
		return fmt.Errorf("%s: %w", m.Kind, err)
	}
	return nil
}
