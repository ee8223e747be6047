package main

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
)

// decoder appends what encoded means, as JSON on one line that is safe for a terminal. It
// takes memory for no more than that. With an error, into is returned as it was.
type decoder func(into, encoded []byte) ([]byte, error)

// decoderFor is the decoder for what a codec of this name has written from this Go type. known
// is false for a codec of the program's own.
func decoderFor(codec, typeName string, opaque decoder) (d decoder, known bool) {
	switch codec {
	case "raw/1":
		return rawDecoder(typeName), true
	case "cbor/1":
		return decodeCBOR, true
	case "json/1":
		return decodeJSON, true
	case "binary/1":
		return opaque, true
	default:
		return opaque, false
	}
}

// asBase64 is for values that are bytes.
func asBase64(into, encoded []byte) ([]byte, error) { return appendBase64(into, encoded), nil }

// asHex is for keys that are bytes.
func asHex(into, encoded []byte) ([]byte, error) {
	into = append(into, '"')
	into = hex.AppendEncode(into, encoded)
	return append(into, '"'), nil
}

func decodeJSON(into, encoded []byte) ([]byte, error) {
	if !json.Valid(encoded) {
		return into, errors.New("json/1: this is no JSON")
	}
	if bytes.ContainsAny(encoded, "\t\r\n") { // between the parts; within strings they are not allowed
		var line bytes.Buffer
		if err := json.Compact(&line, encoded); err != nil {
			return into, err
		}
		encoded = line.Bytes()
	}
	return appendEscaped(into, encoded), nil
}
