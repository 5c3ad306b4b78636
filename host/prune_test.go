package host

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestPruneRemovesWhatIsNotUsed(t *testing.T) {
	dir := t.TempDir()
	now := time.Now()
	for name, age := range map[string]time.Duration{"old": keepUnused + time.Hour, "young": time.Hour, "revived": keepUnused * 2} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, now.Add(-age), now.Add(-age)); err != nil {
			t.Fatal(err)
		}
	}
	if err := used(filepath.Join(dir, "revived")); err != nil {
		t.Fatal(err)
	}
	if err := prune(dir, now.Add(-keepUnused)); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(filepath.Join(dir, "*"))
	if len(left) != 2 {
		t.Errorf("left: %v", left)
	}
}
