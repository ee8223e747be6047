package cluster_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// Nothing of ours is left in the end. protoactor's remote and cluster leave goroutines behind when they
// are shut down, and a look at a cluster that is gone takes five seconds.
func TestMain(m *testing.M) {
	code := m.Run()
	for began := time.Now(); code == 0; {
		err := goleak.Find()
		if err == nil || !strings.Contains(err.Error(), "dataworker-go/dataworker") {
			break
		}
		if time.Since(began) > 10*time.Second {
			fmt.Fprintln(os.Stderr, err)
			code = 1
		}
	}
	os.Exit(code)
}
