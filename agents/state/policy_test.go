package state

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func states(t *testing.T, d *DB, policy string) map[string]VersionState {
	t.Helper()
	vs, err := d.Versions(t.Context(), policy)
	must(t, err)
	m := make(map[string]VersionState)
	for _, v := range vs {
		m[v.Version] = v.State
	}
	return m
}

func TestLifeOfVersions(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	ctx := t.Context()
	digest := make(map[string]string)
	for _, v := range []string{"1", "2", "3"} {
		digest[v] = accept(t, d, "p", v).Digest
	}
	steps := []struct {
		name string
		do   func() error
		want map[string]VersionState
	}{
		{"accepted", func() error { return nil }, map[string]VersionState{"1": Prepared, "2": Prepared, "3": Prepared}},
		{"activate 1", func() error { return d.Activate(ctx, "p", digest["1"]) }, map[string]VersionState{"1": Active, "2": Prepared, "3": Prepared}},
		{"activate 2", func() error { return d.Activate(ctx, "p", digest["2"]) }, map[string]VersionState{"1": Standby, "2": Active, "3": Prepared}},
		{"again", func() error { return d.Activate(ctx, "p", digest["2"]) }, map[string]VersionState{"1": Standby, "2": Active, "3": Prepared}},
		{"activate 3", func() error { return d.Activate(ctx, "p", digest["3"]) }, map[string]VersionState{"1": Retired, "2": Standby, "3": Active}},
		{"quarantine 3", func() error { return d.Quarantine(ctx, "p", digest["3"], "traps") }, map[string]VersionState{"1": Retired, "2": Standby, "3": Quarantined}},
		{"roll back", func() error { _, err := d.Rollback(ctx, "p"); return err }, map[string]VersionState{"1": Retired, "2": Active, "3": Quarantined}},
	}
	for _, s := range steps {
		must(t, s.do())
		if diff := cmp.Diff(states(t, d, "p"), s.want); diff != "" {
			t.Fatalf("%s: %s", s.name, diff)
		}
	}
	if _, err := d.Rollback(ctx, "p"); code(err) != "policy.no-standby" {
		t.Errorf("rolled back to a quarantined version: %v", err)
	}
	if err := d.Activate(ctx, "p", "sha256:00"); !errors.Is(err, ErrNotFound) {
		t.Errorf("activated an unknown version: %v", err)
	}
	if err := d.SetEnabled(ctx, "q", true); !errors.Is(err, ErrNotFound) {
		t.Errorf("enabled an unknown policy: %v", err)
	}
}

func TestBadNames(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	for _, name := range []string{"", "../x", "a/b", ".hidden", "a b", "a\x00"} {
		_, err := d.Accept(t.Context(), Version{Policy: name}, []byte("m"))
		if code(err) != "policy.bad-name" {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestCollectKeepsWhatMatters(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	defer d.Close()
	ctx := t.Context()
	var vs []Version
	for _, v := range []string{"1", "2", "3", "4", "5"} {
		vs = append(vs, accept(t, d, "p", v))
	}
	must(t, d.Activate(ctx, "p", vs[0].Digest))
	must(t, d.Activate(ctx, "p", vs[1].Digest))
	must(t, os.WriteFile(filepath.Join(dir, modulesDir, "sha256-00.wasm"), []byte("orphan"), 0o600))
	removed, err := d.Collect(ctx, 1)
	must(t, err)
	if len(removed) != 3 { // 3, 4 and the orphan
		t.Errorf("removed %v", removed)
	}
	for i, kept := range []bool{true, true, false, false, true} {
		if _, err := d.Module(vs[i].Digest); (err == nil) != kept {
			t.Errorf("version %d: %v", i+1, err)
		}
	}
}

func TestDamagedModuleIsNotGivenOut(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	defer d.Close()
	v := accept(t, d, "p", "1")
	path, err := d.modules.Path(v.Digest)
	must(t, err)
	must(t, os.WriteFile(path, []byte("something else"), 0o600))
	if _, err := d.Module(v.Digest); code(err) != "module.damaged" {
		t.Errorf("got %v", err)
	}
	accept(t, d, "p", "1") // uploading it again mends it
	_, err = d.Module(v.Digest)
	must(t, err)
}

func TestContextsAndSettings(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	ctx := context.Background()
	c := d.Contexts()
	c.Save("p", "node", 1, []byte("one"))
	c.Save("p", "node", 1, []byte("two"))
	c.Save("p", "node", 2, nil)
	must(t, d.SetSetting(ctx, "mode", "ml"))
	for range 2 { // before and after a restart
		for schema, want := range map[uint32]string{1: "two", 2: ""} {
			got, found, err := d.Contexts().Load(ctx, "p", "node", schema)
			if err != nil || !found || string(got) != want {
				t.Errorf("schema %d: %q, %v, %v", schema, got, found, err)
			}
		}
		if v, found, err := d.Setting(ctx, "mode"); v != "ml" || !found || err != nil {
			t.Errorf("mode %q, %v", v, err)
		}
		must(t, d.Close())
		d = open(t, dir, Options{})
	}
	if _, found, err := d.Contexts().Load(ctx, "q", "node", 1); found || err != nil {
		t.Errorf("found %v, %v", found, err)
	}
	must(t, d.Close())
}

func TestOneProcessAtATime(t *testing.T) {
	dir := t.TempDir()
	d := open(t, dir, Options{})
	defer d.Close()
	if _, err := Open(t.Context(), dir, Options{}); code(err) != "state.locked" {
		t.Errorf("got %v", err)
	}
}

func TestLaterReleaseIsRefused(t *testing.T) {
	d := open(t, t.TempDir(), Options{})
	defer d.Close()
	must(t, d.Migrate(t.Context(), "x", []string{"CREATE TABLE x (a)", "CREATE TABLE y (a)"}))
	if err := d.Migrate(t.Context(), "x", []string{"CREATE TABLE x (a)"}); code(err) != "state.too-new" {
		t.Errorf("got %v", err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add([]byte(`{"Policy":{"Name":"p","Enabled":true,"Active":"sha256:00"},"Versions":[{"Policy":"p","Digest":"sha256:00"}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err == nil && checkName(r.Policy.Name) != nil {
			t.Errorf("took name %q", r.Policy.Name)
		}
	})
}
