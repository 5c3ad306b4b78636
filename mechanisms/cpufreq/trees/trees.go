// Package trees lays down recorded sysfs trees of CPU frequency scaling as plain files, for tests and for trying
// Edgehold on a machine that has none. It is not a simulation: plain files take any value, keep it, and no clock changes.
package trees

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// files maps a path below the root to the attribute's contents, without the newline.
type files map[string]string

var trees = map[string]func() files{
	"acpi-cpufreq":         acpi,
	"intel_pstate":         intelActive,
	"intel_pstate-passive": intelPassive,
	"amd-pstate-epp":       amdEPP,
	"amd-pstate-passive":   amdPassive,
	"amd-pstate-guided":    amdGuided,
	"zcu102":               zcu102,
	"raspberrypi":          raspberryPi,
}

// Names lists the trees, sorted.
func Names() []string {
	names := make([]string, 0, len(trees))
	for name := range trees {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// Write lays a tree down below dir, as sys/devices/system/cpu/....
func Write(dir, name string) error {
	build, ok := trees[name]
	if !ok {
		return fmt.Errorf("write sysfs tree: there is no %q; there are %s", name, strings.Join(Names(), ", "))
	}
	for path, content := range build() {
		full := filepath.Join(dir, "sys/devices/system/cpu", path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			return fmt.Errorf("write sysfs tree %s: %w", name, err)
		}
		if err := os.WriteFile(full, []byte(content+"\n"), 0o644); err != nil {
			return fmt.Errorf("write sysfs tree %s: %w", name, err)
		}
	}
	return nil
}
