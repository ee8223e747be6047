package dump_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

// span is a part of a file.
type span struct{ from, to int }

// outside says what of a file is whole when these parts are not.
func outside(touched ...span) func(from, to int) bool {
	return func(from, to int) bool {
		return !slices.ContainsFunc(touched, func(s span) bool { return from < s.to && s.from < to })
	}
}

// hurt opens a file of which these parts are not what they were, and returns what is wrong.
func (s *sample) hurt(file []byte, touched ...span) error {
	o := openImage(file, dump.Fail)
	if err := o.prefix(s, s.promised(outside(touched...))); err != nil {
		return err
	}
	return o.policies(s, file, -1)
}

func TestOpen_finds_sectors_that_are_lost_repeated_or_swapped(t *testing.T) {
	const size = 512
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		sectors := len(file) / size
		end := len(file)
		garbage := make([]byte, size)
		_, _ = rand.NewChaCha8([32]byte{1}).Read(garbage)
		fills := map[string][]byte{"zeros": make([]byte, size), "ones": bytes.Repeat([]byte{0xff}, size), "garbage": garbage}
		for i := range sectors {
			at := i * size
			for name, fill := range fills {
				if err := s.hurt(slices.Concat(file[:at], fill, file[at+size:]), span{at, at + size}); err != nil {
					return fmt.Errorf("%s in sector %d: %w", name, i, err)
				}
			}
			if err := s.hurt(slices.Concat(file[:at+size], file[at:]), span{at + size, end}); err != nil {
				return fmt.Errorf("sector %d inserted again: %w", i, err)
			}
			if err := s.hurt(slices.Concat(file[:at], file[at+size:]), span{at, end}); err != nil {
				return fmt.Errorf("sector %d left out: %w", i, err)
			}
			for j := range sectors {
				to := j * size
				copied := bytes.Clone(file)
				copy(copied[to:], file[at:at+size])
				if err := s.hurt(copied, span{to, to + size}); err != nil {
					return fmt.Errorf("sector %d over %d: %w", i, j, err)
				}
				if copy(copied[at:], file[to:to+size]); i >= j {
					continue
				}
				if err := s.hurt(copied, span{to, to + size}, span{at, at + size}); err != nil {
					return fmt.Errorf("sectors %d and %d swapped: %w", i, j, err)
				}
			}
		}
		return nil
	})
}

func TestOpen_finds_zeros_from_anywhere_to_the_end(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		for at := len(file) - 1; at >= 0; at-- {
			file[at] = 0
			if err := openImage(file, dump.Fail).prefix(s, s.promised(outside(span{at, len(file)}))); err != nil {
				return fmt.Errorf("zeros from %d on: %w", at, err)
			}
		}
		return nil
	})
}

func TestOpen_believes_no_frame_of_another_file_or_another_place(t *testing.T) {
	others := samples(t) // the same histories again: other files with frames at the same places
	number := map[string]int{}
	for i, s := range others {
		number[s.name] = i
	}
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		end := len(file)
		for _, donor := range []layout{s.layout, others[number[s.name]].layout} {
			for _, from := range donor.frames {
				frame := donor.bytes[from.offset:from.end]
				for _, to := range s.frames {
					if &donor.bytes[0] == &s.bytes[0] && from.offset == to.offset {
						continue
					}
					over := slices.Concat(file[:to.offset], frame, file[min(end, to.offset+len(frame)):])
					if err := s.hurt(over, span{to.offset, to.offset + len(frame)}); err != nil {
						return fmt.Errorf("the frame of %d over that of %d: %w", from.offset, to.offset, err)
					}
					instead := slices.Concat(file[:to.offset], frame, file[to.end:])
					if err := s.hurt(instead, span{to.offset, end}); err != nil {
						return fmt.Errorf("the frame of %d instead of that of %d: %w", from.offset, to.offset, err)
					}
				}
				if err := s.hurt(slices.Concat(file, frame), span{end, end + len(frame)}); err != nil {
					return fmt.Errorf("the frame of %d at the end: %w", from.offset, err)
				}
			}
			for part, touched := range map[string]span{"header": {0, s.header}, "slots": {s.header, s.header + 1024}} {
				if &donor.bytes[0] == &s.bytes[0] {
					continue
				}
				spliced := slices.Concat(file[:touched.from], donor.bytes[touched.from:touched.to], file[touched.to:])
				if o := openImage(spliced, dump.Fail); o.refused(-1, dump.ErrCorrupt) != nil {
					return fmt.Errorf("the %s of another file: %w, %+v", part, o.err, o.found)
				}
			}
		}
		return nil
	})
}

func TestOpen_leaves_a_file_that_can_be_written_to_whatever_was_torn(t *testing.T) {
	eachSample(t, func(t *testing.T, s *sample, file []byte) error {
		for cut := s.best(all).length; cut <= len(file); cut += 3 {
			image, sink := newImage(file[:cut]), &plain{}
			options := dump.Options{Name: sampleName, FS: image, Sync: dump.SyncNever}
			d, found, err := dump.Open(context.Background(), image.name, sink, options)
			if err == nil {
				err = errors.Join(d.Put(dump.Entry[string, string]{Key: "new", Value: "v"}), d.Close())
			}
			if err != nil {
				return fmt.Errorf("cut at %d: %w", cut, err)
			}
			want := maps.Clone(s.history[found.Records].contents)
			want["new"] = stored{value: "v"}
			_, again, err := dump.Open(context.Background(), image.name, sink, options)
			if err != nil || again.Outcome != dump.Clean || !maps.Equal(sink.entries, want) {
				return fmt.Errorf("cut at %d: the next opening: %w, %+v", cut, err, again)
			}
		}
		return nil
	})
}

// withinBounds fails the test if an opening takes more memory than a file of this size may.
func withinBounds(t testing.TB, size int, do func()) {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	if got, most := after.TotalAlloc-before.TotalAlloc, uint64(4*size+1<<20); got > most {
		t.Fatalf("a file of %d bytes took %d bytes of memory, want %d at the most", size, got, most)
	}
}

func TestOpen_takes_memory_by_the_size_of_a_damaged_file(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, s := range samples(t) {
		for range 300 {
			file := bytes.Clone(s.bytes[:len(s.bytes)-random.IntN(2)*random.IntN(len(s.bytes))])
			if len(file) > 0 {
				file[random.IntN(len(file))] ^= 1 << random.IntN(8)
			}
			policy := dump.CorruptPolicy(random.IntN(3))
			withinBounds(t, len(file), func() { openImage(file, policy) })
		}
	}
}

// TestOpen_reads_through_many_windows is for what small samples cannot show: frames larger
// than what is read at once, and frames across its ends.
func TestOpen_reads_through_many_windows(t *testing.T) {
	a := newAuthor(t)
	a.seed(8, 90_000)
	a.batches(1, 1, 700_000)
	require.NoError(t, a.d.Sync())
	a.batches(5, 1, 70_000)
	a.batches(300, 3, 300)
	s := a.sample("large")
	require.NoError(t, openImage(s.bytes, dump.Fail).holds(&s, dump.Unclean, s.records))

	random := rand.New(rand.NewPCG(3, 4))
	file := bytes.Clone(s.bytes)
	floor := s.best(all).length
	for range 60 {
		f := s.frames[random.IntN(len(s.frames))]
		at := f.offset + random.IntN([]int{8, 32, f.end - f.offset}[random.IntN(3)])
		bit := at*8 + random.IntN(8)
		file[at] ^= 1 << (bit % 8)
		withinBounds(t, len(file), func() { require.NoError(t, s.flipped(file, bit), "bit %d", bit) })
		file[at] ^= 1 << (bit % 8)

		cut := floor + random.IntN(len(file)-floor)
		records, exact := s.before(cut)
		if !exact {
			require.NoError(t, openImage(file[:cut], dump.Fail).holds(&s, dump.Torn, records), "cut at %d", cut)
		}
	}
}
