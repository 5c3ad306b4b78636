package languages

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/plugins/pluginstest"
)

// The crate's own tests and those of the examples run without Wasm, as an author's do.
func TestRustPoliciesRunInCargoTest(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a crate")
	}
	cargo, err := exec.LookPath("cargo")
	pluginstest.Need(t, err)
	for _, dir := range []string{"../../../../sdk/rust", filepath.Join(example, "rust"), filepath.Join(average, "rust")} {
		c := exec.Command(cargo, "test", "--offline", "--locked")
		c.Dir, c.Env = dir, append(os.Environ(), "CARGO_TARGET_DIR="+filepath.Join(os.TempDir(), "edgehold-cargo-test"))
		if text, err := c.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", dir, err, text)
		}
	}
}
