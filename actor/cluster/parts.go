package cluster

import (
	"fmt"
	"slices"
	"sync"
	"time"

	protoactor "github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
)

// partSize is how much of a message goes in one piece. protoactor sends several messages in one
// batch, which must not be larger than what the other side takes: it would tear the connection down.
const partSize = 64 << 10

// send has a message leave, in parts if it is large. Between two members order is kept, so the parts
// are put together again where they arrive.
func (e *exit) send(pid *protoactor.PID, header protoactor.ReadonlyMessageHeader, msg *wire.Message, sender *protoactor.PID) error {
	size := proto.Size(msg)
	if size > e.settings.maxMessage {
		return fmt.Errorf("%w: %d bytes, and at most %d are allowed: raise MaxMessage in all members, or ask for less",
			ErrTooLarge, size, e.settings.maxMessage)
	}
	if size <= partSize {
		e.r.SendMessage(pid, header, msg, sender, -1)
		return nil
	}
	whole, err := proto.Marshal(msg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotCarried, err)
	}
	id := e.wholes.Add(1)
	count := (len(whole) + partSize - 1) / partSize
	for i := range count {
		data := whole[i*partSize : min((i+1)*partSize, len(whole))]
		e.r.SendMessage(pid, header, &wire.Message{Body: &wire.Message_Part{Part: &wire.Part{
			From: e.system.ID, Id: id, Index: uint32(i), Count: uint32(count), Data: data,
		}}}, sender, -1)
	}
	return nil
}

// partsTimeout is how long after its last part a message is given up that is not whole: the
// connection was lost in between.
const partsTimeout = 30 * time.Second

// parts puts messages together that come in pieces. It is safe for use by many goroutines.
type parts struct {
	mu         sync.Mutex
	open       map[wholeID]*whole
	maxMessage int
}

type wholeID struct {
	from string
	id   uint64
}

type whole struct {
	data  []byte
	next  uint32
	count uint32
	at    time.Time // of the last part
}

func newParts(maxMessage int) *parts {
	return &parts{open: map[wholeID]*whole{}, maxMessage: maxMessage}
}

// add takes a part, and returns the message when it is whole. An error means that it will never be.
func (p *parts) add(part *wire.Part) (*wire.Message, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	id := wholeID{part.GetFrom(), part.GetId()}
	w := p.open[id]
	if part.GetIndex() == 0 {
		p.sweep()
		w = &whole{count: part.GetCount()}
		p.open[id] = w
	}
	if w == nil {
		return nil, nil // the rest of one that has been given up
	}
	if part.GetIndex() != w.next || part.GetCount() != w.count {
		delete(p.open, id)
		return nil, fmt.Errorf("%w: part %d of %d is missing", ErrNotCarried, w.next+1, w.count)
	}
	if len(w.data)+len(part.GetData()) > p.maxMessage {
		delete(p.open, id)
		return nil, fmt.Errorf("%w: at most %d bytes are allowed here: raise MaxMessage in all members, or ask for less",
			ErrTooLarge, p.maxMessage)
	}
	w.data = append(w.data, part.GetData()...)
	w.at = time.Now()
	if w.next++; w.next < w.count {
		return nil, nil
	}
	delete(p.open, id)
	msg := &wire.Message{}
	if err := proto.Unmarshal(slices.Clip(w.data), msg); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrNotCarried, err)
	}
	return msg, nil
}

// sweep forgets what will never be whole.
func (p *parts) sweep() {
	for id, w := range p.open {
		if time.Since(w.at) > partsTimeout {
			delete(p.open, id)
		}
	}
}
