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

// A node that nobody looks after is not to stop taking versions because of those that it had long ago.
func TestOldVersionsMakeRoom(t *testing.T) {
	one := int64(len(module("p", "1")))
	d := open(t, t.TempDir(), Options{ModuleBytes: 4 * one})
	defer d.Close()
	for _, version := range []string{"1", "2", "3", "4", "5", "6", "7", "8"} {
		must(t, d.MakeRoom(t.Context(), one, 10))
		must(t, d.Activate(t.Context(), "p", accept(t, d, "p", version).Digest))
	}
	p, err := d.Policy(t.Context(), "p")
	must(t, err)
	if p.Active != store.Digest(module("p", "8")) || p.Standby != store.Digest(module("p", "7")) {
		t.Errorf("%+v", p)
	}
	for _, digest := range []string{p.Active, p.Standby} {
		if _, err := d.Module(digest); err != nil {
			t.Error(err)
		}
	}
}
