package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// keyText is how a key is called on the command line: a string by itself, anything else as
// the JSON that it is.
func keyText(asJSON []byte) string {
	if len(asJSON) < 2 || asJSON[0] != '"' {
		return string(asJSON)
	}
	inner := asJSON[1 : len(asJSON)-1]
	if !bytes.ContainsRune(inner, '\\') {
		return string(inner)
	}
	var text string
	if json.Unmarshal(asJSON, &text) != nil {
		return string(asJSON)
	}
	return text
}

// keyOrder is a string to sort by: numbers by size, text by its bytes.
func keyOrder(asJSON []byte) string {
	text := keyText(asJSON)
	if c := asJSON[0]; c != '-' && (c < '0' || c > '9') {
		return text
	}
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		// The sign becomes a bit of its own, so that negative numbers come first.
		return ordered(0, uint64(n)^1<<63)
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return ordered(1, n)
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return text
	}
	// Floats are ordered by their bits, negative ones the other way round.
	bits := math.Float64bits(f)
	if f < 0 {
		bits = ^bits
	} else {
		bits |= 1 << 63
	}
	return ordered(2, bits)
}

func ordered(class byte, n uint64) string {
	return string(binary.BigEndian.AppendUint64([]byte{class}, n))
}

// wanted is the key that was asked for.
type wanted struct {
	text    string
	listed  string // what the text stands for, if it is quoted as a list has it
	quoted  bool
	object  string // the text in a form that does not depend on the order of its fields
	objects bool
}

func newWanted(text string) wanted {
	w := wanted{text: text}
	if strings.HasPrefix(text, `"`) {
		w.quoted = json.Unmarshal([]byte(text), &w.listed) == nil
	}
	if strings.HasPrefix(text, "{") || strings.HasPrefix(text, "[") {
		w.object, w.objects = canonical([]byte(text))
	}
	return w
}

// exactly says whether a key is what was asked for.
func (w *wanted) exactly(asJSON []byte) bool {
	if keyText(asJSON) == w.text {
		return true
	}
	if !w.objects || asJSON[0] != w.object[0] {
		return false
	}
	same, ok := canonical(asJSON)
	return ok && same == w.object
}

// perhaps says whether a key is what was asked for if the quotes are not part of it.
func (w *wanted) perhaps(asJSON []byte) bool {
	return w.quoted && keyText(asJSON) == w.listed
}

// canonical is JSON without spaces, the fields of objects sorted.
func canonical(text []byte) (string, bool) {
	reader := json.NewDecoder(bytes.NewReader(text))
	reader.UseNumber() // a float has not all integers
	var value any
	if reader.Decode(&value) != nil || reader.More() {
		return "", false
	}
	sorted, err := json.Marshal(value)
	return string(sorted), err == nil && len(sorted) > 0
}
