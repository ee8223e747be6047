package dump

import (
	"context"
	"errors"
	"sync/atomic"
)

// blocks carries blocks of records from those who make them to the one who writes them. The
// memory goes round, so a dump of any size takes a few blocks.
type blocks struct {
	ctx    context.Context
	full   chan block
	empty  chan []byte
	failed atomic.Bool // the writer is through; blocks are only taken

	drained chan struct{} // closed when the writer has ended
	err     error         // why it failed; read after that
}

type block struct {
	bytes   []byte // begins with room for the header of its frame
	records int
}

const (
	blockSize   = 256 << 10 // the unit in which a start works in parallel
	blocksAhead = 4
)

func newBlocks(ctx context.Context) *blocks {
	return &blocks{
		ctx:     ctx,
		full:    make(chan block, blocksAhead),
		empty:   make(chan []byte, blocksAhead+2),
		drained: make(chan struct{}),
	}
}

// next returns an empty block.
func (b *blocks) next() []byte {
	select {
	case used := <-b.empty:
		return used[:frameHeader]
	default:
		return make([]byte, frameHeader, frameHeader+blockSize+blockSize/8)
	}
}

var errNotWritten = errors.New("the blocks before it were not written")

// put hands over a block that is to be written.
func (b *blocks) put(work block) error {
	if b.failed.Load() {
		return errNotWritten
	}
	select {
	case b.full <- work:
		return nil
	case <-b.ctx.Done():
		return b.ctx.Err()
	}
}

// feed takes all the blocks that fill makes, and waits until they are written; also if fill
// panics, so that nobody writes any more when it returns.
func (b *blocks) feed(fill func(*blocks) error) (err error) {
	defer func() {
		close(b.full)
		<-b.drained
		if b.err != nil {
			err = b.err
		}
	}()
	return fill(b)
}

// drain writes every block until there are no more, or one fails.
func (b *blocks) drain(write func(block) error) {
	defer close(b.drained)
	for work := range b.full {
		if b.err == nil {
			b.err = write(work)
			b.failed.Store(b.err != nil)
		}
		if cap(work.bytes) > 2*blockSize { // of a huge record; not worth keeping
			continue
		}
		select {
		case b.empty <- work.bytes:
		default:
		}
	}
}
