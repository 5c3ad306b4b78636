//go:build linux

package daemon

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/plugins/registry"
	"github.com/edgehold/edgehold/plugins/registry/registrytest"
)

// registries adds to the configuration what it says of registries.
func (h *home) registries(t *testing.T, format string, args ...any) {
	t.Helper()
	text, err := os.ReadFile(h.path("config.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, fmt.Sprintf("registry: "+format+"\n", args...)...)
	if err := os.WriteFile(h.path("config.yaml"), text, 0o644); err != nil {
		t.Fatal(err)
	}
}

// pull has the daemon fetch what a reference names.
func (h *home) pull(t *testing.T, reference string) api.UploadResult {
	t.Helper()
	result, err := h.api.UploadPolicy(t.Context(), nil, api.UploadOptions{Reference: reference})
	if err != nil {
		t.Fatalf("pull %s: %v", reference, err)
	}
	return result
}

// TestFromRegistryToNodeToNode: versions go to a real registry, a daemon pulls them, is killed, pulls the next one, and is
// the mirror from which another daemon gets both after the registry has gone.
func TestFromRegistryToNodeToNode(t *testing.T) {
	near, far := newHome(t), newHome(t)
	near.registries(t, `{mirror: {listen: "127.0.0.1:0", plain: true}}`)
	at, err := registry.Parse("oci://" + registrytest.Start(t) + "/policies/pulse")
	if err != nil {
		t.Fatal(err)
	}
	client, err := registry.New(registry.Config{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	first, second := pulse(t, "1.0.0"), pulse(t, "1.1.0")
	for _, push := range []struct {
		module []byte
		bases  [][]byte
	}{{first, nil}, {second, [][]byte{first}}} {
		if _, err := client.Push(t.Context(), at, push.module, registry.PushOptions{Bases: push.bases}); err != nil {
			t.Fatal(err)
		}
	}

	daemon := near.start(t)
	if r := near.pull(t, at.WithTag("1.0.0").String()); !r.Activated || r.Version != "1.0.0" {
		t.Errorf("%+v", r)
	}
	daemon.kill()
	daemon = near.start(t)
	eventually(t, "the pulled version to run again", func() bool {
		p, err := near.api.Policy(t.Context(), "pulse")
		return err == nil && p.ActiveVersion == "1.0.0"
	})
	if r := near.pull(t, at.WithTag("1.1.0").String()); !r.Activated || r.Replaced != "1.0.0" || !strings.Contains(r.Reference, "@sha256:") {
		t.Errorf("%+v", r)
	}

	mirror := mirrorOf(t, daemon)
	far.registries(t, `{mirrors: [%q]}`, mirror)
	far.start(t)
	gone := "oci://127.0.0.1:1/policies/pulse:" // the registry, as a node that can't reach it sees it
	for _, version := range []string{"1.0.0", "1.1.0"} {
		if r := far.pull(t, gone+version); !r.Activated || r.Version != version || !strings.HasPrefix(r.Reference, "oci://"+mirror+"/") {
			t.Errorf("from the mirror: %+v", r)
		}
	}
}

// mirrorOf reads from a daemon's log where it hands out modules.
func mirrorOf(t *testing.T, p *process) (host string) {
	t.Helper()
	eventually(t, "the daemon to say where its mirror is", func() bool {
		_, after, found := strings.Cut(p.said(), `"handing out modules" address=`)
		host, _, _ = strings.Cut(after, "\n")
		return found
	})
	return host
}
