package cluster

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/proto"

	"github.com/dataworker-go/dataworker/actor/cluster/internal/wire"
)

// cut makes the parts of a message that says text.
func cut(t *testing.T, from string, id uint64, text string, size int) []*wire.Part {
	t.Helper()
	whole, err := proto.Marshal(&wire.Message{Body: &wire.Message_Failed{Failed: &wire.Failed{Error: &wire.Error{Text: text}}}})
	require.NoError(t, err)
	var cut []*wire.Part
	for at := 0; at < len(whole); at += size {
		cut = append(cut, &wire.Part{From: from, Id: id, Index: uint32(len(cut)), Data: whole[at:min(at+size, len(whole))]})
	}
	for _, part := range cut {
		part.Count = uint32(len(cut))
	}
	return cut
}

func textIn(msg *wire.Message) string { return msg.GetFailed().GetError().GetText() }

func TestParts_of_several_messages_at_a_time_become_whole(t *testing.T) {
	p := newParts(1 << 20)
	first, second := cut(t, "a", 1, strings.Repeat("first", 10), 7), cut(t, "b", 1, strings.Repeat("other", 10), 7)
	require.Len(t, second, len(first))
	for i := range first {
		one, err := p.add(first[i])
		require.NoError(t, err)
		other, err := p.add(second[i])
		require.NoError(t, err)
		if last := i == len(first)-1; !last {
			require.Nil(t, one)
			require.Nil(t, other)
			continue
		}
		assert.Equal(t, strings.Repeat("first", 10), textIn(one))
		assert.Equal(t, strings.Repeat("other", 10), textIn(other))
	}
	assert.Empty(t, p.open)
}

func TestParts_with_a_gap_are_an_error_once(t *testing.T) {
	p := newParts(1 << 20)
	all := cut(t, "a", 1, strings.Repeat("x", 50), 7)
	_, err := p.add(all[0])
	require.NoError(t, err)
	_, err = p.add(all[2])
	require.ErrorIs(t, err, ErrNotCarried)
	for _, rest := range all[3:] {
		msg, err := p.add(rest)
		require.NoError(t, err)
		require.Nil(t, msg)
	}
	assert.Empty(t, p.open)
}

func TestParts_are_bounded(t *testing.T) {
	p := newParts(20)
	all := cut(t, "a", 1, strings.Repeat("x", 50), 7)
	var err error
	for _, part := range all {
		if _, err = p.add(part); err != nil {
			break
		}
	}
	require.ErrorIs(t, err, ErrTooLarge)
	assert.Empty(t, p.open)
}

func TestParts_of_a_message_that_never_becomes_whole_are_forgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newParts(1 << 20)
		_, err := p.add(cut(t, "a", 1, "lost", 3)[0])
		require.NoError(t, err)
		synctest.Wait()
		time.Sleep(partsTimeout / 2)
		_, err = p.add(cut(t, "a", 2, "slow", 3)[0])
		require.NoError(t, err)
		assert.Len(t, p.open, 2)
		time.Sleep(partsTimeout/2 + 1)
		_, err = p.add(cut(t, "a", 3, "new", 3)[0])
		require.NoError(t, err)
		assert.Len(t, p.open, 2, "the slow and the new one")
	})
}

func TestParts_that_make_rubbish_are_an_error(t *testing.T) {
	_, err := newParts(100).add(&wire.Part{Count: 1, Data: []byte("rubbish")})
	require.ErrorIs(t, err, ErrNotCarried)
}
