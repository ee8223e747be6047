package supervisor_test

import (
	"io"
	"testing"

	"github.com/sirupsen/logrus"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	logrus.SetOutput(io.Discard) // a bucket whose options are bad has no other logger
	goleak.VerifyTestMain(m)
}
