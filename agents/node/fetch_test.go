package node

import (
	"bytes"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/plugins/bundle"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/sign"
)

// byReference uploads what a reference names.
func (r *rig) byReference(reference string) (api.UploadResult, string) {
	r.t.Helper()
	result, err := r.Policies.Upload(r.t.Context(), nil, api.UploadOptions{Reference: reference}, api.Actor{Via: "unix", Role: api.RoleOperator})
	return result, codeOf(err)
}

// TestNodesPullFromEachOther: one node is the mirror of another, metadata of trust included.
func TestNodesPullFromEachOther(t *testing.T) {
	o, first, second := newOperator(t), newRig(t), newRig(t)
	old := module(t, "01-cpu-boost")
	next := version(t, old, "1.1.0")
	o.add(old)
	o.add(next)
	first.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath()})
	second.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath()})
	mirror := httptest.NewServer(first.Mirror())
	defer mirror.Close()
	at := "oci://" + strings.TrimPrefix(mirror.URL, "http://") + "/policies/cpu-boost:"

	var file bytes.Buffer
	if err := bundle.Write(&file, &bundle.Bundle{Module: old, Trust: o.metadata()}); err != nil {
		t.Fatal(err)
	}
	uploaded, code := first.tryUpload(file.Bytes())
	if code != "" || uploaded.Trust.State != api.TrustSigned {
		t.Fatalf("a bundle: %q, %+v", code, uploaded)
	}
	pulled, code := second.byReference(at + uploaded.Version)
	if code != "" || pulled.Digest != uploaded.Digest || !pulled.Activated || pulled.Trust.State != api.TrustSigned {
		t.Fatalf("by reference: %q, %+v", code, pulled)
	}
	if !strings.HasPrefix(pulled.Reference, at+uploaded.Version+"@sha256:") {
		t.Errorf("its reference is %s", pulled.Reference)
	}
	if _, code := first.tryUpload(next); code != "" {
		t.Fatal(code)
	}
	if pulled, code = second.byReference(at + "1.1.0"); code != "" || pulled.Replaced != uploaded.Version {
		t.Errorf("the next version: %q, %+v", code, pulled)
	}
	for reference, want := range map[string]string{
		at + "9.9.9": registry.CodeNotFound, "dir:/etc:x": registry.CodeReference, "nonsense": registry.CodeReference, "oci://127.0.0.1:1/x:1": registry.CodeUnreachable,
	} {
		if _, code := second.byReference(reference); code != want {
			t.Errorf("%s: got %q, want %s", reference, code, want)
		}
	}
	if p, err := second.Policies.Get(t.Context(), "cpu-boost"); err != nil || p.ActiveVersion != "1.1.0" {
		t.Errorf("after the failures %+v runs, %v", p, err)
	}
}

// TestUnsignedByReference: that something came from a registry vouches for nothing.
func TestUnsignedByReference(t *testing.T) {
	o, first, second := newOperator(t), newRig(t), newRig(t)
	second.trusting(config.Trust{Require: config.RequireSigned, Root: o.PinPath()})
	mirror := httptest.NewServer(first.Mirror())
	defer mirror.Close()
	uploaded := first.upload("01-cpu-boost")
	at := "oci://" + strings.TrimPrefix(mirror.URL, "http://") + "/cpu-boost:" + uploaded.Version
	if result, code := second.byReference(at); code != sign.CodeUnsigned || result.Activated {
		t.Errorf("%q, %+v", code, result)
	}
	if ps, err := second.Policies.List(t.Context()); err != nil || len(ps) != 0 {
		t.Errorf("%+v, %v", ps, err)
	}
}

func TestDamagedBundles(t *testing.T) {
	r := newRig(t)
	var file bytes.Buffer
	if err := bundle.Write(&file, &bundle.Bundle{Module: module(t, "01-cpu-boost")}); err != nil {
		t.Fatal(err)
	}
	for what, raw := range map[string][]byte{"cut": file.Bytes()[:file.Len()/2], "changed": bytes.Replace(file.Bytes(), []byte("\x00asm"), []byte("\x00ASM"), 1)} {
		if _, code := r.tryUpload(raw); !strings.HasPrefix(code, "bundle.") {
			t.Errorf("%s: %q", what, code)
		}
	}
	if _, code := r.tryUpload(file.Bytes()); code != "" {
		t.Error(code)
	}
}
