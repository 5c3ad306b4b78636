package mechanisms

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// BootID reads the identity of the running boot, /proc/sys/kernel/random/boot_id below root.
func BootID(root string) (string, error) {
	f, err := os.Open(filepath.Join(root, "proc/sys/kernel/random/boot_id"))
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	defer f.Close()
	b := make([]byte, 64)
	n, err := f.Read(b)
	if err != nil {
		return "", fmt.Errorf("read boot id: %w", err)
	}
	id := strings.TrimSpace(string(b[:n]))
	if id == "" {
		return "", fmt.Errorf("read boot id: the file is empty")
	}
	return id, nil
}
