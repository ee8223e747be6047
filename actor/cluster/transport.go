package cluster

import (
	"crypto/tls"
	"fmt"
	"net"

	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
)

const (
	// nowhere is the address of an actor system without a remote.
	nowhere = "nonhost"

	// batchSize is how many messages protoactor sends at once. With the size of a part it bounds
	// what arrives at once. Its own 1 000 messages would be more than gRPC takes: it tears the
	// connection down then, and they are lost.
	batchSize = 128

	// maxBatch is what arrives at once at most, with room for what is around the parts, and for
	// messages of others that are larger.
	maxBatch = 2 * batchSize * partSize

	// queueSize is what protoactor sets aside for each other member. It grows.
	queueSize = 1000
)

// Remote makes the configuration of protoactor's remote: the limits that fit together, [TLS], and a
// watch over what comes in. It is for remote.NewRemote, or for cluster.Configure of protoactor. Port
// 0 is any. The options are protoactor's, and win over ours; its ServerOptions and DialOptions replace
// all of them, TLS and limits included.
//
// The error is an [ErrConfig]: without TLS the host must be this machine, unless one has said
// [TrustTheNetwork].
func (b *Border) Remote(host string, port int, options ...remote.ConfigOption) (*remote.Config, error) {
	server := []grpc.ServerOption{
		grpc.MaxRecvMsgSize(maxBatch),
		grpc.ChainStreamInterceptor(b.watch),
	}
	var dial []grpc.DialOption
	switch {
	case b.settings.tls != nil:
		serving, calling, err := bothRoles(b.settings.tls)
		if err != nil {
			return nil, err
		}
		server = append(server, grpc.Creds(credentials.NewTLS(serving)))
		dial = append(dial, grpc.WithTransportCredentials(credentials.NewTLS(calling)))
	case !b.settings.trusting && !loopback(host):
		return nil, fmt.Errorf("%w: Remote(%q): other machines can connect, and send any message to any actor: "+
			"give TLS, or a host such as 127.0.0.1, or say TrustTheNetwork", ErrConfig, host)
	}
	ours := []remote.ConfigOption{
		remote.WithServerOptions(server...),
		remote.WithEndpointWriterBatchSize(batchSize),
		remote.WithEndpointWriterQueueSize(queueSize),
	}
	if dial != nil {
		ours = append(ours, remote.WithDialOptions(dial...))
	}
	return remote.Configure(host, port, append(ours, options...)...), nil
}

// loopback says that only this machine can connect.
func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}

// bothRoles makes the configurations of the one who is called and the one who calls.
func bothRoles(config *tls.Config) (serving, calling *tls.Config, err error) {
	if len(config.Certificates) == 0 && config.GetCertificate == nil {
		return nil, nil, fmt.Errorf("%w: TLS without Certificates: a member has to show who it is", ErrConfig)
	}
	if config.RootCAs == nil {
		return nil, nil, fmt.Errorf("%w: TLS without RootCAs: name who may certify a member, or anybody whom a "+
			"public authority knows is one", ErrConfig)
	}
	serving, calling = config.Clone(), config.Clone()
	serving.ClientAuth = tls.RequireAndVerifyClientCert
	if serving.ClientCAs == nil {
		serving.ClientCAs = config.RootCAs
	}
	return serving, calling, nil
}
