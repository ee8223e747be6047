package main

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestOwnTree_shows_buckets_that_live_and_die_with_the_application(t *testing.T) {
	var out bytes.Buffer
	require.NoError(t, run(&out))
	assert.Equal(t, `stars   running as observatory/sky/stars
comets  running as observatory/sky/comets
Proxima Centauri is 4.25 light years away; Halley comes back in 2061
after the observatory has closed: bucket "stars": stopped (not running): start it again to use it
`, out.String())
}
