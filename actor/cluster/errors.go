package cluster

import (
	"context"
	"errors"
	"fmt"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
	"github.com/dataworker-go/dataworker/bucket"
	"github.com/dataworker-go/dataworker/dump"
	"github.com/dataworker-go/dataworker/loader"
)

var (
	// ErrConfig is the error of an option that makes no sense. Its text names the option, the value
	// and the remedy.
	ErrConfig = errors.New("cluster: bad configuration")

	// ErrNotCarried is the error of a message with a key or value that cannot cross the border: its
	// type is not among those of [Carry], the other member carries it in another way, or its codec
	// refuses it.
	ErrNotCarried = errors.New("cannot be carried to another member")

	// ErrTooLarge is the error of a message that is larger than [MaxMessage].
	ErrTooLarge = errors.New("too large for the border")

	// ErrUnknownMessage is the error of a message that the other member does not understand: it is
	// of an older version of the program.
	ErrUnknownMessage = errors.New("the other member does not know this message")
)

// sentinels are the errors that are the same on both sides. A name is for ever.
var sentinels = []struct {
	name string
	err  error
}{
	{"not-running", bucket.ErrNotRunning},
	{"stopped", bucket.ErrStopped},
	{"crashed", bucket.ErrCrashed},
	{"busy", bucket.ErrBusy},
	{"persist", bucket.ErrPersist},
	{"refused", bucket.ErrRefused},
	{"key-type", bucket.ErrKeyType},
	{"value-type", bucket.ErrValueType},
	{"config", bucket.ErrConfig},
	{"already-running", bucket.ErrAlreadyRunning},
	{"name-taken", bucket.ErrNameTaken},
	{"not-found", loader.ErrNotFound},
	{"unchanged", loader.ErrUnchanged},
	{"goexit", loader.ErrGoexit},
	{"canceled", context.Canceled},
	{"deadline", context.DeadlineExceeded},
	{"file-locked", dump.ErrLocked},
	{"file-foreign", dump.ErrForeign},
	{"file-corrupt", dump.ErrCorrupt},
	{"file-codec", dump.ErrCodec},
	{"file-schema", dump.ErrSchema},
	{"file-stolen", dump.ErrStolen},
	{"file-no-space", dump.ErrNoSpace},
	{"file-io", dump.ErrIO},
	{"cluster-config", ErrConfig},
	{"not-carried", ErrNotCarried},
	{"too-large", ErrTooLarge},
	{"unknown-message", ErrUnknownMessage},
}

// veto is the name of what loader.IsVeto knows.
const veto = "veto"

// RemoteError is an error from another member. Its text is the one that it had there. [errors.Is]
// finds in it the errors of packages bucket and loader, of this one, and those of context;
// [errors.As] finds a *[loader.Error] and a *[loader.PanicError].
type RemoteError struct {
	Text   string
	causes []error
}

// Error returns the text that the error had in its own process.
func (e *RemoteError) Error() string { return e.Text }

// Unwrap returns what the error is, as far as both members know of it.
func (e *RemoteError) Unwrap() []error { return e.causes }

// encodeError makes a description of an error. Nil is none.
func (ts *types) encodeError(err error) *wire.Error {
	if err == nil {
		return nil
	}
	described := &wire.Error{Text: textOf(err)}
	for _, known := range sentinels {
		if errors.Is(err, known.err) {
			described.Is = append(described.Is, known.name)
		}
	}
	if loader.IsVeto(err) {
		described.Is = append(described.Is, veto)
	}
	var load *loader.Error
	if errors.As(err, &load) {
		described.Load = ts.encodeLoadError(load)
		return described // a panic is in there
	}
	var panicked *loader.PanicError
	if errors.As(err, &panicked) {
		described.Panic = &wire.Panic{Value: fmt.Sprint(panicked.Value), Stack: panicked.Stack}
	}
	return described
}

func (ts *types) encodeLoadError(err *loader.Error) *wire.LoadError {
	described := &wire.LoadError{Bucket: err.Bucket, Error: ts.encodeError(err.Err)}
	described.Key, described.KeyText = ts.encodeKey(err.Key)
	return described
}

// encodeKey gives the text of a key that cannot be carried: it is for people.
func (ts *types) encodeKey(key any) (carried *wire.Value, text string) {
	carried, err := ts.encode(key)
	if err != nil {
		return nil, fmt.Sprint(key)
	}
	return carried, ""
}

func (ts *types) decodeKey(carried *wire.Value, text string) any {
	if carried == nil {
		return text
	}
	key, err := ts.decode(carried)
	if err != nil {
		return fmt.Sprintf("(%v)", err)
	}
	return key
}

func (ts *types) decodeError(described *wire.Error) error {
	if described == nil {
		return nil
	}
	err := &RemoteError{Text: described.GetText()}
	for _, name := range described.GetIs() {
		err.causes = append(err.causes, causeOf(name))
	}
	if load := described.GetLoad(); load != nil {
		err.causes = append(err.causes, ts.decodeLoadError(load))
	}
	if panicked := described.GetPanic(); panicked != nil {
		err.causes = append(err.causes, &loader.PanicError{Value: panicked.GetValue(), Stack: panicked.GetStack()})
	}
	return err
}

func (ts *types) decodeLoadError(described *wire.LoadError) *loader.Error {
	err := &loader.Error{
		Bucket: described.GetBucket(),
		Key:    ts.decodeKey(described.GetKey(), described.GetKeyText()),
		Err:    ts.decodeError(described.GetError()),
	}
	if err.Err == nil {
		err.Err = errors.New("unknown")
	}
	return err
}

// causeOf is the error of that name. One that is new to this member is only text.
func causeOf(name string) error {
	if name == veto {
		return loader.Veto(nil)
	}
	for _, known := range sentinels {
		if known.name == name {
			return known.err
		}
	}
	return errors.New(name)
}

// textOf survives an Error method that panics.
func textOf(err error) (text string) {
	defer func() {
		if recover() != nil {
			text = fmt.Sprintf("(unprintable %T)", err)
		}
	}()
	return err.Error()
}
