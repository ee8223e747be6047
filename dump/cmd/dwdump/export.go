package main

import (
	"context"
	"errors"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// export prints every entry that a file holds as a line of JSON. It reads the file twice:
// first for the place of the last record of each key, and then for the values.
func export(ctx context.Context, s *session) error {
	f, err := s.open(s.args[0])
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.mustKnowValues(); err != nil {
		return err
	}
	if s.raw {
		f.keys, f.knownKeys = asBase64, true
	}
	if s.target != "" {
		return f.exportTo(ctx, s.args[0])
	}
	damage, err := f.export(ctx)
	if err != nil {
		return err
	}
	return damage
}

// export prints what can be read. damage is why it is not all.
func (f *subject) export(ctx context.Context) (damage, err error) {
	found, damage, err := f.live(ctx)
	if err != nil {
		return nil, err
	}
	if f.session.sorted {
		err = f.exportSorted(ctx, found)
	} else {
		err = f.exportAsFiled(ctx, found)
	}
	if err != nil {
		return nil, err
	}
	return f.finish(damage), nil
}

func (f *subject) exportSorted(ctx context.Context, found live) error {
	var b []byte
	for _, k := range f.sorted(found, "") {
		if err := ctx.Err(); err != nil {
			return err
		}
		p := found[k.raw]
		value, err := f.fetch(p)
		if err != nil {
			return err
		}
		r := dump.Record{Offset: p.offset, Key: []byte(k.raw), Value: value, At: p.time()}
		if b, err = f.line(b[:0], r); err != nil {
			return err
		}
	}
	return nil
}

func (f *subject) exportAsFiled(ctx context.Context, found live) error {
	var b []byte
	left := len(found)
	// What is wrong with the file is known from the first reading.
	_, err := f.read(ctx, f.session.unshared("exporting"), func(r dump.Record) (err error) {
		if left == 0 {
			return errEnough
		}
		if p, ok := found[string(r.Key)]; !ok || p.offset != r.Offset {
			return nil // there is a later one, or it came after the first reading
		}
		left--
		b, err = f.line(b[:0], r)
		return err
	})
	if err != nil && (errors.Is(err, errOutput) || !errors.Is(err, errEnough)) {
		return err
	}
	if left > 0 {
		return f.changed(-1)
	}
	return nil
}

// line writes one entry.
func (f *subject) line(b []byte, r dump.Record) ([]byte, error) {
	b = f.key(append(b, `{"key":`...), r)
	b = f.value(append(b, `,"value":`...), r.Value, r.Offset)
	b = append(b, `,"at":"`...)
	b = r.At.UTC().AppendFormat(b, time.RFC3339Nano)
	b = append(b, `"}`...)
	return b, f.session.write(append(b, '\n'))
}
