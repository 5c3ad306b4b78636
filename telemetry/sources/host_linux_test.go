package sources

import (
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestPipeInAFilesPlace: a recorded tree may hold anything; a pipe that nobody writes to must not stop the agent.
func TestPipeInAFilesPlace(t *testing.T) {
	path := filepath.Join(t.TempDir(), "loadavg")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Skip("no pipes here:", err)
	}
	if _, err := readFile(path, maxProcBytes); err == nil || !strings.Contains(err.Error(), "not a regular file") {
		t.Errorf("got %v", err)
	}
}
