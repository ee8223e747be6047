package dump

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"time"
)

// Info is what a file says about itself. What is marked with a star is known only when all
// of it was read.
type Info struct {
	Path   string
	Size   int64
	Format string // such as "1.0"
	ID     string // random, of this generation of the file

	Name                 string // of the bucket
	KeyCodec, ValueCodec string
	KeyType, ValueType   string // as the program that wrote it called them
	Schema               uint32
	Writer               string

	Generation uint64
	Created    time.Time // of this generation
	FreshAt    time.Time // see Snapshot; zero if it was not given
	Partial    bool      // see Snapshot

	Closed      bool  // it was closed in good order
	Promised    int64 // bytes that had surely reached the disk
	SlotDamaged bool  // one of the two length slots is

	SnapshotRecords uint64
	SnapshotSize    int64  // * bytes, the header included
	JournalRecords  uint64 // *
	Batches         int    // *
	Torn            error  // * what a crash left at the end: an [*Error], or nil
}

// Record is one set or removal, as it stands in a file.
type Record struct {
	Offset   int64 // where it begins
	Size     int64 // bytes that it takes; those of Value are the last
	Snapshot bool  // part of the snapshot, and not written later
	Deleted  bool  // the key was removed: there is no Value
	Key      []byte
	Value    []byte
	At       time.Time
}

// Inspect reads what the file at path says about itself, and none of the records. It takes no
// lock, and so may be used on a file that is in use. The errors are those of [Open].
func Inspect(fsys FS, path string) (Info, error) {
	file, info, err := peek(fsys, path)
	if err != nil {
		return Info{Path: path}, err
	}
	return info.Info, errors.Join(info.damage, file.Close())
}

// Read reads all of the file at path and gives every record to each, in the order of the file.
// Both stop at the first error; of a damaged file, each has then had what stands before the
// damage. It takes no lock: of a file that is in use it reads what is there when it begins.
// The errors are those of [Open]; a torn end is none, see Info.Torn.
func Read(ctx context.Context, fsys FS, path string, each func(Record) error) (Info, error) {
	file, info, err := peek(fsys, path)
	if err != nil {
		return Info{Path: path}, err
	}
	defer file.Close() //nolint:errcheck // it was only read

	scan := newScan(path, file, info.Size, info.head, info.slot)
	torn, err := scan.run(ctx, func(f frame) error {
		if f.kind == frameBatch {
			info.Batches++
		}
		return eachRecord(f, each)
	})
	info.SnapshotSize = scan.body
	if scan.batch {
		info.JournalRecords = scan.first - info.SnapshotRecords
	}
	if torn != nil {
		info.Torn = &Error{Path: path, Offset: torn.offset, Kind: ErrCorrupt, Reason: torn.reason}
	}
	if info.damage != nil && (err == nil || isDamage(err)) {
		err = info.damage // it was there first, and says more
	}
	return info.Info, err
}

func eachRecord(f frame, each func(Record) error) error {
	for offset, raw := range f.all() {
		r := Record{
			Offset: offset, Size: int64(raw.size), Snapshot: f.kind == frameSnapshot,
			Deleted: raw.deleted, Key: raw.key, Value: raw.value,
		}
		if !raw.deleted {
			r.At = time.Unix(0, raw.at)
		}
		if err := each(r); err != nil {
			return err
		}
	}
	return nil
}

// peeked is what is read first.
type peeked struct {
	Info
	head   *header
	slot   slot
	damage error // of the slots, or of the promise of their better one
}

// peek opens a file for reading, also one that somebody writes to.
func peek(fsys FS, path string) (File, peeked, error) {
	var p peeked
	fail := func(doing string, err error) (File, peeked, error) {
		return nil, p, &Error{Path: path, Offset: -1, Kind: ErrIO, Reason: doing, Err: err}
	}
	resolved, err := fsys.Resolve(path)
	if err != nil {
		return fail("looking for its directory", err)
	}
	info, err := describe(fsys, resolved)
	if err != nil {
		return nil, p, err
	}
	if info == nil {
		return fail("opening", fs.ErrNotExist)
	}
	file, err := fsys.Open(resolved, false)
	if err != nil {
		return fail("opening", err)
	}
	if p, err = glance(path, file); err != nil {
		_ = file.Close()
		return nil, p, err
	}
	return file, p, nil
}

// glance reads the header and the slots. Whoever writes to the file may change its slots and
// its size between two looks, so it looks until they are the same.
func glance(path string, file File) (p peeked, err error) {
	const patience = 10
	for range patience {
		info, err := file.Stat()
		if err != nil {
			return p, &Error{Path: path, Offset: -1, Kind: ErrIO, Reason: "looking at it", Err: err}
		}
		head, err := readHeader(path, file, info.Size())
		if err != nil {
			return p, err
		}
		best, damaged, damage := readSlots(path, file, head, info.Size())
		p = peeked{head: head, slot: best, damage: damage, Info: describeHeader(path, head)}
		p.Size, p.Closed, p.Promised, p.SlotDamaged = info.Size(), best.clean, best.length, damaged
		if damage == nil {
			p.damage = best.check(path, info.Size())
		}
		if p.damage == nil {
			break
		}
	}
	return p, nil
}

func describeHeader(path string, h *header) Info {
	info := Info{
		Path: path, Format: fmt.Sprintf("%d.%d", major, h.minor), ID: hex.EncodeToString(h.id[:]),
		Name: h.name, KeyCodec: h.keyCodec, ValueCodec: h.valueCodec,
		KeyType: h.keyType, ValueType: h.valueType, Schema: h.schema, Writer: h.writer,
		Generation: h.generation, Created: h.createdAt(), Partial: h.partial,
		SnapshotRecords: h.records,
	}
	if h.freshAt != 0 {
		info.FreshAt = time.Unix(0, h.freshAt)
	}
	return info
}
