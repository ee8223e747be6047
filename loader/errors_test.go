package loader_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/assert"

	"github.com/dataworker-go/dataworker/loader"
)

type (
	cursed   struct{} // its methods panic
	accursed struct{} // its methods panic with what panics when it is printed
	regionID string
)

func (cursed) String() string   { panic("cursed") }
func (accursed) String() string { panic(accursed{}) }

type (
	cursedError   struct{}
	accursedError struct{}
)

func (cursedError) Error() string   { panic("cursed") }
func (accursedError) Error() string { panic(accursedError{}) }

func TestError_says_which_key_of_which_bucket_and_why(t *testing.T) {
	tests := []struct {
		name string
		err  loader.Error
		want string
	}{
		{"a number", loader.Error{"prices", 7, errSource}, `bucket "prices": load of key 7: source is down`},
		{"a string is quoted", loader.Error{"prices", "a b", errSource}, `bucket "prices": load of key "a b": source is down`},
		{"a struct", loader.Error{"prices", struct{ A, B int }{1, 2}, errSource}, `bucket "prices": load of key {1 2}: source is down`},
		{"no key", loader.Error{"prices", nil, errSource}, `bucket "prices": load of key <nil>: source is down`},
		{"no error", loader.Error{"prices", 7, nil}, `bucket "prices": load of key 7: <nil>`},
		{
			"a key that panics",
			loader.Error{"prices", cursed{}, errSource},
			`bucket "prices": load of key %!v(PANIC=String method: cursed): source is down`,
		},
		{
			"an error that panics",
			loader.Error{"prices", 7, cursedError{}},
			`bucket "prices": load of key 7: %!v(PANIC=Error method: cursed)`,
		},
		{
			"a key whose panic panics",
			loader.Error{"prices", accursed{}, errSource},
			`bucket "prices": load of key (unprintable loader_test.accursed): source is down`,
		},
		{
			"an error whose panic panics",
			loader.Error{"prices", 7, accursedError{}},
			`bucket "prices": load of key 7: (unprintable loader_test.accursedError)`,
		},
		{
			"a callback that panicked with that",
			loader.Error{"prices", 7, &loader.PanicError{Value: accursedError{}}},
			`bucket "prices": load of key 7: panic: (unprintable loader_test.accursedError)`,
		},
		{
			"a veto for that reason",
			loader.Error{"prices", 7, loader.Veto(accursedError{})},
			`bucket "prices": load of key 7: vetoed: (unprintable loader_test.accursedError)`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.EqualError(t, &tt.err, tt.want)
		})
	}
}

func TestError_shows_no_more_than_the_beginning_of_a_huge_key(t *testing.T) {
	tests := []struct {
		name  string
		key   any
		begin string
	}{
		{"a string", strings.Repeat("a", 1<<20), `"aaa`},
		{"a string of long escapes", strings.Repeat("\U0010fffe", 1<<20), `"\U0010fffe\U0010fffe`},
		{"a string of long letters", strings.Repeat("界", 1<<20), `"界界`},
		{"a string of one letter too many", strings.Repeat("a", 121), `"aaa`},
		{"a named string", regionID(strings.Repeat("a", 1<<20)), "aaa"},
		{"a named string of long letters", regionID("a" + strings.Repeat("界", 1<<20)), "a界界"},
		{"an array", [1 << 10]int{}, "[0 0 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			text := (&loader.Error{Bucket: "b", Key: tt.key, Err: errSource}).Error()
			key := strings.TrimSuffix(strings.TrimPrefix(text, `bucket "b": load of key `), ": source is down")
			assert.True(t, strings.HasPrefix(key, tt.begin), "%s", key)
			assert.True(t, strings.HasSuffix(key, "…"), "%s shows that it was cut", key)
			assert.True(t, utf8.ValidString(key), "%q is cut between letters", key)
			assert.GreaterOrEqual(t, len(key), 100)
			assert.LessOrEqual(t, len(key), 320, "120 bytes of key, and what quoting them takes")
		})
	}
}

func TestError_shows_a_key_whole_that_is_not_too_long(t *testing.T) {
	key := strings.Repeat("a", 100)
	assert.Contains(t, (&loader.Error{Key: key, Err: errSource}).Error(), `"`+key+`":`)
	assert.Contains(t, (&loader.Error{Key: regionID(key), Err: errSource}).Error(), " "+key+":")
}

func TestError_unwraps(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		target error
	}{
		{"to what the callback returned", errSource, errSource},
		{"through what it wrapped", fmt.Errorf("row 7: %w", loader.ErrNotFound), loader.ErrNotFound},
		{"to the deadline", context.DeadlineExceeded, context.DeadlineExceeded},
		{"through a panic", &loader.PanicError{Value: errSource}, errSource},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.ErrorIs(t, &loader.Error{Bucket: "b", Key: 1, Err: tt.err}, tt.target)
		})
	}
}

func TestPanicError_unwraps_only_an_error(t *testing.T) {
	assert.Equal(t, errSource, (&loader.PanicError{Value: errSource}).Unwrap())
	assert.NoError(t, (&loader.PanicError{Value: "boom"}).Unwrap())
	assert.NoError(t, (&loader.PanicError{}).Unwrap())
}

func TestVeto(t *testing.T) {
	tests := []struct {
		name   string
		err    error
		isVeto bool
		reason error
		text   string
	}{
		{"with a reason", loader.Veto(errSource), true, errSource, "vetoed: source is down"},
		{"without a reason", loader.Veto(nil), true, nil, "vetoed"},
		{"wrapped", fmt.Errorf("init: %w", loader.Veto(errSource)), true, errSource, "init: vetoed: source is down"},
		{"joined", errors.Join(errSource, loader.Veto(nil)), true, errSource, "source is down\nvetoed"},
		{"not one", errSource, false, errSource, "source is down"},
		{"a lookalike", errors.New("vetoed"), false, nil, "vetoed"},
		{"inside a panic", &loader.PanicError{Value: loader.Veto(nil)}, true, nil, "panic: vetoed"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			assert.Equal(t, tt.isVeto, loader.IsVeto(tt.err))
			assert.EqualError(t, tt.err, tt.text)
			if tt.reason != nil {
				assert.ErrorIs(t, tt.err, tt.reason)
			} else {
				assert.NotErrorIs(t, tt.err, errSource)
			}
		})
	}
	assert.False(t, loader.IsVeto(nil))
}
