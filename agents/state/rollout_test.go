package state

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/plugins/store"
)

// TestAllowOutlivesTheDatabase: what an operator forbade must not come back with a database that is lost.
func TestAllowOutlivesTheDatabase(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	for _, name := range []string{"free", "bound", "shut", "old"} {
		accept(t, d, name, "1")
	}
	must(t, d.SetAllow(t.Context(), "bound", []string{"CPUFrequency"}))
	must(t, d.SetAllow(t.Context(), "shut", []string{}))
	must(t, d.Close())
	record := filepath.Join(dir, modulesDir, "old"+recordSuffix)
	b, err := os.ReadFile(record)
	must(t, err)
	if !strings.Contains(string(b), `"Allow": null,`) {
		t.Fatalf("the record does not say what is allowed: %s", b)
	}
	must(t, os.WriteFile(record, []byte(strings.Replace(string(b), `"Allow": null,`, "", 1)), 0o600))
	for _, suffix := range []string{"", "-wal", "-shm"} {
		_ = os.Remove(filepath.Join(dir, dbName+suffix))
	}
	d = open(t, dir, Options{})
	defer d.Close()
	for name, want := range map[string][]string{"free": nil, "bound": {"CPUFrequency"}, "shut": {}, "old": {}} {
		p, err := d.Policy(t.Context(), name)
		must(t, err)
		if (p.Allow == nil) != (want == nil) || !slices.Equal(p.Allow, want) {
			t.Errorf("%s: got %#v, want %#v", name, p.Allow, want)
		}
	}
}

func TestAllowMovesFromTheSettings(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	accept(t, d, "p", "1")
	accept(t, d, "q", "2")
	must(t, d.SetSetting(t.Context(), "allow/p", "A,B"))
	must(t, d.SetSetting(t.Context(), "allow/q", ""))
	step := schema[1]
	move := step[strings.Index(step, "UPDATE"):strings.Index(step, "CREATE")]
	_, err := d.write.ExecContext(t.Context(), move)
	must(t, err)
	for name, want := range map[string][]string{"p": {"A", "B"}, "q": {}} {
		p, err := d.Policy(t.Context(), name)
		must(t, err)
		if p.Allow == nil || !slices.Equal(p.Allow, want) {
			t.Errorf("%s: got %#v, want %v", name, p.Allow, want)
		}
	}
	if _, found, _ := d.Setting(t.Context(), "allow/p"); found {
		t.Error("the setting is still there")
	}
	must(t, d.Close())
}

func TestRolloutKeepsItsVersions(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	var digests []string
	for _, v := range []string{"1", "2", "3", "4"} {
		digests = append(digests, accept(t, d, "p", v).Digest)
	}
	must(t, d.Activate(t.Context(), "p", digests[3]))
	must(t, d.SetRolloutLater("p", []byte("{}"), nil))
	must(t, d.SetRollout(t.Context(), "p", []byte(`{"a":1}`), digests[:1]))
	if kept, err := d.Rollout(t.Context(), "p"); err != nil || string(kept) != `{"a":1}` {
		t.Errorf("kept %q, %v", kept, err)
	}
	removed, err := d.Collect(t.Context(), 1)
	must(t, err)
	slices.Sort(removed)
	want := slices.Sorted(slices.Values(digests[1:3]))
	if !slices.Equal(removed, want) {
		t.Errorf("collected %v, want %v", removed, want)
	}
	must(t, d.SetRollout(t.Context(), "nobody", []byte("{}"), nil))
	if kept, err := d.Rollout(t.Context(), "nobody"); err != nil || kept != nil {
		t.Errorf("a policy that is not there has a rollout: %q, %v", kept, err)
	}
	must(t, d.Remove(t.Context(), "p"))
	if kept, err := d.Rollout(t.Context(), "p"); err != nil || kept != nil {
		t.Errorf("a removed policy has a rollout: %q, %v", kept, err)
	}
}

func TestPoint(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	one, two, three := accept(t, d, "p", "1").Digest, accept(t, d, "p", "2").Digest, accept(t, d, "p", "3").Digest
	must(t, d.Point(t.Context(), "p", one, ""))
	must(t, d.Point(t.Context(), "p", three, one))
	must(t, d.Point(t.Context(), "p", three, two))
	if got := states(t, d, "p"); got["3"] != Active || got["2"] != Standby || got["1"] != Retired {
		t.Errorf("got %v", got)
	}
	if err := d.Point(t.Context(), "p", store.Digest([]byte("unknown")), one); err == nil {
		t.Error("an unknown version was put in charge")
	}
}

func TestDeletedModuleIsRemembered(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	digest := accept(t, d, "p", "1").Digest
	wants := func(want bool) {
		t.Helper()
		if got, err := d.Dropped(t.Context(), digest); err != nil || got != want {
			t.Errorf("dropped: got %v, %v, want %v", got, err, want)
		}
	}
	wants(false)
	must(t, d.Remove(t.Context(), "p"))
	wants(true)
	accept(t, d, "p", "1")
	wants(false)
}
