package main

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/dump"
)

// info says what a file says about itself, and reads none of its records.
func info(_ context.Context, s *session) error {
	f, err := s.open(s.args[0])
	if err != nil {
		return err
	}
	defer f.close()
	_, damage := dump.Inspect(f.file, f.path)
	printed := s.printInfo
	if s.json {
		printed = s.printInfoJSON
	}
	if err := printed(f.info, damage); err != nil {
		return err
	}
	return about(f.path, damage)
}

// infoJSON is what -json prints. Its fields stay.
type infoJSON struct {
	Path            string     `json:"path"`
	Size            int64      `json:"size"`
	Format          string     `json:"format"`
	ID              string     `json:"id"`
	Name            string     `json:"name"`
	KeyCodec        string     `json:"keyCodec"`
	ValueCodec      string     `json:"valueCodec"`
	KeyType         string     `json:"keyType"`
	ValueType       string     `json:"valueType"`
	Schema          uint32     `json:"schema"`
	Writer          string     `json:"writer"`
	Generation      uint64     `json:"generation"`
	Created         time.Time  `json:"created"`
	FreshAt         *time.Time `json:"freshAt,omitempty"`
	Partial         bool       `json:"partial"`
	Closed          bool       `json:"closed"`
	Promised        int64      `json:"promised"`
	SlotDamaged     bool       `json:"slotDamaged"`
	SnapshotRecords uint64     `json:"snapshotRecords"`
	Damage          string     `json:"damage,omitempty"`
}

func (s *session) printInfoJSON(i dump.Info, damage error) error {
	out := infoJSON{
		Path: i.Path, Size: i.Size, Format: i.Format, ID: i.ID, Name: i.Name,
		KeyCodec: i.KeyCodec, ValueCodec: i.ValueCodec, KeyType: i.KeyType, ValueType: i.ValueType,
		Schema: i.Schema, Writer: i.Writer, Generation: i.Generation, Created: i.Created.UTC(),
		Partial: i.Partial, Closed: i.Closed, Promised: i.Promised, SlotDamaged: i.SlotDamaged,
		SnapshotRecords: i.SnapshotRecords,
	}
	if !i.FreshAt.IsZero() {
		fresh := i.FreshAt.UTC()
		out.FreshAt = &fresh
	}
	if damage != nil {
		out.Damage = about(i.Path, damage).Error()
	}
	text, err := json.MarshalIndent(out, "", "  ")
	if err != nil {
		return err
	}
	// The spaces between the parts are ASCII, and so is the end of each line.
	return s.write(append(appendEscapedLines(nil, text), '\n'))
}

func (s *session) printInfo(i dump.Info, _ error) error {
	lines := [][2]string{
		{"owner", plainly(i.Name)},
		{"keys", asWritten(i.KeyType, i.KeyCodec)},
		{"values", asWritten(i.ValueType, i.ValueCodec)},
		{"schema", fmt.Sprint(i.Schema)},
		{"generation", fmt.Sprintf("%d, id %s", i.Generation, i.ID)},
		{"created", s.moment(i.Created)},
		{"fresh at", s.moment(i.FreshAt)},
		{"snapshot", records(i)},
		{"closed", closed(i)},
		{"size", exactBytes(i.Size)},
		{"promised", exactBytes(i.Promised) + ", which had surely reached the disk"},
		{"format", fmt.Sprintf("%s, written by %s", i.Format, plainly(i.Writer))},
	}
	if i.SlotDamaged {
		lines = append(lines, [2]string{"slots", "damaged, one of two: the other does, and the next write mends it"})
	}
	if err := s.print("%s\n", plainly(i.Path)); err != nil {
		return err
	}
	for _, line := range lines {
		if err := s.print("  %-11s %s\n", line[0], line[1]); err != nil {
			return err
		}
	}
	return nil
}

func asWritten(typeName, codec string) string {
	return fmt.Sprintf("%s, written with %s", plainly(typeName), plainly(codec))
}

func records(i dump.Info) string {
	text := plural(i.SnapshotRecords, "record")
	if i.Partial {
		text += "; partial: not all that there should have been"
	}
	return text
}

func closed(i dump.Info) string {
	if i.Closed {
		return "yes"
	}
	return "no: it is in use, or its program was killed"
}

func exactBytes(n int64) string {
	if n < 1024 {
		return bytesText(n)
	}
	return fmt.Sprintf("%d bytes (%s)", n, bytesText(n))
}

func plural(n uint64, what string) string {
	if n == 1 {
		return "1 " + what
	}
	if what == "batch" {
		what = "batche"
	}
	return fmt.Sprintf("%d %ss", n, what)
}

// moment is a time, and how long ago it is: that is what one wants to know at night.
func (s *session) moment(t time.Time) string {
	if t.IsZero() {
		return "not known"
	}
	text := t.UTC().Format(time.RFC3339Nano)
	switch ago := s.now().Sub(t); {
	case ago < 0:
		return text + " (in the future)"
	case ago < time.Minute:
		return fmt.Sprintf("%s (%d s ago)", text, ago/time.Second)
	case ago < time.Hour:
		return fmt.Sprintf("%s (%d min ago)", text, ago/time.Minute)
	case ago < 48*time.Hour:
		return fmt.Sprintf("%s (%d h ago)", text, ago/time.Hour)
	default:
		return fmt.Sprintf("%s (%d days ago)", text, ago/(24*time.Hour))
	}
}
