package cluster

import (
	"fmt"
	"time"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
)

// What a member that keeps a copy of a bucket, or of a part of it, and the owner say to each other.
//
//	follower ──follow──▶ owner
//	follower ◀──page──── owner       what it holds, if a copy is wanted
//	follower ◀──page──── owner       complete: what has changed meanwhile is in there
//	follower ◀──page──── owner       changes, or nothing for a while
//	         ──heard──▶              after each; only then comes the next
//
// A follower that misses a page, or hears nothing, begins again with another session.
type (
	// follow asks for the changes of a bucket from now on.
	follow struct {
		Session uint64
		Whole   bool // all that it holds before, and the values
	}

	// page is what comes next.
	page struct {
		Session  uint64
		Number   uint64 // in the session, from zero
		Run      uint64 // of the bucket: another one counts its changes anew
		From, To uint64 // the change before those of this page, and the last of them
		Complete bool   // from here on the copy is as the bucket was at some moment
		Entries  []entry
	}

	// entry is a key and its value, or says that it is not there any more. Without copy there is no
	// value.
	entry struct {
		Key, Value any
		Removed    bool
	}

	// heard answers a page.
	heard struct{ Session uint64 } // zero: nobody follows here any more

	// where asks for the last change of a bucket, or of a copy.
	where struct{}

	// position answers where.
	position struct {
		Run, Seq uint64
		Live     bool // an owner is here, or followed
		heard    time.Time
	}
)

func (page) IgnoreDeadLetterLogging()  {}
func (heard) IgnoreDeadLetterLogging() {}

// fresher says whether a copy has seen more than another one. Those of one run have seen the same changes
// up to their last; of others it is known only when they have heard of an owner for the last time.
func (p position) fresher(than position) bool {
	if p.Run == than.Run {
		return p.Seq > than.Seq
	}
	return p.heard.After(than.heard)
}

func (position) IgnoreDeadLetterLogging() {}

func (ts *types) encodeFollowing(msg any) (*wire.Message, error) {
	switch msg := msg.(type) {
	case follow:
		return &wire.Message{Body: &wire.Message_Follow{Follow: &wire.Follow{Session: msg.Session, Whole: msg.Whole}}}, nil
	case page:
		encoded, err := ts.encodePage(msg)
		return &wire.Message{Body: &wire.Message_Page{Page: encoded}}, err
	case heard:
		return &wire.Message{Body: &wire.Message_Heard{Heard: &wire.Heard{Session: msg.Session}}}, nil
	case where:
		return &wire.Message{Body: &wire.Message_Where{Where: &wire.Where{}}}, nil
	case position:
		return &wire.Message{Body: &wire.Message_At{At: encodePosition(msg)}}, nil
	}
	return nil, fmt.Errorf("%w: a %T is no message of package bucket", ErrNotCarried, msg)
}

func (ts *types) decodeFollowing(msg *wire.Message) (any, error) {
	switch body := msg.GetBody().(type) {
	case *wire.Message_Follow:
		return follow{Session: body.Follow.GetSession(), Whole: body.Follow.GetWhole()}, nil
	case *wire.Message_Page:
		return ts.decodePage(body.Page)
	case *wire.Message_Heard:
		return heard{Session: body.Heard.GetSession()}, nil
	case *wire.Message_Where:
		return where{}, nil
	case *wire.Message_At:
		return decodePosition(body.At), nil
	}
	return nil, ErrUnknownMessage
}

// The clocks of members differ, so what is said is how long ago it was.

func encodePosition(msg position) *wire.At {
	at := &wire.At{Run: msg.Run, Seq: msg.Seq, Live: msg.Live}
	if !msg.heard.IsZero() {
		at.Age = int64(max(time.Since(msg.heard), 1))
	}
	return at
}

func decodePosition(at *wire.At) position {
	msg := position{Run: at.GetRun(), Seq: at.GetSeq(), Live: at.GetLive()}
	if at.GetAge() > 0 {
		msg.heard = time.Now().Add(-time.Duration(at.GetAge()))
	}
	return msg
}

func (ts *types) encodePage(msg page) (*wire.Page, error) {
	encoded := &wire.Page{
		Session: msg.Session, Number: msg.Number, Run: msg.Run, From: msg.From, To: msg.To, Complete: msg.Complete,
	}
	keys, values := make([]any, len(msg.Entries)), make([]any, len(msg.Entries))
	for i, e := range msg.Entries {
		keys[i], values[i] = e.Key, e.Value
		if e.Removed {
			encoded.Removed = append(encoded.Removed, uint32(i))
		}
	}
	var err error
	if encoded.Keys, err = ts.encodeList(keys); err != nil {
		return nil, err
	}
	encoded.Values, err = ts.encodeList(values)
	return encoded, err
}

func (ts *types) decodePage(encoded *wire.Page) (any, error) {
	msg := page{
		Session: encoded.GetSession(), Number: encoded.GetNumber(), Run: encoded.GetRun(),
		From: encoded.GetFrom(), To: encoded.GetTo(), Complete: encoded.GetComplete(),
	}
	keys, err := ts.decodeList(encoded.GetKeys())
	if err != nil {
		return nil, err
	}
	values, err := ts.decodeList(encoded.GetValues())
	if err != nil {
		return nil, err
	}
	if len(values) != len(keys) {
		return nil, fmt.Errorf("%w: a page has %d keys and %d values", ErrNotCarried, len(keys), len(values))
	}
	if len(keys) > 0 {
		msg.Entries = make([]entry, len(keys))
	}
	for i := range keys {
		msg.Entries[i] = entry{Key: keys[i], Value: values[i]}
	}
	for _, i := range encoded.GetRemoved() {
		if int(i) < len(msg.Entries) {
			msg.Entries[i].Removed = true
		}
	}
	return msg, nil
}
