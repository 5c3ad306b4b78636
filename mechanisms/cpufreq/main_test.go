package cpufreq_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// TestMain puts temporary folders in memory where there is some, as the tests of mechanisms do.
func TestMain(m *testing.M) {
	const memory = "/dev/shm"
	if info, err := os.Stat(memory); err == nil && info.IsDir() && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", memory)
	}
	goleak.VerifyTestMain(m)
}
