package dump_test

import (
	"encoding"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/dataworker-go/dataworker/dump"
)

func TestText_of_policies_and_outcomes_is_read_back(t *testing.T) {
	for _, p := range []dump.SyncPolicy{
		dump.SyncAlways, dump.SyncNever, dump.Buffered, dump.DefaultSync, dump.SyncEvery(90 * time.Second), dump.SyncEvery(0),
	} {
		assert.Equal(t, p, again(t, p, new(dump.SyncPolicy)))
	}
	assert.Equal(t, dump.DefaultSync, again(t, dump.SyncPolicy(0), new(dump.SyncPolicy)), "it stands for the default")
	for p := dump.Fail; p <= dump.SalvagePrefix; p++ {
		assert.Equal(t, p, again(t, p, new(dump.CorruptPolicy)))
	}
	for o := dump.Absent; o <= dump.Salvaged; o++ {
		assert.Equal(t, o, again(t, o, new(dump.Outcome)))
	}
	for _, wrong := range []string{"", "SyncEvery", "SyncEvery(", "SyncEvery(x)", "SyncEvery(-1s)", "Outcome(9)", "CorruptPolicy(9)"} {
		for _, into := range []encoding.TextUnmarshaler{new(dump.SyncPolicy), new(dump.CorruptPolicy), new(dump.Outcome)} {
			require.Error(t, into.UnmarshalText([]byte(wrong)), "%q into %T", wrong, into)
		}
	}
}

// again writes a value as text and reads that.
func again[T encoding.TextMarshaler, P interface {
	*T
	encoding.TextUnmarshaler
}](t *testing.T, value T, into P) T {
	t.Helper()
	text, err := value.MarshalText()
	require.NoError(t, err)
	require.NoError(t, into.UnmarshalText(text))
	return *into
}
