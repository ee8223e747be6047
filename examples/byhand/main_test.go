package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestByHand_shows_a_bucket_that_lives_and_dies_with_its_parent(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	assert.Equal(t, `before: bucket "tides": not running: start it first, with supervisor.Start or by spawning its Props
Saint-Malo: 5.13 m, from harbour/tides after 1 load
Saint-Malo: 5.13 m, from harbour/tides after 1 load
after: bucket "tides": stopped (not running): start it again to use it (stopped: true)
`, out.String())
}
