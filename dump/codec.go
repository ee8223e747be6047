package dump

import "reflect"

// Codec turns keys and values into bytes and back. An implementation must be safe
// for use by many goroutines, must neither keep nor change what it is given, and
// must not panic or hang, whatever the bytes are.
//
// Encode and Decode are given pointers, so that nothing is allocated for the call.
type Codec interface {
	// Name identifies the codec and its version in the file, such as "cbor/1". A
	// file is only read with the codec that wrote it.
	Name() string

	// CheckType says why values of type t would not come back as they were: nil if
	// they would, or would be refused one by one. It is asked once, when a file is
	// opened. The error names the part of t and the remedy.
	CheckType(t reflect.Type) error

	// Encode appends the encoding of *value to into and returns the longer slice. A
	// value that Decode would not give back is an error: by the time of Decode it is
	// too late. With an error, into is returned as it was.
	Encode(into []byte, value any) ([]byte, error)

	// Decode reads one whole encoding into *value, which is the zero value. It bounds
	// its memory by the length of encoded. What it stores may share the memory of
	// encoded, which is never changed.
	Decode(encoded []byte, value any) error
}
