package cluster_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

// Nothing of ours is left in the end. protoactor's remote leaves goroutines behind when it is shut down.
func TestMain(m *testing.M) {
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil && strings.Contains(err.Error(), "dataworker-go/dataworker") {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
