package dumptest

import (
	"fmt"
	"strings"
)

// Kind is the kind of a call, or several: Write|Sync.
type Kind uint32

// The calls of [dump.FS] and [dump.File].
const (
	Resolve Kind = 1 << iota
	Stat         // Lstat, Stat and IsAt
	Open
	Create
	Read
	Write
	Truncate
	Sync
	SyncDir
	Rename
	Remove
	Lock // of a path, and of a file
	List
	Free
	Close // of a file, and of a path's lock
	Link

	// Any is every call.
	Any = Link<<1 - 1

	// Mutating are those after which a power cut can leave something else. What
	// Close changes, a lock's file, is not worth another cut.
	Mutating = Create | Write | Truncate | Sync | SyncDir | Rename | Link | Remove | Lock
)

var kindNames = [...]string{
	"resolve", "stat", "open", "create", "read", "write", "truncate", "sync",
	"syncdir", "rename", "remove", "lock", "list", "free", "close", "link",
}

func (k Kind) String() string {
	var names []string
	for i, name := range kindNames {
		if k&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, "|")
}

// Op is one call.
type Op struct {
	Kind     Kind
	Path     string // as it was given; of a file's calls, when it was opened
	To       string // of a Rename or a Link
	Offset   int64  // of a Read or Write
	Size     int64  // in bytes, of a Read or Write; the new one, of a Truncate
	Writable bool   // of an Open

	N        int // its number among all calls, from 1
	Mutation int // its number among the [Mutating] calls, from 1; 0 if it is none
}

func (o Op) String() string {
	text := fmt.Sprintf("#%d %v %s", o.N, o.Kind, o.Path)
	switch o.Kind {
	case Read, Write:
		return fmt.Sprintf("%s [%d:%d]", text, o.Offset, o.Offset+o.Size)
	case Truncate:
		return fmt.Sprintf("%s [:%d]", text, o.Size)
	case Rename, Link:
		return fmt.Sprintf("%s -> %s", text, o.To)
	default:
		return text
	}
}
