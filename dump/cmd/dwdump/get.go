package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/dataworker-go/dataworker/dump"
)

// get prints the value of one key.
func get(ctx context.Context, s *session) error {
	f, err := s.open(s.args[0])
	if err != nil {
		return err
	}
	defer f.close()
	if err := f.mustKnowValues(); err != nil {
		return err
	}

	value, found, damage, err := f.find(ctx, newWanted(s.args[1]))
	switch {
	case err != nil:
		return err
	case !found && damage != nil:
		s.note(f.path, "there is no key %s in what could be read", plainly(s.args[1]))
		return damage
	case !found:
		_ = f.finish(nil)
		return &exit{exitNoKey, fmt.Sprintf("%s: there is no key %s", f.path, plainly(s.args[1]))}
	case s.raw:
		err = s.write(value.Value)
	default:
		err = s.write(append(f.forReading(value), '\n'))
	}
	if err != nil {
		return err
	}
	return f.finish(damage)
}

// mustKnowValues refuses to show what cannot be understood.
func (f *subject) mustKnowValues() error {
	if f.knownValues {
		return nil
	}
	return about(f.path, &dump.Error{
		Offset: -1, Kind: dump.ErrCodec,
		Reason: fmt.Sprintf("its values are written with %q, which only its program knows: use -raw for the bytes", f.info.ValueCodec),
	})
}

// find returns the last record of a key. The key as it was given comes before what it may
// stand for.
func (f *subject) find(ctx context.Context, key wanted) (r dump.Record, found bool, damage, err error) {
	var exact, perhaps *dump.Record
	var b []byte
	damage, err = f.read(ctx, "reading", func(r dump.Record) error {
		b = f.key(b[:0], r)
		switch {
		case key.exactly(b):
			exact = last(r)
		case key.perhaps(b):
			perhaps = last(r)
		}
		return nil
	})
	switch {
	case exact != nil:
		return *exact, true, damage, err
	case perhaps != nil:
		return *perhaps, true, damage, err
	default:
		return r, false, damage, err
	}
}

func last(r dump.Record) *dump.Record {
	if r.Deleted {
		return nil
	}
	return &r
}

// maxIndented bounds what is set out line by line: deep nesting makes it much longer.
const maxIndented = 64 << 10

// forReading is a value for the eye: text as text, and structure in lines.
func (f *subject) forReading(r dump.Record) []byte {
	b := f.value(nil, r.Value, r.Offset)
	if f.info.ValueCodec == "json/1" {
		return b
	}
	if text := keyText(b); b[0] == '"' && tame(text) {
		return []byte(text)
	}
	var lines bytes.Buffer
	if len(b) > maxIndented || json.Indent(&lines, b, "", "  ") != nil {
		return b
	}
	return lines.Bytes()
}

// tame is text of several lines that does nothing to a terminal.
func tame(text string) bool {
	return harmless(strings.NewReplacer("\n", "", "\t", "").Replace(text))
}
