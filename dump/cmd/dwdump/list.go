package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// list prints the keys that a file holds, or all of its records.
func list(ctx context.Context, s *session) error {
	f, err := s.open(s.args[0])
	if err != nil {
		return err
	}
	defer f.close()
	if s.history {
		return f.history(ctx)
	}

	found, damage, err := f.live(ctx)
	if err != nil {
		return err
	}
	var b []byte
	for i, k := range f.sorted(found, s.prefix) {
		if s.limit > 0 && i == s.limit {
			break
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		p := found[k.raw]
		if b, err = f.keys(b[:0], []byte(k.raw)); err != nil {
			b = appendUndecoded(b, []byte(k.raw)) // it was counted when the keys were sorted
		}
		if err := s.print("%10d  %-30s  %s\n", p.size, stamp(p.time()), plainly(keyText(b))); err != nil {
			return err
		}
	}
	return f.finish(damage)
}

// history prints every record in the order of the file.
func (f *subject) history(ctx context.Context) error {
	s, lines := f.session, 0
	var b []byte
	damage, err := f.read(ctx, s.unshared("reading"), func(r dump.Record) error {
		if s.limit > 0 && lines == s.limit {
			return errEnough
		}
		b = f.key(b[:0], r)
		text := keyText(b)
		if !strings.HasPrefix(text, s.prefix) {
			return nil
		}
		lines++
		return s.print("%12d  %-8s  %10s  %-30s  %s\n", r.Offset, change(r), sizeOf(r), stamp(r.At.UTC()), plainly(text))
	})
	if err != nil && !errors.Is(err, errEnough) {
		return err
	}
	return f.finish(damage)
}

// unshared is what a bar says, unless it would be among the lines of the output.
func (s *session) unshared(doing string) string {
	if s.shared {
		return ""
	}
	return doing
}

func change(r dump.Record) string {
	switch {
	case r.Deleted:
		return "delete"
	case r.Snapshot:
		return "snapshot"
	default:
		return "set"
	}
}

func sizeOf(r dump.Record) string {
	if r.Deleted {
		return "-"
	}
	return fmt.Sprint(len(r.Value))
}

// stamp is the time of a record; a deletion has none.
func stamp(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Format(time.RFC3339Nano)
}
