package dump

import (
	"errors"
	"fmt"
)

// What can be wrong with a file. The errors of this package are each an [*Error],
// and one of these by errors.Is.
var (
	// ErrLocked: another process, or another part of this one, has the file open.
	// The text names the holder's process if it is known.
	ErrLocked = errors.New("locked")

	// ErrForeign: not a dump, or that of another bucket.
	ErrForeign = errors.New("foreign file")

	// ErrCorrupt: the file is damaged at this offset.
	ErrCorrupt = errors.New("corrupt")

	// ErrTruncated: the file is shorter than it once was.
	ErrTruncated = errors.New("truncated")

	// ErrVersion: written in a newer format.
	ErrVersion = errors.New("newer format")

	// ErrCodec: written with another codec.
	ErrCodec = errors.New("another codec")

	// ErrSchema: written with another schema version, and there is no migration.
	ErrSchema = errors.New("another schema version")

	// ErrDecode: an entry is undamaged, and its codec or migration refuses it: the
	// type was changed and the schema version was not.
	ErrDecode = errors.New("entry cannot be decoded")

	// ErrReadOnly: the file, or its directory, can be read but not written.
	ErrReadOnly = errors.New("read-only")

	// ErrNotRegular: a directory, a pipe, a device.
	ErrNotRegular = errors.New("not a regular file")

	// ErrType: values of this type would not come back as they were.
	ErrType = errors.New("type cannot be dumped")

	// ErrEncode: this value would not come back as it was; it was not written.
	ErrEncode = errors.New("value cannot be dumped")

	// ErrIO: the operating system failed to read or write; its error is the cause.
	ErrIO = errors.New("input/output failed")

	// ErrStolen: the file was removed, replaced or changed by another hand while it
	// was open.
	ErrStolen = errors.New("changed by another hand")

	// ErrNoSpace: there is too little room to write the file anew.
	ErrNoSpace = errors.New("too little space")

	// ErrBroken: the file takes no more writes until [Dump.Rewrite] has succeeded.
	ErrBroken = errors.New("no writes until it is written anew")

	// ErrClosed: the dump has been closed.
	ErrClosed = errors.New("closed")
)

// Error is what is wrong with a file, and where.
type Error struct {
	Path   string
	Offset int64 // in the file, where what is wrong begins; -1 if it is not about a place
	Kind   error // one of the errors above
	Reason string
	Err    error // the cause, if there is one; found by errors.Is
}

func (e *Error) Error() string {
	text := fmt.Sprintf("dump %q: %v", e.Path, e.Kind)
	if e.Offset >= 0 {
		text += fmt.Sprintf(" at offset %d", e.Offset)
	}
	if e.Reason != "" {
		text += ": " + e.Reason
	}
	if e.Err != nil {
		text += fmt.Sprintf(": %v", e.Err)
	}
	return text
}

// Unwrap returns the kind and the cause.
func (e *Error) Unwrap() []error {
	if e.Err == nil {
		return []error{e.Kind}
	}
	return []error{e.Kind, e.Err}
}
