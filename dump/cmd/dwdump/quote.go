package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// What a file holds is not to be trusted with a terminal: a key can clear the screen, or
// seem to be another one. Here is all that makes text harmless.

// printable replaces what a terminal would act upon. It is for messages.
func printable(text string) string {
	if harmless(text) {
		return text
	}
	var b strings.Builder
	for i, r := range text {
		switch {
		case r == utf8.RuneError && !strings.HasPrefix(text[i:], string(utf8.RuneError)):
			fmt.Fprintf(&b, `\x%02x`, text[i])
		case r == ' ' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		}
	}
	return b.String()
}

// harmless says whether text is valid, and nothing in it is acted upon or invisible.
func harmless(text string) bool {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c >= 0x7f {
			return utf8.ValidString(text) && !strings.ContainsFunc(text, hidden)
		}
	}
	return true
}

func hidden(r rune) bool { return !unicode.IsPrint(r) }

// appendText appends a string as JSON that consists of nothing but printable characters.
// One that is not UTF-8 becomes an object, as JSON has no such strings.
func appendText(b []byte, text string) []byte {
	if !utf8.ValidString(text) {
		return appendUndecoded(b, []byte(text))
	}
	b = append(b, '"')
	if harmless(text) && !strings.ContainsAny(text, `"\`) {
		return append(append(b, text...), '"')
	}
	for _, r := range text {
		switch r {
		case '"', '\\':
			b = append(b, '\\', byte(r))
		case '\n':
			b = append(b, `\n`...)
		case '\t':
			b = append(b, `\t`...)
		default:
			b = appendRune(b, r)
		}
	}
	return append(b, '"')
}

func appendRune(b []byte, r rune) []byte {
	switch high, low := utf16.EncodeRune(r); {
	case !hidden(r):
		return utf8.AppendRune(b, r)
	case r > 0xffff:
		return fmt.Appendf(b, `\u%04x\u%04x`, high, low)
	default:
		return fmt.Appendf(b, `\u%04x`, r)
	}
}

// appendEscaped appends JSON, printable: outside of its strings JSON is ASCII.
func appendEscaped(b, json []byte) []byte {
	for len(json) > 0 {
		r, n := utf8.DecodeRune(json)
		b = appendRune(b, r)
		json = json[n:]
	}
	return b
}

// appendUndecoded is for bytes that are not what they should be.
func appendUndecoded(b, encoded []byte) []byte {
	b = append(b, `{"base64":`...)
	return append(appendBase64(b, encoded), '}')
}

func appendBase64(b, encoded []byte) []byte {
	b = append(b, '"')
	b = base64.StdEncoding.AppendEncode(b, encoded)
	return append(b, '"')
}

// plainly is text for a line that people read: as it is, unless it could be mistaken for
// something else.
func plainly(text string) string {
	if text == "" || text[0] == '"' || strings.TrimSpace(text) != text || !harmless(text) {
		return string(appendText(nil, text))
	}
	return text
}

// appendEscapedLines is appendEscaped for JSON on several lines.
func appendEscapedLines(b, json []byte) []byte {
	for line := range bytes.Lines(json) {
		text, ended := bytes.CutSuffix(line, []byte("\n"))
		b = appendEscaped(b, text)
		if ended {
			b = append(b, '\n')
		}
	}
	return b
}
