package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"testing"

	"github.com/dataworker-go/dataworker/dump"
)

// opened is how the opening of an image went.
type opened struct {
	image *image
	given []byte
	found dump.Recovery
	held  map[string]stored
	err   error
}

func openImage(file []byte, policy dump.CorruptPolicy) (o opened) {
	o.image, o.given = newImage(file), file
	sink := &plain{}
	defer func() {
		if p := recover(); p != nil {
			o.err = fmt.Errorf("panic: %v", p)
		}
	}()
	_, o.found, o.err = dump.Open(context.Background(), o.image.name, sink,
		dump.Options{Name: sampleName, FS: o.image, Sync: dump.SyncNever, OnCorrupt: policy})
	o.held = sink.entries
	return o
}

// refused returns what is wrong with the refusal of a file.
func (o opened) refused(offset int64, kinds ...error) error {
	typed := (*dump.Error)(nil)
	if !errors.As(o.err, &typed) {
		return fmt.Errorf("got %w (%+v), want a refusal: %v", o.err, o.found, kinds)
	}
	for _, kind := range kinds {
		if errors.Is(o.err, kind) && typed.Path == o.image.name && (offset < 0 || typed.Offset == offset) && typed.Offset >= 0 {
			return nil
		}
	}
	return fmt.Errorf("got %w, want one of %v at %d", o.err, kinds, offset)
}

// holds returns what is wrong with the reading of a file that is to end as it was after so
// many records.
func (o opened) holds(s *sample, outcome dump.Outcome, records int) error {
	want, known := s.history[records]
	switch {
	case o.err != nil:
		return fmt.Errorf("got %w, want %v with %d records", o.err, outcome, records)
	case o.found.Outcome != outcome || o.found.Records != records || !known:
		return fmt.Errorf("got %+v, want %v with %d records", o.found, outcome, records)
	case !maps.Equal(o.held, want.contents):
		return fmt.Errorf("%d records: got %v, want %v", records, o.held, want.contents)
	case outcome == dump.Torn && o.mended(want.end) != nil:
		return o.mended(want.end)
	}
	return nil
}

// mended says whether a torn file was cut off where it was torn, and what was cut off kept.
func (o opened) mended(end int) error {
	const most = 1 << 20
	cut := o.given[end:]
	switch kept := o.image.at(o.found.Kept); {
	case !bytes.Equal(o.image.bytes, o.given[:end]) || o.found.Cut != int64(len(cut)):
		return fmt.Errorf("the file has %d bytes now, want the first %d as they were", len(o.image.bytes), end)
	case kept == nil || !bytes.Equal(kept.bytes, cut[:min(len(cut), most)]):
		return fmt.Errorf("%d bytes were cut and not kept", len(cut))
	}
	return nil
}

// prefix returns what is wrong if a file was neither refused nor read up to a point that is
// not before what it promises.
func (o opened) prefix(s *sample, promised int) error {
	if o.err != nil {
		return o.refused(-1, dump.ErrCorrupt, dump.ErrTruncated, dump.ErrForeign)
	}
	want, known := s.history[o.found.Records]
	if !known || !want.complete || want.end < promised {
		return fmt.Errorf("got %+v: up to %d of %d bytes that were promised", o.found, want.end, promised)
	}
	return o.holds(s, o.found.Outcome, o.found.Records)
}

// policies opens a file that Fail was tried on with the other policies, and returns what is
// wrong. salvaged is how many records stand before the damage; negative if that is for the
// caller not worth knowing.
func (o opened) policies(s *sample, file []byte, salvaged int) error {
	quarantine, salvage := openImage(file, dump.Quarantine), openImage(file, dump.SalvagePrefix)
	if len(file) == 0 || !errors.Is(o.err, dump.ErrCorrupt) && !errors.Is(o.err, dump.ErrTruncated) {
		for _, other := range []opened{quarantine, salvage} {
			if fmt.Sprint(o.err) != fmt.Sprint(other.err) || !maps.Equal(o.held, other.held) {
				return fmt.Errorf("got %w without a policy, and with one %w", o.err, other.err)
			}
		}
		return nil
	}
	switch {
	case quarantine.err != nil || quarantine.found.Outcome != dump.Quarantined || len(quarantine.held) != 0:
		return fmt.Errorf("quarantine: %w, %+v", quarantine.err, quarantine.found)
	case quarantine.found.Damage.Error()+": "+dump.WhatToDo != o.err.Error() || quarantine.found.Kept == "":
		return fmt.Errorf("quarantine: got %+v, want %w", quarantine.found, o.err)
	case !bytes.Equal(quarantine.image.bytes, file) || !bytes.Equal(salvage.image.bytes, file):
		return errors.New("the damaged file was changed")
	case salvage.found.Outcome == dump.Quarantined:
		if whole := salvage.found.Records == 0 && len(salvage.held) == 0; whole && salvaged <= 0 {
			return nil
		}
	case salvaged < 0:
		salvaged = salvage.found.Records
	}
	return salvage.holds(s, dump.Salvaged, salvaged)
}

// eachSample runs a test on every sample, and tells of the first failure of each.
func eachSample(t *testing.T, try func(t *testing.T, s *sample, file []byte) error) {
	for _, s := range samples(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if err := try(t, &s, bytes.Clone(s.bytes)); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestOpen_undamaged_samples_are_read_whole(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		t.Logf("%d bytes, %d frames", len(file), len(s.frames))
		outcome := dump.Unclean
		if s.closed {
			outcome = dump.Clean
		}
		return openImage(file, dump.Fail).holds(s, outcome, s.records)
	})
}

func TestOpen_refuses_a_cut_below_the_promise_and_reads_to_the_last_whole_batch_above(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		floor := s.best(all).length
		for cut := range file {
			o := openImage(file[:cut], dump.Fail)
			before, exact := s.before(cut)
			var err error
			switch {
			case cut < floor:
				if err = o.refused(int64(cut), dump.ErrTruncated); err == nil && (torturing || cut%5 == 0) {
					err = o.policies(s, file[:cut], before)
				}
			case exact:
				err = o.holds(s, dump.Unclean, before)
			default:
				err = o.holds(s, dump.Torn, before)
			}
			if err != nil {
				return fmt.Errorf("cut at %d: %w", cut, err)
			}
		}
		return nil
	})
}

// before returns how many records whole frames hold up to a place, and if one ends there.
func (s *sample) before(cut int) (records int, exact bool) {
	exact = cut == s.header+1024
	for _, f := range s.frames {
		if f.end > cut {
			return records, exact
		}
		records, exact = records+len(f.records), f.end == cut
	}
	return records, exact
}

// Every bit of the small samples is flipped. Of the large one, and with the other policies,
// that takes long: there every bit of the structure, and every seventh of the rest; and every
// 31st, with the policies. With DATAWORKER_TORTURE=1 it is all of them.
func TestOpen_finds_every_flipped_bit(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		flips := 0
		for bit := range len(file) * 8 {
			if !torturing && len(file) > small && bit%7 != 0 && !s.structure(bit/8) {
				continue
			}
			flips++
			file[bit/8] ^= 1 << (bit % 8)
			if err := s.flipped(file, bit); err != nil {
				return fmt.Errorf("bit %d of byte %d: %w", bit%8, bit/8, err)
			}
			file[bit/8] ^= 1 << (bit % 8)
		}
		t.Logf("%d of %d bits", flips, len(file)*8)
		return nil
	})
}

// small is the size of a sample that all bits are flipped of, always.
const small = 8 << 10

// structure says that a byte steers the reading: it is part of what the header and the slots
// use of their sectors, of a checksum, or of a frame's header.
func (s *sample) structure(at int) bool {
	switch {
	case at < s.header:
		return at < 100 || at >= s.header-4
	case at < s.header+1024:
		at = (at - s.header) % 512
		return at < 20 || at >= 508
	}
	f := s.frameAt(at)
	return at < f.offset+32
}

func (s *sample) frameAt(at int) layoutFrame {
	for _, f := range s.frames {
		if at < f.end {
			return f
		}
	}
	return layoutFrame{}
}

// flipped opens a file of which one bit is flipped, and returns what is wrong.
func (s *sample) flipped(file []byte, bit int) error {
	at := bit / 8
	whole := func(from, to int) bool { return at < from || at >= to }
	o := openImage(file, dump.Fail)
	var err error
	salvaged := 0
	switch f := s.frameAt(at); {
	case at < 8:
		err = o.refused(0, dump.ErrForeign)
	case at >= 12 && at < 16:
		err = o.refused(-1, dump.ErrCorrupt, dump.ErrTruncated)
	case at < s.header:
		err = o.refused(0, dump.ErrCorrupt)
	case at < s.header+1024:
		if !o.found.SlotDamaged {
			return errors.New("a damaged slot, and nobody says so")
		}
		return o.prefixIsAll(s)
	case f.kind == kindBatch && f.offset >= s.promised(whole):
		return o.holds(s, dump.Torn, int(f.first))
	default:
		err = o.refused(int64(f.offset), dump.ErrCorrupt)
		salvaged = int(f.first)
	}
	if err == nil && (torturing || bit%31 == 0) {
		err = o.policies(s, file, salvaged)
	}
	return err
}

func (o opened) prefixIsAll(s *sample) error {
	if o.found.Outcome == dump.Torn {
		return fmt.Errorf("got %+v, want all records", o.found)
	}
	return o.holds(s, o.found.Outcome, s.records)
}
