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
	useMemory()
	goleak.VerifyTestMain(m)
}

// useMemory puts temporary folders in memory where there is some: these tests kill processes, not machines, and on a
// slow disk thousands of fsyncs take minutes.
func useMemory() {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", memory)
	}
}

// crashChild is set by the crash test, which is outside of this package because it drives cpufreq.
var crashChild func()

const crashEnv = "EDGEHOLD_TEST_CRASH"
