package main

import (
	"context"
	"errors"
	"io/fs"

	"github.com/dataworker-go/dataworker/dump"
)

// subject is the file that a command is about, opened once: however often it is read, and
// whatever takes its place meanwhile, it is the same file.
type subject struct {
	session *session
	path    string
	file    *heldFile
	info    dump.Info

	keys, values decoder
	knownKeys    bool
	knownValues  bool
	broken       undecodable
}

// undecodable are the entries that their codec does not understand.
type undecodable struct {
	entries int
	offset  int64 // of the first of them
	err     error // what is wrong with it
}

// open reads what the file says about itself. Damage that is found already is found again
// by read, which reads what can be read.
func (s *session) open(path string) (*subject, error) {
	f := &subject{session: s, path: path, file: &heldFile{FS: s.fs, progress: s.progress}}
	var err error
	f.info, err = dump.Inspect(f.file, path)
	if err != nil && (!f.readable() || !isDamage(err)) {
		_ = f.file.release()
		return nil, about(path, err)
	}
	keyType, valueType := f.info.KeyType, f.info.ValueType
	if s.keyType != "" {
		keyType = s.keyType
	}
	if s.valueType != "" {
		valueType = s.valueType
	}
	f.keys, f.knownKeys = decoderFor(f.info.KeyCodec, keyType, asHex)
	f.values, f.knownValues = decoderFor(f.info.ValueCodec, valueType, asBase64)
	if s.raw {
		f.values, f.knownValues = asBase64, true
	}
	return f, nil
}

// readable says whether the file has a header.
func (f *subject) readable() bool { return f.info.Format != "" }

func (f *subject) close() { _ = f.file.release() }

// read gives every record to each. damage is why the file could not be read to its end; what
// stands before has been given. err is what else ended the reading.
func (f *subject) read(ctx context.Context, doing string, each func(dump.Record) error) (damage, err error) {
	if doing != "" {
		f.session.progress.begin(printable(f.path+": "+doing), f.info.Size)
	}
	info, err := dump.Read(ctx, f.file, f.path, each)
	f.session.progress.end()
	if info.Format != "" {
		f.info = info
	}
	var wrong *dump.Error
	if errors.As(err, &wrong) && f.readable() {
		return about(f.path, err), nil
	}
	return nil, about(f.path, err)
}

// key is the key of a record as JSON.
func (f *subject) key(into []byte, r dump.Record) []byte {
	return f.decode(f.keys, into, r.Key, r.Offset)
}

func (f *subject) value(into, encoded []byte, offset int64) []byte {
	return f.decode(f.values, into, encoded, offset)
}

// decode decodes, or else appends the bytes as they are, and remembers that.
func (f *subject) decode(d decoder, into, encoded []byte, offset int64) []byte {
	b, err := d(into, encoded)
	if err == nil {
		return b
	}
	if f.broken.entries++; f.broken.entries == 1 {
		f.broken.offset, f.broken.err = offset, err
	}
	return appendUndecoded(into, encoded)
}

// finish says what the reader of the output has to know about the file.
func (f *subject) finish(damage error) error {
	s := f.session
	if !f.knownKeys {
		s.note(f.path, "its keys are written with %q, which only its program knows: they are shown in hexadecimal", f.info.KeyCodec)
	}
	if torn, ok := f.info.Torn.(*dump.Error); ok { //nolint:errorlint // it is what Info.Torn says it is
		s.note(f.path, "what follows offset %d does not count: a crash tore the last write, or it is still on its way", torn.Offset)
	}
	if f.broken.entries > 0 {
		wrong := &dump.Error{Offset: f.broken.offset, Kind: dump.ErrDecode, Err: f.broken.err}
		s.note(f.path, "%d of the keys and values could not be decoded, and are shown in base64; the first: %s", f.broken.entries, describe(wrong))
		if damage == nil {
			return silent(exitDamaged)
		}
	}
	if damage != nil {
		s.note(f.path, "the output is what could be read; what the file says after that is not in it")
	}
	return damage
}

// heldFile is a file system of one file, which stays open between readings and tells how
// far they are.
type heldFile struct {
	dump.FS
	progress *progress
	file     dump.File
	resolved string
}

// Resolve implements dump.FS.
func (h *heldFile) Resolve(path string) (string, error) {
	if h.file != nil {
		return h.resolved, nil
	}
	resolved, err := h.FS.Resolve(path)
	h.resolved = resolved
	return resolved, err
}

// Lstat implements dump.FS.
func (h *heldFile) Lstat(path string) (fs.FileInfo, error) {
	if h.file != nil {
		return h.file.Stat()
	}
	return h.FS.Lstat(path)
}

// Open implements dump.FS.
func (h *heldFile) Open(path string, writable bool) (dump.File, error) {
	if h.file == nil {
		file, err := h.FS.Open(path, writable)
		if err != nil {
			return nil, err
		}
		h.file = file
	}
	return keptFile{watchedFile{h.file, h.progress}}, nil
}

func (h *heldFile) release() error {
	if h.file == nil {
		return nil
	}
	return h.file.Close()
}

// keptFile stays open when its reader is done.
type keptFile struct{ dump.File }

// Close implements dump.File.
func (keptFile) Close() error { return nil }
