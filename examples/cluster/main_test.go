//go:build !race

// protoactor's cluster has data races of its own, which are not ours to report.

package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestMain is a member, too: the test starts its own program again.
func TestMain(m *testing.M) {
	if args, ok := memberArgs(); ok {
		if err := serve(context.Background(), args, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func TestCluster_shows_a_bucket_that_comes_back(t *testing.T) {
	for etcd, kind := range map[string]string{"": "automanaged", "embedded": "an embedded etcd"} {
		t.Run(kind, func(t *testing.T) {
			var out bytes.Buffer
			require.NoError(t, run(t.Context(), &out, etcd), "%s", &out)
			assert.Regexp(t, regexp.MustCompile(`^3 processes that meet by `+kind+`, and one bucket. Whoever is asked, the owner loads:
  member A: hello from France, loaded by process (\d+)
  member B: hello from France, loaded by process (\d+)
  member C: hello from France, loaded by process (\d+)

member [ABC] owns it, and is killed\.
  member [ABC]: hello from Japan, loaded by process (\d+) \(\d+\.\ds after the kill\)
  member [ABC]: hello from Japan, loaded by process (\d+) \(\d+\.\ds after the kill\)

member [ABC] comes back\.
  member [ABC]: hello from Peru, loaded by process \d+
$`), out.String())
		})
	}
}

func TestCluster_says_that_no_etcd_is_there(t *testing.T) {
	ports, err := freePorts(1)
	require.NoError(t, err)
	address := fmt.Sprintf("127.0.0.1:%d", ports[0])
	ctx, stop := context.WithTimeout(t.Context(), time.Second)
	defer stop()
	var out bytes.Buffer
	assert.ErrorContains(t, run(ctx, &out, address), "etcd at "+address)
	assert.Empty(t, out.String())
}
