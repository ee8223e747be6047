package cluster

import (
	"fmt"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"github.com/asynkron/protoactor-go/remote"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/dataworker-go/dataworker/bucket"
)

// watch stands between the network and protoactor's remote, which believes all that it reads: a
// message of a type that is not linked into this program, or a number that is out of its range,
// would end the process, where nobody recovers.
func (b *Border) watch(server any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = status.Errorf(codes.InvalidArgument, "cluster: unreadable: %v", p)
			b.log.WithField("panic", p).Error("a connection from another member brought what cannot be read, and is closed")
		}
	}()
	return handle(server, &watched{stream, b})
}

// watched is a stream whose batches have nothing in them that is not understood.
type watched struct {
	grpc.ServerStream
	border *Border
}

// RecvMsg implements grpc.ServerStream.
func (w *watched) RecvMsg(msg any) error {
	if err := w.ServerStream.RecvMsg(msg); err != nil {
		return err
	}
	if received, ok := msg.(*remote.RemoteMessage); ok {
		if batch := received.GetMessageBatch(); batch != nil {
			w.border.inspect(batch)
		}
	}
	return nil
}

// inspect takes out of a batch what is of a type that this program does not know, and tells those
// who have sent it.
func (b *Border) inspect(batch *remote.MessageBatch) {
	unknown := map[int32]bool{}
	for i, name := range batch.GetTypeNames() {
		if _, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName(name)); err != nil {
			unknown[int32(i)] = true
		}
	}
	kept := batch.GetEnvelopes()[:0]
	for _, envelope := range batch.GetEnvelopes() {
		if !unknown[envelope.GetTypeId()] {
			kept = append(kept, envelope)
			continue
		}
		b.turnAway(batch, envelope)
	}
	batch.Envelopes = kept
}

// turnAway tells the sender of a message that this program does not know it.
func (b *Border) turnAway(batch *remote.MessageBatch, envelope *remote.MessageEnvelope) {
	name := batch.GetTypeNames()[envelope.GetTypeId()]
	target := batch.GetTargets()[envelope.GetTarget()]
	b.log.WithField("type", name).WithField("for", target.String()).
		Error("another member sends a message of a type that is not linked into this program: update this one")
	if i := envelope.GetSender(); i > 0 {
		sender := batch.GetSenders()[i-1]
		to := &protoactor.PID{Address: sender.GetAddress(), Id: sender.GetId(), RequestId: envelope.GetSenderRequestId()}
		b.system.Root.Send(to, bucket.Failed{Err: fmt.Errorf("%w: %s: update %s", ErrUnknownMessage, name, b.system.Address())})
	}
}
