package main

import (
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/automanaged"
	"github.com/asynkron/protoactor-go/cluster/clusterproviders/etcd"
	clientv3 "go.etcd.io/etcd/client/v3"
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
