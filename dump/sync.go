package dump

import (
	"errors"
	"fmt"
	"time"
)

// sync makes all that was written survive a power cut.
func (s *store) sync() error { return s.syncTo(-1, 0) }

// syncTo makes what was written before end, in the file of that generation, survive a power
// cut. Callers that come while one sync runs share the next: each waits for the lock, and
// all but the first then find that it is done. A negative end is all there is.
func (s *store) syncTo(end int64, generation uint64) error {
	s.syncing.Lock()
	defer s.syncing.Unlock()

	s.mu.Lock()
	done := s.synced >= end
	if s.current.generation != generation {
		// A new file was synced before it took the place; its directory was synced after it,
		// or that failed, and then a power cut may bring the old one back.
		done = s.broken == nil
	}
	done = done && end >= 0
	if done {
		s.mu.Unlock()
		return nil
	}
	s.flush()
	err := s.writable()
	target, file := s.end, s.file
	done = target == s.synced
	s.mu.Unlock()
	if err != nil {
		return err
	}

	stolen := s.stolen(file, target)
	if stolen == nil && !done {
		err = file.Sync()
	}

	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.broken != nil: // a write has found out something meanwhile
		return s.writable()
	case stolen != nil:
		return s.robbed(stolen)
	case err != nil:
		return s.breakDown("syncing", err)
	}
	if !done {
		s.synced = target
		s.syncs++
	}
	return nil
}

// stolen says that what is at the path is no longer the file that is written to. It is
// asked at every sync.
func (s *store) stolen(file File, length int64) error {
	at, err := file.IsAt(s.path)
	if err != nil {
		return s.fault(ErrIO, "looking for it", err)
	}
	if !at {
		return s.fault(ErrStolen, "it was removed or replaced", nil)
	}
	info, err := file.Stat()
	if err != nil {
		return s.fault(ErrIO, "looking at it", err)
	}
	if info.Size() < length {
		return s.fault(ErrStolen, "it was cut short", nil)
	}
	return nil
}

// robbed is breakDown for a file that was stolen. What is in its place now is somebody
// else's, and kept when it has to make room.
func (s *store) robbed(stolen error) error {
	s.broken, s.lastErr = stolen, stolen
	s.breaks++
	s.buffer = nil
	if errors.Is(stolen, ErrStolen) {
		s.keepAs = asideName(s.path, "replaced")
	}
	return s.writable()
}

// asideName is the name under which a file is kept that has to make room.
func asideName(path, why string) string {
	return fmt.Sprintf("%s.%s-%s", path, why, time.Now().UTC().Format("20060102T150405.000000000"))
}

// arm sets the timer that comes back to what was just written. While nothing is written
// there is none.
func (s *store) arm() {
	interval := s.policy.interval()
	if s.timer != nil || interval == 0 {
		return
	}
	s.timer = time.AfterFunc(interval, s.tick)
}

// tick syncs what was written since the timer was set, and promises it.
func (s *store) tick() {
	err := s.sync()

	s.mu.Lock()
	s.timer = nil
	if s.closed {
		s.mu.Unlock()
		return
	}
	if err == nil {
		err = s.promise()
	}
	if s.broken == nil && s.end > s.synced {
		s.arm()
	}
	s.mu.Unlock()
	s.tell(err)
}

// promise says in a slot how far the file is synced. A frame says so too, but only the next.
func (s *store) promise() error {
	if s.broken != nil || s.slot.length >= s.synced {
		return nil
	}
	if err := s.mark(slot{length: s.synced}); err != nil {
		return s.failed("writing how far it is synced", err)
	}
	return nil
}

// close syncs everything and marks the file as complete: one slot after the other, so that
// at every moment one is whole.
func (s *store) close() error {
	s.syncing.Lock()
	defer s.syncing.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	err := s.finish()
	s.closed = true
	if s.timer != nil {
		s.timer.Stop()
	}
	if s.file != nil {
		if failed := s.file.Close(); failed != nil && err == nil {
			err = s.fault(ErrIO, "closing", failed)
		}
	}
	if failed := s.lock.Close(); failed != nil && err == nil {
		err = s.fault(ErrIO, "giving back its lock", failed)
	}
	return err
}

func (s *store) finish() error {
	s.flush()
	switch {
	case s.file == nil:
		return nil
	case s.broken != nil:
		return s.fault(ErrBroken, "", s.broken)
	}
	if stolen := s.stolen(s.file, s.end); stolen != nil {
		return s.robbed(stolen)
	}
	if s.slot.clean {
		return nil
	}
	if err := s.file.Sync(); err != nil {
		return s.breakDown("syncing", err)
	}
	s.synced = s.end
	for range slotsPerFile {
		if err := s.mark(slot{length: s.end, clean: true}); err != nil {
			return s.failed("marking it as complete", err)
		}
		if err := s.file.Sync(); err != nil {
			return s.breakDown("syncing its mark", err)
		}
	}
	return nil
}
