package node

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/plugins/store"
)

// assign has the director name versions of cpu-boost.
func (o *operator) assign(node, version string) {
	o.t.Helper()
	if err := o.Assign(node, []sign.Wanted{{Name: "cpu-boost", Version: version}}); err != nil {
		o.t.Fatal(err)
	}
}

// assigned asks the source, and returns the only assignment.
func (r *rig) assigned() (api.TrustAssignment, api.TrustStatus) {
	r.t.Helper()
	s, err := r.Trust.Update(r.t.Context(), api.Actor{Via: "unix", Role: api.RoleOperator})
	if err != nil {
		r.t.Fatal(err)
	}
	if len(s.Assigned) != 1 {
		r.t.Fatalf("got %d assignments, want 1: %+v", len(s.Assigned), s)
	}
	return s.Assigned[0], s
}

// TestTheDirectorIsFollowed: what it assigns is installed, once, and a person's word stands until it says something new.
func TestTheDirectorIsFollowed(t *testing.T) {
	o, r := newOperator(t), newRig(t)
	one := module(t, "01-cpu-boost")
	two := version(t, one, "2.0.0")
	o.add(one)
	o.add(two)
	o.assign("edge-1", "1.0.0")
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath(), Source: o.Published(), Follow: true, Node: "edge-1", Interval: config.Duration(time.Hour)})

	a, s := r.assigned()
	if a.State != api.AssignmentRunning || a.Running != "1.0.0" || s.LastError != "" || len(s.Documents) != 8 {
		t.Fatalf("got %+v, %s, %d documents", a, s.LastError, len(s.Documents))
	}
	if p, err := r.Policies.Get(t.Context(), "cpu-boost"); err != nil || p.Trust.State != api.TrustSigned || p.Versions[0].UploadedBy != "director" {
		t.Errorf("installed: got %+v, %v", p.Trust, err)
	}
	o.assign("edge-1", "2.0.0")
	if a, _ = r.assigned(); a.State != api.AssignmentRunning || a.Running != "2.0.0" {
		t.Fatalf("the next version: got %+v", a)
	}
	if _, err := r.Policies.Rollback(t.Context(), "cpu-boost", "", api.DaemonActor); err != nil {
		t.Fatal(err)
	}
	if a, _ = r.assigned(); a.State != api.AssignmentReplaced || a.Running != "1.0.0" {
		t.Errorf("after a person went back: got %+v", a)
	}
	r.stop()
	r.start()
	if a, _ = r.assigned(); a.State != api.AssignmentReplaced || a.Running != "1.0.0" {
		t.Errorf("after a restart: got %+v", a)
	}
}

// TestASourceThatLies about a module: nothing is installed, what runs goes on, and it is put right when the source is.
func TestASourceThatLies(t *testing.T) {
	o, r := newOperator(t), newRig(t)
	one := module(t, "01-cpu-boost")
	two := version(t, one, "2.0.0")
	o.add(one)
	o.add(two)
	o.assign("edge-1", "1.0.0")
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath(), Source: o.Published(), Follow: true, Node: "edge-1", Interval: config.Duration(time.Second)})
	r.assigned()

	path := filepath.Join(o.Published(), sign.ModulesFolder, "sha256-"+store.Digest(two)[len("sha256:"):]+".wasm")
	for name, content := range map[string][]byte{"half": two[:len(two)/2], "other bytes": append(bytes.Clone(two[:len(two)-1]), two[len(two)-1]^1), "another module": one} {
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		o.assign("edge-1", "2.0.0")
		a, s := r.assigned()
		if a.State != api.AssignmentFailed || a.Running != "1.0.0" || s.LastErrorCode != sign.CodeDigestMismatch {
			t.Errorf("%s: got %+v, %s", name, a, s.LastErrorCode)
		}
	}
	if err := os.WriteFile(path, two, 0o600); err != nil {
		t.Fatal(err)
	}
	r.await("it comes in once the source is put right", func() bool { a, _ := r.assigned(); return a.Running == "2.0.0" })

	if err := os.RemoveAll(o.Published()); err != nil {
		t.Fatal(err)
	}
	a, s := r.assigned()
	if a.State != api.AssignmentRunning || s.LastErrorCode != sign.CodeUnreachable {
		t.Errorf("without a source: got %+v, %s", a, s.LastErrorCode)
	}
}

// TestTheDirectorIsFollowedOverARegistry, with a folder in its form: metadata and modules come from there.
func TestTheDirectorIsFollowedOverARegistry(t *testing.T) {
	o, r := newOperator(t), newRig(t)
	one := module(t, "01-cpu-boost")
	two := version(t, one, "2.0.0")
	fleet := "dir:" + filepath.Join(t.TempDir(), "fleet")
	o.add(one)
	o.assign("edge-1", "1.0.0")
	o.push(fleet, "1.0.0", one)
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath(), Source: fleet, Follow: true, Node: "edge-1", Interval: config.Duration(time.Hour)})
	if a, s := r.assigned(); a.State != api.AssignmentRunning || a.Running != "1.0.0" {
		t.Fatalf("got %+v, %s", a, s.LastError)
	}
	o.add(two)
	o.assign("edge-1", "2.0.0")
	o.push(fleet, "1.5.0", two) // under another tag than that of its version
	if a, s := r.assigned(); a.State != api.AssignmentFailed || a.Running != "1.0.0" {
		t.Fatalf("before the module is there: got %+v, %s", a, s.LastError)
	}
	o.push(fleet, "2.0.0", two)
	if a, s := r.assigned(); a.State != api.AssignmentRunning || a.Running != "2.0.0" {
		t.Fatalf("the next version: got %+v, %s", a, s.LastError)
	}
}

// push publishes metadata and a module below a reference.
func (o *operator) push(reference, tag string, raw []byte) {
	o.t.Helper()
	client, err := registry.New(registry.Config{})
	if err != nil {
		o.t.Fatal(err)
	}
	defer client.Close()
	at, err := registry.Parse(reference)
	if err != nil {
		o.t.Fatal(err)
	}
	files := map[string][]byte{}
	for _, folder := range []string{sign.ImagesFolder, sign.DirectorFolder, sign.DirectorFolder + "/edge-1"} {
		paths, err := filepath.Glob(filepath.Join(o.Published(), folder, "*.json"))
		if err != nil {
			o.t.Fatal(err)
		}
		for _, path := range paths {
			if files[folder+"/"+filepath.Base(path)], err = os.ReadFile(path); err != nil {
				o.t.Fatal(err)
			}
		}
	}
	if err := client.PushMetadata(o.t.Context(), at, files); err != nil {
		o.t.Fatal(err)
	}
	at.Path = filepath.Join(at.Path, "cpu-boost")
	if _, err := client.Push(o.t.Context(), at.WithTag(tag), raw, registry.PushOptions{}); err != nil {
		o.t.Fatal(err)
	}
}

func TestUpdateWithoutASource(t *testing.T) {
	r := newRig(t)
	if _, err := r.Trust.Update(t.Context(), api.DaemonActor); codeOf(err) != "trust.no-source" {
		t.Errorf("got %v", err)
	}
	s, err := r.Trust.Status(t.Context())
	if err != nil || s.Rooted || s.Require != config.RequireUnsigned {
		t.Errorf("got %+v, %v", s, err)
	}
}
