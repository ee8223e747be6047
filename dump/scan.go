package dump

import (
	"context"
	"fmt"
	"io"
)

// scan reads the frames of a file from front to back and finds out where what can be
// believed ends.
//
//	header │ slots │ snapshot, snapshot, ... end │ batch, batch, ...          │
//	               │ damage here is damage       │ damage here, or a tear?    │
//
// A file gets its name only when the snapshot is complete and synced, so whatever is wrong
// up to the end of the snapshot is damage. Behind it a crash may have torn the last write,
// and that is no damage: nobody was told that it was there to stay. The two are told apart
// by promises: a length slot, or a later frame, that says that the place had been synced.
type scan struct {
	path string
	file io.ReaderAt
	size int64
	head *header
	slot slot

	offset int64  // of the next frame
	first  uint64 // records before it
	batch  bool   // the snapshot is complete
	body   int64  // where the batches begin
	window window
}

// tear is what a crash left of the last write.
type tear struct {
	offset int64
	reason string
}

func newScan(path string, file io.ReaderAt, size int64, head *header, best slot) *scan {
	return &scan{
		path: path, file: file, size: size, head: head, slot: best,
		offset: head.frames(),
		window: window{path: path, file: file, size: size},
	}
}

// run gives every frame to each, which may keep the payload. It returns the tear that the
// file ends with, if any.
func (s *scan) run(ctx context.Context, each func(frame) error) (*tear, error) {
	for s.offset < s.size {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		f, next, bad, err := s.next()
		if err != nil {
			return nil, err
		}
		if bad != "" {
			return s.judge(bad)
		}
		if f.kind == frameEnd {
			s.batch, s.body = true, next
		}
		if err := each(f); err != nil {
			return nil, err
		}
		s.offset = next
	}
	if !s.batch {
		return nil, s.corrupt(s.size, "the snapshot has no end")
	}
	return nil, nil
}

// next reads the frame at s.offset. bad says why there is none; an error, that what is
// there is undamaged and yet cannot be.
func (s *scan) next() (f frame, next int64, bad string, err error) {
	left := s.size - s.offset
	if left < frameHeader {
		return f, 0, fmt.Sprintf("%d bytes are not even the header of a frame", left), nil
	}
	b, err := s.window.read(s.offset, frameHeader)
	if err != nil {
		return f, 0, "", err
	}
	head, ok := openHead(b, s.offset, s.head.seed)
	if !ok {
		return f, 0, "the checksum of a frame's header is wrong", nil
	}
	if err := s.plausible(head); err != nil {
		return f, 0, "", err
	}
	if head.padded() > left-frameHeader {
		return f, 0, fmt.Sprintf("a frame takes %d bytes, and only %d are left", head.padded(), left-frameHeader), nil
	}

	padded, err := s.window.read(s.offset+frameHeader, head.padded())
	if err != nil {
		return f, 0, "", err
	}
	if !head.intact(padded, s.head.seed) {
		return f, 0, "the checksum of a frame is wrong", nil
	}
	f = frame{offset: s.offset, kind: head.kind, first: head.first, synced: head.synced, payload: padded[:head.length:head.length]}
	if f.records, err = s.count(f); err != nil {
		return f, 0, "", err
	}
	s.first += uint64(f.records)
	return f, s.offset + frameHeader + head.padded(), "", nil
}

// plausible refuses what only a newer or a faulty writer can have written.
func (s *scan) plausible(head frameHead) error {
	switch {
	case head.flags != 0, head.kind < frameSnapshot, head.kind > frameBatch:
		return &Error{
			Path: s.path, Offset: s.offset, Kind: ErrVersion,
			Reason: fmt.Sprintf("a frame of kind %d with flags %#x, which this program does not know: use a newer one", head.kind, head.flags),
		}
	case head.length > MaxBatch:
		return s.corrupt(s.offset, fmt.Sprintf("a frame of %d bytes, and %d are allowed", head.length, MaxBatch))
	case head.first != s.first:
		return s.corrupt(s.offset, fmt.Sprintf("a frame that begins with record %d follows one that ends before %d", head.first, s.first))
	case head.synced > s.offset:
		return s.corrupt(s.offset, fmt.Sprintf("a frame promises that %d bytes were synced", head.synced))
	case s.batch != (head.kind == frameBatch):
		return s.corrupt(s.offset, fmt.Sprintf("a frame of kind %d is out of place", head.kind))
	case head.kind == frameEnd && (head.length != 0 || head.first != s.head.records):
		return s.corrupt(s.offset, fmt.Sprintf("the snapshot ends after %d records, and should have %d", head.first, s.head.records))
	}
	return nil
}

// count looks through the records of a frame, so that those who get it need not doubt it.
func (s *scan) count(f frame) (records int, err error) {
	for rest := f.payload; len(rest) > 0; records++ {
		var r rawRecord
		at := f.place(rest)
		if r, rest, err = nextRecord(rest); err != nil {
			return 0, s.corrupt(at, err.Error())
		}
		if r.deleted && f.kind == frameSnapshot {
			return 0, s.corrupt(at, "a snapshot that deletes")
		}
	}
	return records, nil
}

// judge says whether what is wrong at s.offset is a tear or damage.
func (s *scan) judge(bad string) (*tear, error) {
	switch {
	case !s.batch:
		return nil, s.corrupt(s.offset, bad+"; it is part of the snapshot, which was complete")
	case s.offset < s.slot.length:
		return nil, s.corrupt(s.offset, fmt.Sprintf("%s; all up to %d had been synced", bad, s.slot.length))
	}
	promise, err := s.laterPromise()
	if err != nil {
		return nil, err
	}
	if promise >= 0 {
		return nil, s.corrupt(s.offset, fmt.Sprintf("%s; a frame at %d says that it had been synced", bad, promise))
	}
	return &tear{s.offset, bad}, nil
}

// laterPromise looks for a frame behind the bad one that was made when that had been
// synced, and returns where it is, or -1.
func (s *scan) laterPromise() (int64, error) {
	const step = 64 << 10
	for from := s.offset + frameAlign; s.size-from >= frameHeader; from += step {
		b, err := s.window.read(from, min(step+frameHeader, s.size-from))
		if err != nil {
			return 0, err
		}
		for at := 0; at < step && len(b)-at >= frameHeader; at += frameAlign {
			offset := from + int64(at)
			head, ok := openHead(b[at:], offset, s.head.seed)
			if ok && head.synced > s.offset {
				return offset, nil
			}
		}
	}
	return -1, nil
}

func (s *scan) corrupt(offset int64, reason string) error {
	return &Error{Path: s.path, Offset: offset, Kind: ErrCorrupt, Reason: reason}
}

// window reads a file in large pieces. What it returns is never overwritten, so it can be
// kept, and what is kept keeps one piece alive and not the file.
type window struct {
	path  string
	file  io.ReaderAt
	size  int64 // of the file
	start int64
	bytes []byte
}

const (
	windowSize = 512 << 10
	largeFrame = 64 << 10
)

// read returns n bytes from offset on. The caller knows that the file has them; a window
// is never larger than what is left of it.
func (w *window) read(offset, n int64) ([]byte, error) {
	if offset < w.start || offset+n > w.start+int64(len(w.bytes)) {
		size := int64(windowSize)
		if n >= largeFrame { // it has a piece for itself, with the header behind it
			size = n + frameHeader
		}
		next := make([]byte, min(size, w.size-offset))
		had := 0
		if end := w.start + int64(len(w.bytes)); offset >= w.start && offset < end {
			had = copy(next, w.bytes[offset-w.start:])
		}
		if err := readAt(w.path, w.file, next[had:], offset+int64(had)); err != nil {
			return nil, err
		}
		w.start, w.bytes = offset, next
	}
	at := offset - w.start
	return w.bytes[at : at+n : at+n], nil
}
