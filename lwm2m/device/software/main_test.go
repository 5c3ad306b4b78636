package software

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashEnv); dir != "" {
		lifeThatEnds(dir)
		return
	}
	goleak.VerifyTestMain(m)
}
