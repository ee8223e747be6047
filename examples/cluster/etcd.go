package main

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"go.etcd.io/etcd/server/v3/embed"
	"go.uber.org/zap"
)

// atEtcd is a meeting at an etcd that runs at those addresses, or in this process.
func atEtcd(ctx context.Context, where string) (m *meeting, stop func(), err error) {
	m = &meeting{Kind: "etcd at " + where, Key: "/dataworker-example-" + rand.Text()}
	if where != "embedded" {
		m.Endpoints = strings.Split(where, ",")
		return m, func() {}, m.reach(ctx)
	}
	m.Kind = "an embedded etcd"
	endpoint, stop, err := startEtcd()
	m.Endpoints = []string{endpoint}
	return m, stop, err
}

// patienceForEtcd is how long an etcd may take to start.
const patienceForEtcd = time.Minute

// startEtcd runs an etcd of one node on this machine, with its data in a directory of its own.
func startEtcd() (endpoint string, stop func(), err error) {
	dir, err := os.MkdirTemp("", "etcd")
	if err != nil {
		return "", nil, err
	}
	remove := func() { _ = os.RemoveAll(dir) }
	ports, err := freePorts(2)
	if err != nil {
		remove()
		return "", nil, err
	}
	clients, peers := local(ports[0]), local(ports[1])
	config := embed.NewConfig()
	config.Dir = dir
	config.ZapLoggerBuilder = embed.NewZapLoggerBuilder(zap.NewNop())
	config.ListenClientUrls, config.AdvertiseClientUrls = clients, clients
	config.ListenPeerUrls, config.AdvertisePeerUrls = peers, peers
	config.InitialCluster = config.InitialClusterFromName(config.Name)

	server, err := embed.StartEtcd(config)
	if err != nil {
		remove()
		return "", nil, err
	}
	stop = func() {
		server.Close()
		remove()
	}
	select {
	case <-server.Server.ReadyNotify():
		return clients[0].Host, stop, nil
	case err = <-server.Err():
	case <-time.After(patienceForEtcd):
		err = errors.New("it does not get ready")
	}
	stop()
	return "", nil, fmt.Errorf("etcd: %w", err)
}

func local(port int) []url.URL {
	return []url.URL{{Scheme: "http", Host: fmt.Sprintf("127.0.0.1:%d", port)}}
}
