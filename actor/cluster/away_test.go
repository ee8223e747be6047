//go:build !race

package cluster_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/dataworker-go/dataworker/actor"
	"github.com/dataworker-go/dataworker/actor/cluster"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

// bytesOf is a source whose keys say how large their values are.
func bytesOf() loader.Loader[int, []byte] {
	return loader.Func(func(_ context.Context, size int) ([]byte, error) { return bytes.Repeat([]byte{7}, size), nil })
}

func TestBorder_carries_what_is_larger_than_the_transport_takes(t *testing.T) {
	b := bucket.New("blobs", bytesOf(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	for _, size := range []int{0, 1, 60 << 10, 64 << 10, 65 << 10, 5 << 20, 40 << 20} {
		found, ok := here.ask(t, there.pid(b), bucket.Fetch{Key: size}).(bucket.Found)
		require.True(t, ok, "%d bytes", size)
		require.True(t, bytes.Equal(bytes.Repeat([]byte{7}, size), found.Value.([]byte)), "%d bytes", size)
	}
}

func TestBorder_refuses_what_is_too_large_and_goes_on(t *testing.T) {
	b := bucket.New("blobs", bytesOf(), quiet())
	options := []cluster.Option{cluster.Carry(b), cluster.MaxMessage(1 << 20)}
	here, there := join(t, options...), join(t, options...)
	there.start(t, b)
	failed := here.ask(t, there.pid(b), bucket.Fetch{Key: 5 << 20}).(bucket.Failed)
	require.ErrorIs(t, failed.Err, cluster.ErrTooLarge)
	require.ErrorContains(t, failed.Err, "raise MaxMessage")
	failed = here.ask(t, there.pid(b), bucket.Set{Key: 1, Value: make([]byte, 2<<20)}).(bucket.Failed)
	require.ErrorIs(t, failed.Err, cluster.ErrTooLarge)
	assert.IsType(t, bucket.Found{}, here.ask(t, there.pid(b), bucket.Fetch{Key: 10}))
}

func TestBorder_says_that_an_answer_is_too_large_where_it_leaves(t *testing.T) {
	b := bucket.New("blobs", bytesOf(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b), cluster.MaxMessage(1<<20))
	there.start(t, b)
	failed := here.ask(t, there.pid(b), bucket.Fetch{Key: 5 << 20}).(bucket.Failed)
	require.ErrorIs(t, failed.Err, cluster.ErrTooLarge)
}

// One member allows more than the other.
func TestBorder_refuses_what_is_too_large_where_it_arrives(t *testing.T) {
	b := bucket.New("blobs", bytesOf(), quiet())
	here, there := join(t, cluster.Carry(b), cluster.MaxMessage(1<<20)), join(t, cluster.Carry(b))
	there.start(t, b)
	failed := here.ask(t, there.pid(b), bucket.Fetch{Key: 5 << 20}).(bucket.Failed)
	require.ErrorIs(t, failed.Err, cluster.ErrTooLarge)
	assert.IsType(t, bucket.Found{}, here.ask(t, there.pid(b), bucket.Fetch{Key: 10}))
}

func TestBorder_answers_each_of_a_burst(t *testing.T) {
	const questions, size = 5_000, 10 << 10
	b := bucket.New("blobs", bytesOf(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	pid := there.pid(b)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var askers sync.WaitGroup
	for range questions {
		askers.Go(func() {
			found, err := actor.Ask[bucket.Found](ctx, here.ActorSystem, pid, bucket.Fetch{Key: size})
			if assert.NoError(t, err) {
				assert.Len(t, found.Value, size)
			}
		})
	}
	askers.Wait()
}

func TestBorder_lists_a_million_keys(t *testing.T) {
	seed := make(map[int][]byte, 1_000_000)
	for i := range 1_000_000 {
		seed[i] = nil
	}
	b := bucket.New("blobs", loader.Funcs[int, []byte]{
		LoadFunc: bytesOf().Load,
		InitFunc: func(context.Context) (map[int][]byte, error) { return seed, nil },
	}, quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	assert.Len(t, here.ask(t, there.pid(b), bucket.Keys{}).(bucket.KeyList).Keys, len(seed))
}

func TestBorder_says_that_the_other_member_has_another_codec(t *testing.T) {
	ours := bucket.New("widgets", widgets(), quiet())
	tests := []struct {
		name   string
		theirs *bucket.Bucket[string, widget]
		says   string
	}{
		{"codec", bucket.New("widgets", widgets(), quiet(), bucket.Codec(dump.JSON())), "by json"},
		{"schema", bucket.New("widgets", widgets(), quiet(), bucket.Schema(2)), "schema 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			here, there := join(t, cluster.Carry(ours)), join(t, cluster.Carry(tt.theirs))
			there.start(t, tt.theirs)
			failed, ok := here.ask(t, there.pid(tt.theirs), bucket.Fetch{Key: "a"}).(bucket.Failed)
			require.True(t, ok)
			require.ErrorIs(t, failed.Err, cluster.ErrNotCarried)
			require.ErrorContains(t, failed.Err, tt.says)
			assert.NotEmpty(t, here.log.AllEntries())
			failed, ok = here.ask(t, there.pid(tt.theirs), bucket.Set{Key: "a", Value: widget{}}).(bucket.Failed)
			require.True(t, ok)
			require.ErrorIs(t, failed.Err, cluster.ErrNotCarried)
			assert.NotEmpty(t, there.log.AllEntries())
		})
	}
}

func TestBorder_says_that_a_bucket_is_not_carried(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet())
	here, there := join(t), join(t, cluster.Carry(b))
	there.start(t, b)
	failed := here.ask(t, there.pid(b), bucket.Fetch{Key: "a"}).(bucket.Failed)
	require.ErrorIs(t, failed.Err, cluster.ErrNotCarried)
	require.ErrorContains(t, failed.Err, "name it with Carry")
	failed = there.ask(t, protoactor.NewPID(here.Address(), "nobody"), bucket.Set{Key: "a", Value: 7}).(bucket.Failed)
	require.ErrorIs(t, failed.Err, cluster.ErrNotCarried)
}

func TestBorder_carries_subscriptions(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	changes := make(chan bucket.Changes, 100)
	follower, err := here.Root.SpawnNamed(protoactor.PropsFromFunc(func(c protoactor.Context) {
		if msg, ok := c.Message().(bucket.Changes); ok {
			changes <- msg
		}
	}), "follower")
	require.NoError(t, err)
	defer func() { require.NoError(t, actor.Stop(context.Background(), here.ActorSystem, follower)) }()
	require.Equal(t, bucket.Done{}, here.ask(t, there.pid(b), bucket.Subscribe{To: follower}))
	require.NoError(t, b.DirectSet(t.Context(), "a", widget{Name: "new"}))
	require.NoError(t, b.Delete(t.Context(), "a"))
	var kinds []bucket.ChangeKind
	for len(kinds) < 2 {
		for _, change := range (<-changes).Changes {
			assert.Equal(t, "a", change.Key)
			kinds = append(kinds, change.Kind)
			assert.EqualValues(t, len(kinds), change.Seq)
		}
	}
	assert.Equal(t, []bucket.ChangeKind{bucket.Added, bucket.Removed}, kinds)
	require.Equal(t, bucket.Done{}, here.ask(t, there.pid(b), bucket.Unsubscribe{To: follower}))
}

func TestBorder_carries_what_a_bucket_says_of_itself(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet(), bucket.File(t.TempDir()+"/widgets.dump"))
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	_, err := b.Fetch(t.Context(), "a")
	require.NoError(t, err)
	_, err = b.Refresh(t.Context())
	require.NoError(t, err)
	got := here.ask(t, there.pid(b), bucket.Inspect{}).(bucket.Status)
	assert.Equal(t, "widgets", got.Name)
	assert.Equal(t, b.Health().State, got.Health.State)
	assert.Equal(t, 1, got.Stats.Entries)
	assert.Equal(t, b.Stats().LastRefresh, got.Stats.LastRefresh)
	config, err := b.Config()
	require.NoError(t, err)
	assert.Equal(t, config.File, got.Config.File)
	assert.Equal(t, config.Sync, got.Config.Sync)
	assert.Equal(t, config.LoadTimeout, got.Config.LoadTimeout)
}

func TestBorder_lets_other_messages_pass(t *testing.T) {
	here, there := join(t), join(t)
	echo, err := there.Root.SpawnNamed(protoactor.PropsFromFunc(func(c protoactor.Context) {
		if msg, ok := c.Message().(*wrapperspb.StringValue); ok {
			c.Respond(wrapperspb.String(msg.GetValue() + c.MessageHeader().Get("more")))
		}
	}), "echo")
	require.NoError(t, err)
	pid := protoactor.NewPID(there.Address(), echo.Id)
	answer := here.ask(t, pid, wrapperspb.String("hello")).(*wrapperspb.StringValue)
	assert.Equal(t, "hello", answer.GetValue())
	_, err = actor.Ask[any](t.Context(), here.ActorSystem, protoactor.NewPID(there.Address(), "nobody"), wrapperspb.String(""))
	require.ErrorIs(t, err, actor.ErrNoActor)

	over := make(chan *protoactor.PID)
	watcher, err := here.Root.SpawnNamed(protoactor.PropsFromFunc(func(c protoactor.Context) {
		switch msg := c.Message().(type) {
		case *protoactor.Started:
			c.Watch(pid)
		case *protoactor.Terminated:
			over <- msg.Who
		}
	}), "watcher")
	require.NoError(t, err)
	here.Root.Stop(pid)
	assert.Equal(t, pid.String(), (<-over).String(), "a watch and a stop pass, too")
	require.NoError(t, actor.Stop(t.Context(), here.ActorSystem, watcher))
}

func TestBorder_keeps_the_header(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	heard := make(chan string, 1)
	ear, err := there.Root.SpawnNamed(protoactor.PropsFromFunc(func(c protoactor.Context) {
		if msg, ok := c.Message().(bucket.Delete); ok {
			heard <- msg.Key.(string) + c.MessageHeader().Get("trace")
		}
	}), "ear")
	require.NoError(t, err)
	defer func() { require.NoError(t, actor.Stop(context.Background(), there.ActorSystem, ear)) }()
	envelope := protoactor.WrapEnvelope(bucket.Delete{Key: "a"})
	envelope.SetHeader("trace", "7")
	here.Root.Send(protoactor.NewPID(there.Address(), ear.Id), envelope)
	assert.Equal(t, "a7", <-heard)
}

// stream opens a connection to a member as another member does.
func stream(t *testing.T, m *member) remote.Remoting_ReceiveClient {
	t.Helper()
	conn, err := grpc.NewClient(m.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, conn.Close()) })
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	t.Cleanup(cancel)
	s, err := remote.NewRemotingClient(conn).Receive(ctx)
	require.NoError(t, err)
	return s
}

func batch(b *remote.MessageBatch) *remote.RemoteMessage {
	return &remote.RemoteMessage{MessageType: &remote.RemoteMessage_MessageBatch{MessageBatch: b}}
}

func TestBorder_survives_a_message_of_a_newer_member(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)
	waiting := make(chan any, 1)
	asker, err := here.Root.SpawnNamed(protoactor.PropsFromFunc(func(c protoactor.Context) {
		if msg, ok := c.Message().(bucket.Failed); ok {
			waiting <- msg.Err
		}
	}), "asker")
	require.NoError(t, err)
	defer func() { require.NoError(t, actor.Stop(context.Background(), here.ActorSystem, asker)) }()

	for _, tt := range []struct {
		name, typeName string
		data           []byte
	}{
		{"of an unknown type", "dataworker.wire.v9.Message", nil},
		{"with an unknown body", "dataworker.wire.v1.Message", []byte{0xfa, 0x3e, 0x01, 'x'}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			require.NoError(t, stream(t, there).Send(batch(&remote.MessageBatch{
				TypeNames: []string{tt.typeName},
				Targets:   []*protoactor.PID{there.pid(b)},
				Senders:   []*protoactor.PID{protoactor.NewPID(here.Address(), asker.Id)},
				Envelopes: []*remote.MessageEnvelope{{Sender: 1, MessageData: tt.data}},
			})))
			require.ErrorIs(t, (<-waiting).(error), cluster.ErrUnknownMessage)
			assert.NotEmpty(t, there.log.AllEntries())
			assert.IsType(t, bucket.Found{}, here.ask(t, there.pid(b), bucket.Fetch{Key: "a"}))
		})
	}
}

func TestBorder_survives_rubbish(t *testing.T) {
	b := bucket.New("widgets", widgets(), quiet())
	here, there := join(t, cluster.Carry(b)), join(t, cluster.Carry(b))
	there.start(t, b)

	conn, err := net.Dial("tcp", there.Address())
	require.NoError(t, err)
	_, err = conn.Write(bytes.Repeat([]byte("rubbish\n"), 1000))
	require.NoError(t, err)
	require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
	for err == nil {
		_, err = conn.Read(make([]byte, 1<<16))
	}
	require.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the connection is closed")
	require.NoError(t, conn.Close())

	name := string(proto.MessageName(wrapperspb.String("")))
	target := []*protoactor.PID{there.pid(b)}
	for what, rubbish := range map[string]*remote.MessageBatch{
		"no type":          {Targets: target, Envelopes: []*remote.MessageEnvelope{{}}},
		"no target":        {TypeNames: []string{name}, Envelopes: []*remote.MessageEnvelope{{}}},
		"no sender":        {TypeNames: []string{name}, Targets: target, Envelopes: []*remote.MessageEnvelope{{Sender: 1}}},
		"negative":         {TypeNames: []string{name}, Targets: target, Envelopes: []*remote.MessageEnvelope{{TypeId: -1}}},
		"no such encoding": {TypeNames: []string{name}, Targets: target, Envelopes: []*remote.MessageEnvelope{{SerializerId: 7}}},
		"no protobuf": {TypeNames: []string{"dataworker.wire.v1.Message"}, Targets: target, Envelopes: []*remote.MessageEnvelope{
			{MessageData: []byte("rubbish")},
		}},
	} {
		t.Run(what, func(t *testing.T) {
			s := stream(t, there)
			require.NoError(t, s.Send(batch(rubbish)))
			_, err := s.Recv()
			require.Error(t, err, "the connection is closed")
			assert.IsType(t, bucket.Found{}, here.ask(t, there.pid(b), bucket.Fetch{Key: "a"}), "and others are served")
		})
	}
}

// authority certifies members.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	require.NoError(t, err)
	cert, err := x509.ParseCertificate(der)
	require.NoError(t, err)
	return authority{key, cert}
}

// member makes the configuration of a member that a certifies, and that believes those whom a certifies.
func (a authority) member(t *testing.T) *tls.Config {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "member"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &key.PublicKey, a.key)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	return &tls.Config{MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}, RootCAs: roots}
}

func TestBorder_with_TLS_serves_members_only(t *testing.T) {
	a := newAuthority(t)
	b := bucket.New("widgets", widgets(), quiet())
	there := join(t, cluster.Carry(b), cluster.TLS(a.member(t)))
	there.start(t, b)
	friend := join(t, cluster.Carry(b), cluster.TLS(a.member(t)))
	assert.IsType(t, bucket.Found{}, friend.ask(t, there.pid(b), bucket.Fetch{Key: "a"}))

	for name, options := range map[string][]cluster.Option{
		"without":             {cluster.Carry(b)},
		"certified by others": {cluster.Carry(b), cluster.TLS(newAuthority(t).member(t))},
	} {
		t.Run(name, func(t *testing.T) {
			stranger := join(t, options...)
			ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
			defer cancel()
			_, err := actor.Ask[bucket.Found](ctx, stranger.ActorSystem, there.pid(b), bucket.Fetch{Key: "b"})
			require.Error(t, err)
			_, held := b.DirectGet("b")
			assert.False(t, held)
		})
	}
	assert.IsType(t, bucket.Found{}, friend.ask(t, there.pid(b), bucket.Fetch{Key: "c"}))

	for name, certificates := range map[string][]tls.Certificate{
		"who shows nothing":          nil,
		"whom others have certified": newAuthority(t).member(t).Certificates,
	} {
		t.Run(name, func(t *testing.T) {
			config := a.member(t)
			config.Certificates = certificates
			conn, err := tls.Dial("tcp", there.Address(), config)
			if err == nil {
				_, err = conn.Read(make([]byte, 1)) // the word of the other side comes after the handshake
				require.NoError(t, conn.Close())
			}
			require.ErrorContains(t, err, "certificate")
		})
	}
}
