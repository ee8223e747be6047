package dump

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// contents takes what a file holds.
type contents interface {
	// begin comes first, before anything of a file is given. records is a hint.
	begin(records int)

	// frame takes a frame whose checksum is right, in the order of the file.
	frame(f frame) error

	// end comes last: everything that was given has been taken when it returns. It may be
	// called again, and then begin, too.
	end() error
}

// storeOptions are the options of a dump, as far as they are about bytes.
type storeOptions struct {
	fs        FS
	policy    SyncPolicy
	onCorrupt CorruptPolicy
	notify    func(error)
	accept    func(path string, found *header) error // whose file is it?
	head      header                                 // of the files to come
	remedy    string                                 // for a file that is damaged
}

const maxTorn = 1 << 20

// openStore opens the file at path, or what is to become one, for writing.
func openStore(ctx context.Context, path string, o storeOptions, into contents) (*store, Recovery, error) {
	began := time.Now()
	resolved, err := o.fs.Resolve(path)
	if err != nil {
		return nil, Recovery{}, &Error{Path: path, Offset: -1, Kind: ErrIO, Reason: "looking for its directory", Err: err}
	}
	path = resolved
	if _, err := describe(o.fs, path); err != nil {
		return nil, Recovery{}, err
	}
	lock, err := o.fs.Lock(path + ".lock")
	if err != nil {
		return nil, Recovery{}, lockError(path, err)
	}

	opening := opening{options: o, into: into}
	opening.store = &store{fs: o.fs, path: path, lock: lock, policy: o.policy, head: o.head, notify: o.notify}
	opened := false
	defer func() { // also when a codec ends the goroutine
		if !opened {
			opening.store.giveUp()
		}
	}()
	if err := opening.run(ctx); err != nil {
		return nil, opening.found, err
	}
	opened = true
	opening.store.sweepLeftovers()
	opening.found.Took = time.Since(began)
	return opening.store, opening.found, nil
}

// giveUp closes what was only read.
func (s *store) giveUp() {
	if s.file != nil {
		_ = s.file.Close()
	}
	_ = s.lock.Close()
}

func lockError(path string, err error) error {
	kind := ErrIO
	switch {
	case errors.Is(err, ErrLocked):
		return &Error{Path: path, Offset: -1, Kind: ErrLocked, Reason: strings.TrimPrefix(err.Error(), ErrLocked.Error()+": ")}
	case isReadOnly(err):
		kind = ErrReadOnly
	}
	return &Error{Path: path, Offset: -1, Kind: kind, Reason: "making its lock", Err: err}
}

// opening is the way from a locked path to a store.
type opening struct {
	store   *store
	options storeOptions
	into    contents
	found   Recovery
	began   bool // into has been given something
}

func (o *opening) run(ctx context.Context) error {
	s := o.store
	info, err := describe(s.fs, s.path)
	if err != nil {
		return err
	}
	if info == nil {
		return o.nothing()
	}
	if s.file, err = openFile(s.fs, s.path); err != nil {
		return err
	}
	if err := s.file.Lock(); err != nil {
		return lockError(s.path, err)
	}
	if info, err = s.file.Stat(); err != nil {
		return s.fault(ErrIO, "looking at it", err)
	}
	if info.Size() == 0 {
		// There is no dump that is empty, so this is not the damage of one.
		_, err := readHeader(s.path, s.file, 0)
		return err
	}
	err = o.read(ctx, info.Size())
	switch {
	case !isDamage(err):
		return err
	case o.options.onCorrupt == Fail:
		return advised(err, o.options.remedy)
	}
	return o.putAside(err)
}

const whatToDo = "put a copy in its place, remove it, or open it with OnCorrupt Quarantine or SalvagePrefix"

// advised adds to an error what can be done about it.
func advised(err error, remedy string) error {
	var damage *Error
	if remedy == "" || !errors.As(err, &damage) {
		return err
	}
	advised := *damage
	advised.Reason += ": " + remedy
	return &advised
}

// read reads a file into o.into.
func (o *opening) read(ctx context.Context, size int64) error {
	s := o.store
	head, err := readHeader(s.path, s.file, size)
	if err != nil {
		return err
	}
	if err := o.options.accept(s.path, head); err != nil {
		return err
	}
	s.current = *head
	o.found.Generation, o.found.Partial = head.generation, head.partial
	if head.freshAt != 0 {
		o.found.FreshAt = time.Unix(0, head.freshAt)
	}

	salvage := o.options.onCorrupt == SalvagePrefix
	best, damaged, damage := readSlots(s.path, s.file, head, size)
	if damage == nil {
		damage = best.check(s.path, size)
	}
	if damage != nil && (!salvage || !isDamage(damage)) {
		return damage
	}
	o.found.SlotDamaged = damaged

	// A snapshot that is cut short has fewer records than its header says.
	hint := min(head.records, uint64(size)/minRecord)
	o.began = true
	o.into.begin(int(hint))
	defer func() { _ = o.into.end() }() // also if the file system panics
	scan := newScan(s.path, s.file, size, head, best)
	torn, err := scan.run(ctx, o.into.frame)
	whole := err == nil || salvage && isDamage(err)
	if failed := o.into.end(); failed != nil && whole {
		return failed
	}
	o.found.Records = int(scan.first)
	o.found.Cut = size - scan.offset
	switch {
	case !whole: // it is not for the damage that no more was read
		return err
	case damage != nil:
		return damage
	case err != nil:
		return err
	}
	s.slot, s.body, s.end, s.synced, s.records = best, scan.body, scan.offset, best.length, scan.first
	o.settle(torn)
	return nil
}

// settle makes a file that was read fit for writing. If it cannot be made fit, what was read
// is right all the same.
func (o *opening) settle(torn *tear) {
	s := o.store
	o.found.Outcome = Clean
	if s.slot.clean {
		return
	}
	o.found.Outcome = Unclean
	if torn != nil {
		o.found.Outcome = Torn
		o.found.Damage = &Error{Path: s.path, Offset: torn.offset, Kind: ErrCorrupt, Reason: torn.reason}
		o.keepTorn(torn)
		if err := s.file.Truncate(torn.offset); err != nil {
			_ = s.breakDown("cutting off a torn write", err)
			return
		}
	}
	// What a killed process wrote may still be on its way to the disk, and frames to come
	// will promise that it arrived.
	if err := s.file.Sync(); err != nil {
		_ = s.breakDown("syncing what was found", err)
		return
	}
	// Nor need the directory know of the file: it may have got its name just before the kill.
	if err := s.fs.SyncDir(filepath.Dir(s.path)); err != nil {
		_ = s.breakDown("syncing its directory", err)
		return
	}
	s.synced = s.end
}

// keepTorn copies what is cut off. It is worth nothing but to those who want to know what
// happened, so that it cannot be kept is no reason to fail.
func (o *opening) keepTorn(torn *tear) {
	s := o.store
	b := make([]byte, min(o.found.Cut, maxTorn))
	if readAt(s.path, s.file, b, torn.offset) != nil {
		return
	}
	path := fmt.Sprintf("%s.torn-%d-%d", s.path, s.current.generation, torn.offset)
	file, err := s.fs.Create(path, 0o600)
	if err != nil {
		return
	}
	_, err = file.WriteAt(b, 0)
	if failed := file.Close(); err != nil || failed != nil {
		_ = s.fs.Remove(path)
		return
	}
	o.found.Kept = path
}

// nothing is for a path without a file that is worth anything. The first rewrite makes one.
func (o *opening) nothing() error {
	o.store.broken = o.store.fault(ErrBroken, "there is no file yet", nil)
	o.into.begin(0)
	return o.into.end()
}

// putAside opens a damaged file as its owner wants it: with what stands before the damage,
// or with nothing. The file stays where it is until another takes its place.
func (o *opening) putAside(damage error) error {
	s := o.store
	s.keepAs = asideName(s.path, "corrupt")
	o.found.Kept, o.found.Damage = s.keepAs, damage
	if o.options.onCorrupt == SalvagePrefix && o.began {
		o.found.Outcome = Salvaged
		s.broken = s.fault(ErrBroken, "it is damaged", nil)
		return nil
	}
	o.found.Outcome = Quarantined
	o.found.Records, o.found.Cut, o.found.Partial, o.found.FreshAt = 0, 0, false, time.Time{}
	return o.nothing()
}

// sweepLeftovers removes files that a killed process was about to rename. The lock says
// that nobody is about to any more. One that cannot be removed is left to the next opening.
func (s *store) sweepLeftovers() {
	directory, base := filepath.Split(s.path)
	names, _ := s.fs.List(filepath.Clean(directory))
	for _, name := range names {
		if isTemporary(name, base) {
			_ = s.fs.Remove(filepath.Join(directory, name))
		}
	}
}

const temporary = ".tmp-"

func isTemporary(name, base string) bool {
	random, ok := strings.CutPrefix(name, base+temporary)
	_, err := hex.DecodeString(random)
	return ok && len(random) == 16 && err == nil
}

// openFile opens a file for writing, and says if it can only be read.
func openFile(fsys FS, path string) (File, error) {
	file, err := fsys.Open(path, true)
	if err == nil {
		return file, nil
	}
	if isReadOnly(err) {
		if readable, only := fsys.Open(path, false); only == nil {
			_ = readable.Close()
			return nil, &Error{Path: path, Offset: -1, Kind: ErrReadOnly, Reason: "it can be read and not written", Err: err}
		}
	}
	return nil, &Error{Path: path, Offset: -1, Kind: ErrIO, Reason: "opening", Err: err}
}

func isReadOnly(err error) bool {
	return errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS)
}

// isDamage says whether err is one that a [CorruptPolicy] is for.
func isDamage(err error) bool { return errors.Is(err, ErrCorrupt) || errors.Is(err, ErrTruncated) }
