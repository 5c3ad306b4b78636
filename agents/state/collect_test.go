package state

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/plugins/store"
)

// A database that lost its newest transactions must not have the modules collected that only the records know of.
func TestCollectKeepsWhatTheRecordsKnow(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	first, second := accept(t, d, "p", "1"), accept(t, d, "p", "2")
	must(t, d.Activate(t.Context(), "p", first.Digest))
	must(t, d.Activate(t.Context(), "p", second.Digest))
	_, err := d.write.Exec(`DELETE FROM policies`) // and with it the versions
	must(t, err)
	removed, err := d.Collect(t.Context(), 1)
	must(t, err)
	if len(removed) > 0 {
		t.Errorf("removed %v, of which one was running and one the standby", removed)
	}
}

// Existing installations have their modules under these names.
func TestNamesOfModulesOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	defer d.Close()
	v := accept(t, d, "p", "1")
	got, err := os.ReadFile(filepath.Join(dir, "modules", "sha256-"+v.Digest[len("sha256:"):]+".wasm"))
	if err != nil || store.Digest(got) != v.Digest {
		t.Errorf("%v", err)
	}
}

func TestModulesHaveAQuota(t *testing.T) {
	d := open(t, t.TempDir(), Options{ModuleBytes: 100})
	defer d.Close()
	v := accept(t, d, "p", "1")
	must(t, d.Activate(t.Context(), "p", v.Digest))
	if _, err := d.Accept(t.Context(), Version{Policy: "p", Version: "2"}, make([]byte, 200)); code(err) != "state.quota" {
		t.Errorf("got %v", err)
	}
	if p, err := d.Policy(t.Context(), "p"); err != nil || p.Active != v.Digest {
		t.Errorf("%+v, %v", p, err)
	}
}
