package dump

// Codec turns keys and values into bytes and back. An implementation must be
// safe for use by many goroutines, must not keep the bytes it is given, and must
// give back from Decode what Encode was given: a value that would not come back
// is an error of Encode, because by the time of Decode it is too late.
type Codec interface {
	// Name identifies the codec and its version in the file, such as "cbor/1". A
	// file is only read with the codec that wrote it.
	Name() string

	// Encode appends the encoding of value to into and returns the longer slice.
	Encode(into []byte, value any) ([]byte, error)

	// Decode reads one whole encoding into value, which is a non-nil pointer. It
	// must not panic and must bound its memory by the length of encoded, whatever
	// the bytes are.
	Decode(encoded []byte, value any) error
}
