package dump

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"time"
)

// store is a dump as far as it is bytes: the open file, where it ends, and how much of it
// is surely on the disk.
//
//	fresh ──rewrite──▶ whole ──append──▶ whole
//	                     │ a sync, a close, a truncate failed; the file was stolen
//	                     ▼
//	                   broken ──rewrite──▶ whole
//
// A file that failed to sync is never synced again: the kernel may have dropped what it
// could not write and call the next sync a success. All that is true is in the owner's
// memory, so the repair is a whole new file.
type store struct {
	fs     FS
	path   string
	lock   io.Closer
	policy SyncPolicy
	head   header // of the files to come, but for what is each file's own
	notify func(error)

	rewriting atomic.Bool // there is one at a time

	syncing sync.Mutex // one sync, or switch to a new file, at a time; locked before mu
	mu      sync.Mutex // guards what follows

	file     File // nil while fresh
	current  header
	slot     slot  // as it was last written
	body     int64 // where the batches begin
	end      int64 // of all frames, those that are buffered included
	synced   int64 // all before was synced
	records  uint64
	buffer   []byte // what Buffered has not written; ends at end
	broken   error  // why nothing can be written before a rewrite
	breaks   int    // counts how often that happened
	keepAs   string // the name under which the next rewrite keeps what is at path
	timer    *time.Timer
	closed   bool
	appends  int64
	syncs    int64
	rewrites int64
	lastErr  error

	described atomic.Pointer[Stats] // as it was last seen; for those who may not wait
}

// append writes records as one frame, whole or not at all. b is room for the frame's
// header, and the records.
func (s *store) append(b []byte, records int) (err error) {
	s.mu.Lock()
	end, generation, err := s.appendLocked(b, records)
	s.mu.Unlock()

	if err == nil && s.policy == SyncAlways {
		err = s.syncTo(end, generation)
	}
	return err
}

func (s *store) appendLocked(b []byte, records int) (end int64, generation uint64, err error) {
	if err := s.writable(); err != nil {
		return 0, 0, err
	}
	if err := s.reopen(); err != nil {
		return 0, 0, err
	}
	b = seal(b, frame{offset: s.end, kind: frameBatch, first: s.records, synced: s.synced}, s.current.seed)
	if s.policy == Buffered {
		s.buffer = append(s.buffer, b...)
	} else if err := s.write(b); err != nil {
		return 0, 0, err
	}
	s.end += int64(len(b))
	s.records += uint64(records)
	s.appends++
	if len(s.buffer) >= mostBuffered {
		s.flush() // a failure breaks the dump, and is told; the records are in the owner's memory
	}
	s.arm()
	return s.end, s.current.generation, nil
}

// mostBuffered is how much Buffered keeps in memory.
const mostBuffered = 1 << 20

func (s *store) writable() error {
	switch {
	case s.closed:
		return s.fault(ErrClosed, "", nil)
	case s.broken != nil:
		return s.fault(ErrBroken, "", s.broken)
	}
	return nil
}

// reopen says in the file that it is in use, before the first write to a closed one: a
// power cut must not leave a mark of a length that is no longer exact.
func (s *store) reopen() error {
	if !s.slot.clean {
		return nil
	}
	if err := s.mark(slot{length: s.slot.length}); err != nil {
		return s.failed("marking it as in use", err)
	}
	if err := s.file.Sync(); err != nil {
		return s.breakDown("syncing its mark", err)
	}
	return nil
}

// mark writes a slot.
func (s *store) mark(next slot) error {
	next.counter = s.slot.counter + 1
	if _, err := s.file.WriteAt(next.encode(s.current.seed), next.offset(&s.current)); err != nil {
		return err
	}
	s.slot = next
	return nil
}

// write puts b at the end of the file. What was written in part is taken back, so that the
// next write may succeed; if that fails, nobody knows what is there.
func (s *store) write(b []byte) error {
	if err := s.untouched(s.end); err != nil {
		return err
	}
	_, err := s.file.WriteAt(b, s.end)
	if err == nil {
		return nil
	}
	if undo := s.file.Truncate(s.end); undo != nil {
		return s.breakDown("taking back what was written in part", fmt.Errorf("%w, after %w", undo, err))
	}
	return s.failed("writing", err)
}

// flush writes what Buffered holds back.
func (s *store) flush() {
	if len(s.buffer) == 0 {
		return
	}
	at := s.end - int64(len(s.buffer))
	err := s.untouched(at)
	if err == nil {
		if _, failed := s.file.WriteAt(s.buffer, at); failed != nil {
			err = s.breakDown("writing what was buffered", failed)
		}
	}
	if err != nil {
		s.tell(err)
		return
	}
	s.buffer = s.buffer[:0]
}

// untouched says whether the file ends where it was left. A write to one that another hand
// has cut short would make it long again, with a hole in it.
func (s *store) untouched(end int64) error {
	info, err := s.file.Stat()
	if err != nil {
		return s.breakDown("looking at it", err)
	}
	if info.Size() != end {
		return s.robbed(s.fault(ErrStolen, fmt.Sprintf("it has %d bytes, and was left with %d", info.Size(), end), nil))
	}
	return nil
}

// failed is the error of a write that left everything as it was.
func (s *store) failed(doing string, err error) error {
	s.lastErr = s.fault(ErrIO, doing, err)
	return s.lastErr
}

// breakDown ends all writing until the next rewrite.
func (s *store) breakDown(doing string, err error) error {
	s.broken = s.fault(ErrIO, doing, err)
	s.lastErr = s.broken
	s.breaks++
	s.buffer = nil
	return s.fault(ErrBroken, "", s.broken)
}

func (s *store) fault(kind error, reason string, err error) error {
	// The operating system's error names the file as it was called when it was opened, which
	// was before it took its place.
	if named, ok := err.(*fs.PathError); ok { //nolint:errorlint // only if it is the outermost
		err = named.Err
	}
	return &Error{Path: s.path, Offset: -1, Kind: kind, Reason: reason, Err: err}
}

// tell reports a failure that no caller is there to hear of. It must not hold s.mu up.
func (s *store) tell(err error) {
	if s.notify != nil && err != nil {
		go s.notify(err)
	}
}

// describe returns what Lstat says of the path, nil if nothing is there, and refuses
// what is no file.
func describe(fsys FS, path string) (fs.FileInfo, error) {
	info, err := fsys.Lstat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, &Error{Path: path, Offset: -1, Kind: ErrIO, Reason: "looking at it", Err: err}
	case !info.Mode().IsRegular():
		return nil, &Error{Path: path, Offset: -1, Kind: ErrNotRegular, Reason: fmt.Sprintf("it is a %s: give the path of a file", modeName(info.Mode()))}
	}
	return info, nil
}

func modeName(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "directory"
	case mode&fs.ModeSymlink != 0:
		return "symbolic link"
	case mode&fs.ModeNamedPipe != 0:
		return "named pipe"
	case mode&fs.ModeSocket != 0:
		return "socket"
	case mode&fs.ModeDevice != 0:
		return "device"
	default:
		return "special file"
	}
}
