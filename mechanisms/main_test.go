package mechanisms

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if crashChild != nil && os.Getenv(crashEnv) != "" {
		crashChild()
	}
	goleak.VerifyTestMain(m)
}

// crashChild is set by the crash test, which is outside of this package because it drives cpufreq.
var crashChild func()

const crashEnv = "EDGEHOLD_TEST_CRASH"

func mustTempDir() string {
	dir, err := os.MkdirTemp("", "edgehold-example")
	if err != nil {
		panic(err)
	}
	return dir
}
