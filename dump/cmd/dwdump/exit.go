package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/dataworker-go/dataworker/dump"
)

// The exit codes are told in the help.
const (
	exitOK          = 0
	exitUsage       = 1 // or a file that cannot be read
	exitDamaged     = 2
	exitTorn        = 3
	exitForeign     = 4
	exitLocked      = 5
	exitNoKey       = 6
	exitInterrupted = 130
)

// exit is an error that knows its exit code. Without a text, all has been said.
type exit struct {
	code int
	text string
}

func (e *exit) Error() string { return e.text }

func silent(code int) error { return &exit{code: code} }

func usage(format string, args ...any) error {
	return &exit{exitUsage, fmt.Sprintf(format, args...)}
}

func explain(err error) (code int, text string) {
	var known *exit
	switch {
	case err == nil, errors.Is(err, errEnough):
		return exitOK, ""
	case errors.As(err, &known):
		return known.code, known.text
	case errors.Is(err, context.Canceled):
		return exitInterrupted, "interrupted"
	default:
		return exitUsage, err.Error()
	}
}

// about puts an error of the dump package into the words of this command: the path as the
// caller gave it, what is wrong and where, and what can be done.
func about(path string, err error) error {
	var wrong *dump.Error
	if errors.Is(err, context.Canceled) || !errors.As(err, &wrong) {
		return err
	}
	return &exit{codeOf(wrong), path + ": " + describe(wrong) + advice(wrong)}
}

func codeOf(err error) int {
	switch {
	case errors.Is(err, dump.ErrCorrupt), errors.Is(err, dump.ErrTruncated), errors.Is(err, dump.ErrDecode):
		return exitDamaged
	case errors.Is(err, dump.ErrForeign), errors.Is(err, dump.ErrVersion), errors.Is(err, dump.ErrCodec), errors.Is(err, dump.ErrSchema):
		return exitForeign
	case errors.Is(err, dump.ErrLocked):
		return exitLocked
	default:
		return exitUsage
	}
}

func describe(wrong *dump.Error) string {
	if errors.Is(wrong, fs.ErrNotExist) {
		return "there is no such file"
	}
	text := wrong.Kind.Error()
	if wrong.Offset >= 0 {
		text += fmt.Sprintf(" at offset %d", wrong.Offset)
	}
	if wrong.Reason != "" {
		text += ": " + wrong.Reason
	}
	if wrong.Err != nil {
		text += fmt.Sprintf(": %v", wrong.Err)
	}
	return text
}

func advice(wrong *dump.Error) string {
	switch {
	case errors.Is(wrong, dump.ErrLocked):
		return ": stop it first, or copy the file and work on the copy"
	case errors.Is(wrong, dump.ErrStolen):
		return ": try again, or copy the file and work on the copy"
	default:
		return ""
	}
}

func isDamage(err error) bool {
	return errors.Is(err, dump.ErrCorrupt) || errors.Is(err, dump.ErrTruncated)
}
