package node

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/sign"
	"github.com/edgehold/edgehold/wasmabi"
)

// operator is a trust folder.
type operator struct {
	*sign.Repository
	t   *testing.T
	dir string
}

func newOperator(t *testing.T) *operator {
	t.Helper()
	dir := t.TempDir()
	repository, left, err := sign.Init(dir, sign.InitOptions{Keys: filepath.Join(dir, "keys"), Now: time.Now})
	if err != nil || len(left) > 0 {
		t.Fatalf("init: %v, %d documents lack signatures", err, len(left))
	}
	return &operator{repository, t, dir}
}

func (o *operator) add(raw []byte) {
	o.t.Helper()
	m, err := wasmabi.ReadManifest(raw)
	if err != nil {
		o.t.Fatal(err)
	}
	if _, err := o.Add(sign.Module{Name: m.Name, Version: m.Version, Kind: m.Kind, Bytes: raw}); err != nil {
		o.t.Fatal(err)
	}
}

// metadata is what a bundle of the operator's carries.
func (o *operator) metadata() map[string][]byte {
	o.t.Helper()
	files := map[string][]byte{}
	root := filepath.Join(o.Published())
	paths, err := filepath.Glob(filepath.Join(root, sign.ImagesFolder, "*.json"))
	if err != nil {
		o.t.Fatal(err)
	}
	for _, path := range paths {
		content, err := os.ReadFile(path)
		if err != nil {
			o.t.Fatal(err)
		}
		files[strings.TrimPrefix(path, root+"/")] = content
	}
	return files
}

// version is a module under another version.
func version(t *testing.T, raw []byte, version string) []byte {
	t.Helper()
	m, err := wasmabi.ReadManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	m.Version = version
	packed, err := plugins.Pack(raw, m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// trusting restarts the node with a configuration of trust.
func (r *rig) trusting(c config.Trust) {
	r.t.Helper()
	r.stop()
	r.config.Trust = c
	r.config.SetDefaults()
	if err := r.config.Validate(); err != nil {
		r.t.Fatal(err)
	}
	r.start()
}

func (r *rig) tryUpload(raw []byte) (api.UploadResult, string) {
	r.t.Helper()
	result, err := r.Policies.Upload(r.t.Context(), raw, api.UploadOptions{}, api.Actor{Via: "unix", Role: api.RoleOperator})
	return result, codeOf(err)
}

func codeOf(err error) string {
	if err == nil {
		return ""
	}
	if coded, ok := err.(interface{ ErrorCode() string }); ok {
		return coded.ErrorCode()
	}
	return err.Error()
}

// TestOnlySignedModulesComeIn: what nobody vouches for is refused before any of its code runs, and what runs is marked.
func TestOnlySignedModulesComeIn(t *testing.T) {
	o, r := newOperator(t), newRig(t)
	raw := module(t, "01-cpu-boost")
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath()})

	if _, code := r.tryUpload(raw); code != sign.CodeUnsigned {
		t.Fatalf("unsigned: got %q, want %s", code, sign.CodeUnsigned)
	}
	if n := r.Policies.changes.Load(); n != 0 {
		t.Errorf("%d modules were prepared for a refusal", n)
	}
	o.add(raw)
	if err := r.Policies.trust.TakeIn(t.Context(), o.metadata()); err != nil {
		t.Fatal(err)
	}
	result, code := r.tryUpload(raw)
	if code != "" || result.Trust.State != api.TrustSigned || len(result.Trust.Keys) != 1 {
		t.Fatalf("signed: got %q, %+v", code, result.Trust)
	}
	if _, code := r.tryUpload(append(raw, 0)); code != sign.CodeUnsigned {
		t.Errorf("one byte more: got %q, want %s", code, sign.CodeUnsigned)
	}
	entries, err := r.Audit.List(t.Context(), api.AuditFilter{Action: "policy.upload", Limit: 3})
	if err != nil || len(entries.Items) != 3 || !strings.HasPrefix(entries.Items[1].Detail["detail"], "signed by ") || entries.Items[0].Code != sign.CodeUnsigned {
		t.Errorf("audit: %v, %+v", err, entries.Items)
	}

	two := version(t, raw, "1.0.1")
	if _, err := o.Revoke("cpu-boost", "1.0.0", "it overheats"); err != nil {
		t.Fatal(err)
	}
	o.add(two)
	if err := r.Policies.trust.TakeIn(t.Context(), o.metadata()); err != nil {
		t.Fatal(err)
	}
	r.stop()
	r.start()
	p, err := r.Policies.Get(t.Context(), "cpu-boost")
	if err != nil || p.Trust.State != api.TrustRevoked || p.State == api.PolicyQuarantined {
		t.Fatalf("withdrawn while it runs: got %s (%s), %+v, %v, want it running and marked", p.State, p.StateReason, p.Trust, err)
	}
	if _, code := r.tryUpload(two); code != "" {
		t.Fatalf("the next version: got %q", code)
	}
	if _, err := r.Policies.Rollback(t.Context(), "cpu-boost", "", api.DaemonActor); codeOf(err) != sign.CodeRevoked {
		t.Errorf("back to the withdrawn version: got %v, want %s", err, sign.CodeRevoked)
	}
}

// TestUnsignedModulesRunWhereTheOperatorSaysSo, and only there.
func TestUnsignedModulesRunWhereTheOperatorSaysSo(t *testing.T) {
	o, r := newOperator(t), newRig(t)
	raw := module(t, "01-cpu-boost")
	r.trusting(config.Trust{Root: o.PinPath()})
	result, code := r.tryUpload(raw)
	if code != "" || result.Trust.State != api.TrustUnsigned || result.Trust.Reason == "" {
		t.Fatalf("with require: unsigned: got %q, %+v", code, result.Trust)
	}
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath()})
	p, err := r.Policies.Get(t.Context(), "cpu-boost")
	if err != nil || p.State == api.PolicyActive || !strings.Contains(p.StateReason, "unsigned") {
		t.Errorf("started with require: signed: got %s (%s), %v", p.State, p.StateReason, err)
	}
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath(), Unsigned: []string{"cpu-boost"}})
	if p, err = r.Policies.Get(t.Context(), "cpu-boost"); err != nil || p.State == api.PolicyQuarantined || p.Trust.State != api.TrustUnsigned {
		t.Errorf("named in trust.unsigned: got %s (%s), %+v, %v", p.State, p.StateReason, p.Trust, err)
	}
}

// TestInstalledGoesOnWithoutMetadata: the voucher of a module that was accepted outlives the metadata.
func TestInstalledGoesOnWithoutMetadata(t *testing.T) {
	o, r := newOperator(t), newRig(t)
	raw := module(t, "01-cpu-boost")
	o.add(raw)
	r.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath()})
	if err := r.Policies.trust.TakeIn(t.Context(), o.metadata()); err != nil {
		t.Fatal(err)
	}
	if _, code := r.tryUpload(raw); code != "" {
		t.Fatal(code)
	}
	r.stop()
	if err := os.Remove(filepath.Join(r.config.StateDirectory, "trust", "trusted.json")); err != nil {
		t.Fatal(err)
	}
	r.start()
	p, err := r.Policies.Get(t.Context(), "cpu-boost")
	if err != nil || p.State == api.PolicyQuarantined || p.Trust.State != api.TrustSigned {
		t.Errorf("got %s (%s), %+v, %v", p.State, p.StateReason, p.Trust, err)
	}
}
