package dump

import "fmt"

// Origin says how a value was written that is to be migrated.
type Origin struct {
	Schema uint32
	Codec  string // its name, such as "cbor/1"
	Type   string // of the values, as their program called it; for messages
}

// Migration reads a value that was written with another schema version or codec into
// *value, which is of the type that is wanted now. It may be called by many goroutines. An
// error is an [ErrDecode] of the opening.
type Migration func(from Origin, encoded []byte, value any) error

// MigrateFrom returns a migration of values that were of type Old and written with codec:
// convert makes new ones of them.
func MigrateFrom[Old, New any](schema uint32, codec Codec, convert func(Old) (New, error)) Migration {
	return func(from Origin, encoded []byte, value any) error {
		into, ok := value.(*New)
		switch {
		case !ok:
			return fmt.Errorf("the migration makes %T, and %T is wanted", into, value)
		case from.Schema != schema:
			return fmt.Errorf("the migration is from schema %d, and the file has schema %d", schema, from.Schema)
		case from.Codec != codec.Name():
			return fmt.Errorf("the migration reads %s, and the file is written with %s", codec.Name(), from.Codec)
		}
		var old Old
		if err := codec.Decode(encoded, &old); err != nil {
			return err
		}
		converted, err := convert(old)
		if err != nil {
			return err
		}
		*into = converted
		return nil
	}
}
