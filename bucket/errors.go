package bucket

import (
	"errors"
	"fmt"
)

// What a caller may branch on. They come wrapped: the text in front names the bucket.
var (
	// ErrNotRunning is returned before a bucket has been started and after it has
	// stopped; in the second case the error is an [ErrStopped] as well.
	ErrNotRunning = errors.New("not running")

	// ErrStopped is returned when the bucket stopped, or was given up by its
	// supervisor, before or while it was asked.
	ErrStopped = errors.New("stopped")

	// ErrCrashed is returned to the caller on whose question the bucket's actor
	// panicked. The bucket restarts; the question may be asked again. A write
	// that got it may or may not have been made.
	ErrCrashed = errors.New("crashed on this message")

	// ErrBusy is returned when MaxWaiting callers wait already.
	ErrBusy = errors.New("busy: too many callers are waiting")

	// ErrPersist is returned for a DirectSet, Set or Delete that could not be written to the
	// bucket's file, and so was not made. The cause is in it. If the process is killed before
	// the file has been repaired, the next start may find the write made all the same.
	ErrPersist = errors.New("not written to the dump")

	// ErrRefused is returned when the gate refused a generation; see [Gate].
	ErrRefused = errors.New("refused the new generation")

	// ErrKeyType is returned for a key that is not of the bucket's key type, and
	// for one that cannot be a map key: a slice inside an any, or a NaN.
	ErrKeyType = errors.New("unusable key")

	// ErrValueType is returned for a value that is not of the bucket's value type.
	ErrValueType = errors.New("unusable value")

	// ErrConfig is the error of a start with an option that makes no sense. Its
	// text names the option, the value and the remedy.
	ErrConfig = errors.New("bad configuration")

	// ErrAlreadyRunning is the error of a second start of one Bucket value.
	ErrAlreadyRunning = errors.New("running already")

	// ErrNameTaken is the error of a start while another bucket of the same name
	// runs in the actor system.
	ErrNameTaken = errors.New("name is taken in this actor system")
)

// errorf is fmt.Errorf with the bucket's name in front.
func (b *Bucket[K, V]) errorf(format string, args ...any) error {
	return fmt.Errorf("bucket %q: "+format, append([]any{b.name}, args...)...)
}

func (b *Bucket[K, V]) errNeverStarted() error {
	return b.errorf("%w: start it first, with supervisor.Start or by spawning its Props", ErrNotRunning)
}
