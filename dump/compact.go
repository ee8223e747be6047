package dump

import (
	"context"
	"io/fs"
	"slices"
)

// Compact writes the file at path anew, with one record for each key that it holds, without
// knowing what the bytes mean. It needs memory for all of them. It takes the lock, and the
// errors are those of [Open] and of [Dump.Rewrite]; a damaged file is left alone.
func Compact(ctx context.Context, fsys FS, path string) (err error) {
	var live survivors
	var found header
	s, _, err := openStore(ctx, path, storeOptions{
		fs:     fsys,
		policy: SyncNever,
		accept: func(_ string, head *header) error { found = *head; return nil },
	}, &live)
	if err != nil {
		return err
	}
	defer func() {
		if closed := s.close(); err == nil {
			err = closed
		}
	}()
	if s.file == nil {
		return s.fault(ErrIO, "opening", fs.ErrNotExist)
	}
	w, err := s.beginRewrite()
	if err != nil {
		return err
	}
	return w.run(ctx, found, live.write)
}

// survivors are the last records of the keys of a file.
type survivors struct{ records map[string]rawRecord }

func (l *survivors) begin(records int) { l.records = make(map[string]rawRecord, records) }

func (l *survivors) frame(f frame) error {
	for _, r := range f.all() {
		if r.deleted {
			delete(l.records, string(r.key))
		} else {
			l.records[string(r.key)] = r
		}
	}
	return nil
}

func (l *survivors) end() error { return nil }

// write gives what survived, in the order of the keys, so that the same entries make the
// same file.
func (l *survivors) write(blocks *blocks) error {
	keys := make([]string, 0, len(l.records))
	for key := range l.records {
		keys = append(keys, key)
	}
	slices.Sort(keys)

	b, n := blocks.next(), 0
	for _, key := range keys {
		r := l.records[key]
		b = appendBytes(appendBytes(appendSet(b, r.at), r.key), r.value)
		if n++; len(b) >= blockSize {
			if err := blocks.put(block{b, n}); err != nil {
				return err
			}
			b, n = blocks.next(), 0
		}
	}
	if n == 0 {
		return nil
	}
	return blocks.put(block{b, n})
}
