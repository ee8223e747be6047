package dump

// What tests outside the package try piece by piece.

// WhatToDo stands behind the error of a damaged file.
const WhatToDo = whatToDo

// RawRecord is a record as a file holds it.
type RawRecord struct {
	Deleted    bool
	At         int64
	Key, Value []byte
}

func NextRecord(payload []byte) (RawRecord, []byte, error) {
	r, rest, err := nextRecord(payload)
	return RawRecord{r.deleted, r.at, r.key, r.value}, rest, err
}

func (r RawRecord) Append(b []byte) []byte {
	if r.Deleted {
		return appendBytes(append(b, opDelete), r.Key)
	}
	return appendBytes(appendBytes(appendSet(b, r.At), r.Key), r.Value)
}

// RawFrame is a frame as a file holds it.
type RawFrame struct {
	Kind    uint8
	First   uint64
	Synced  int64
	Payload []byte
}

func (f RawFrame) Seal(offset int64, seed uint32) []byte {
	b := append(make([]byte, frameHeader), f.Payload...)
	return seal(b, frame{offset: offset, kind: frameKind(f.Kind), first: f.First, synced: f.Synced}, seed)
}

// OpenFrame reads a frame as the scanner does, and returns how many bytes it takes.
func OpenFrame(b []byte, offset int64, seed uint32) (f RawFrame, size int64, ok bool) {
	if len(b) < frameHeader {
		return f, 0, false
	}
	head, ok := openHead(b, offset, seed)
	if !ok || head.flags != 0 || head.padded() > int64(len(b)-frameHeader) {
		return f, 0, false
	}
	payload := b[frameHeader : frameHeader+head.padded()]
	return RawFrame{uint8(head.kind), head.first, head.synced, payload[:head.length]}, frameHeader + head.padded(), head.intact(payload, seed)
}
