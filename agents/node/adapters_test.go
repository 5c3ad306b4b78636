package node

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/agents/api"
	"github.com/edgehold/edgehold/agents/node/config"
	"github.com/edgehold/edgehold/agents/node/plug/plugtest"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

// offersPlug is a configuration that lets an adapter reach the plug.
func offersPlug(p *plugtest.Plug) func(*config.Config) {
	return func(c *config.Config) {
		c.Capabilities = []config.Capability{
			{Kind: "http", Hosts: []string{"plug.example.org:80"}, Methods: []string{"GET", "PUT", "POST", "DELETE"}, Address: p.Address},
			{Kind: "kv", Bytes: 1024},
		}
	}
}

// reversioned is a module whose manifest a test has changed.
func reversioned(t *testing.T, raw []byte, change func(*wasmabi.Manifest)) []byte {
	t.Helper()
	m, err := wasmabi.ReadManifest(raw)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	if raw, err = wasmabi.StripManifest(raw); err == nil {
		raw, err = wasmabi.AppendManifest(raw, m)
	}
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (r *rig) offer(raw []byte, o api.UploadOptions) (api.UploadResult, error) {
	return r.Policies.Upload(r.t.Context(), raw, o, person)
}

func wantErrorCode(t *testing.T, err error, code string) {
	t.Helper()
	var coded interface{ ErrorCode() string }
	if !errors.As(err, &coded) || coded.ErrorCode() != code {
		t.Fatalf("got %v, want %s", err, code)
	}
}

func cooler(t *testing.T) []byte {
	t.Helper()
	dir := "../../examples/05-rest-device/cooler"
	return pluginstest.Pack(t, dir, pluginstest.Module(t, dir))
}

// A policy turns a device's knob that an adapter made a mechanism of; everything that a native mechanism does holds.
func TestPolicyTurnsAKnobOfAnAdapter(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	p := plugtest.Start(t)
	r := newRigWith(t, offersPlug(p))
	result := r.upload("05-rest-device")
	if !result.Activated || len(result.Grants) != 2 || !result.Grants[0].Granted() || result.Grants[0].Capability.Name != "device" {
		t.Fatalf("got %+v", result)
	}
	m, err := r.Mechanisms.Get(t.Context(), "SmartPlug")
	if err != nil || !m.Available || m.Adapter == nil || m.Adapter.Version != "1.0.0" || m.Adapter.Digest != result.Digest || m.Driver != "plug 4C11AE" || len(m.Knobs) != 2 {
		t.Fatalf("got %+v, %v", m, err)
	}
	if _, err := r.offer(cooler(t), api.UploadOptions{}); err != nil {
		t.Fatal(err)
	}
	r.busy(0.95)
	r.await("the fan is at full speed", func() bool { return p.Turns(100) })
	if _, err := r.Policies.Disable(t.Context(), "cooler", person); err != nil {
		t.Fatal(err)
	}
	r.await("the plug has its fan back", func() bool {
		percent, auto := p.Fan()
		return percent == 40 && auto
	})
}

func TestAdapterGrants(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	p := plugtest.Start(t)
	raw := module(t, "05-rest-device")
	t.Run("nothing is offered by default", func(t *testing.T) {
		r := newRig(t)
		_, err := r.offer(raw, api.UploadOptions{})
		wantErrorCode(t, err, "adapter.not-granted")
		if !strings.Contains(err.Error(), "http device is not granted") || !strings.Contains(err.Error(), "kv memory is not granted") {
			t.Error(err)
		}
		shown, err := r.offer(raw, api.UploadOptions{DryRun: true})
		if err != nil || len(shown.Grants) != 2 || shown.Grants[0].Offered || !shown.Grants[0].Asked || !shown.Grants[0].Allowed {
			t.Errorf("a dry run shows %+v, %v", shown.Grants, err)
		}
	})
	t.Run("the operator allows less", func(t *testing.T) {
		r := newRigWith(t, offersPlug(p))
		_, err := r.offer(raw, api.UploadOptions{Allow: []string{"device"}})
		wantErrorCode(t, err, "adapter.not-granted")
		if _, err := r.offer(raw, api.UploadOptions{Allow: []string{"device", "memory"}}); err != nil {
			t.Error(err)
		}
	})
	t.Run("names", func(t *testing.T) {
		r := newRigWith(t, offersPlug(p))
		for name, test := range map[string]struct {
			code   string
			change func(*wasmabi.Manifest)
		}{
			"a native mechanism": {"adapter.mechanism-taken", func(m *wasmabi.Manifest) { m.Provides.Mechanism = "CPUFrequency" }},
			"its D3.3 name":      {"adapter.mechanism-taken", func(m *wasmabi.Manifest) { m.Provides.Mechanism = "CPUFrequencyConfigurator" }},
			"a host not offered": {"adapter.not-granted", func(m *wasmabi.Manifest) { m.Capabilities[0].Hosts = []string{"other.example.org:80"} }},
			"a wider host":       {"adapter.not-granted", func(m *wasmabi.Manifest) { m.Capabilities[0].Hosts = []string{"*.example.org:80"} }},
			"more bytes":         {"adapter.not-granted", func(m *wasmabi.Manifest) { m.Capabilities[1].Bytes = 2048 }},
			"reaches too far":    {"manifest.host", func(m *wasmabi.Manifest) { m.Capabilities[0].Hosts = []string{"*:80"} }},
			"exec": {"manifest.exec", func(m *wasmabi.Manifest) {
				m.Capabilities[0].Kind = "exec"
				m.Capabilities[0].Hosts = nil
				m.Capabilities[0].Methods = nil
			}},
			"for another layer":    {"policy.not-for-this-agent", func(m *wasmabi.Manifest) { m.Layer = "cluster" }},
			"a policy with a plug": {"manifest.invalid", func(m *wasmabi.Manifest) { m.Kind, m.Limits.DeadlineMS = "policy", 0 }},
		} {
			_, err := r.offer(reversioned(t, raw, test.change), api.UploadOptions{})
			var coded interface{ ErrorCode() string }
			if !errors.As(err, &coded) || coded.ErrorCode() != test.code {
				t.Errorf("%s: got %v, want %s", name, err, test.code)
			}
		}
	})
}

func TestAdapterVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	p := plugtest.Start(t)
	r := newRigWith(t, offersPlug(p))
	r.upload("05-rest-device")
	set := func(percent float64) {
		t.Helper()
		_, err := r.Mechanisms.Apply(t.Context(), "SmartPlug", api.MechanismCommand{Settings: []api.Setting{{Knob: "fan/speed", Value: api.NumberValue(percent), Unit: "%"}}}, person)
		if err != nil {
			t.Fatal(err)
		}
	}
	set(90)
	next := reversioned(t, module(t, "05-rest-device"), func(m *wasmabi.Manifest) { m.Version = "1.1.0" })
	result, err := r.offer(next, api.UploadOptions{})
	if err != nil || !result.Activated || result.Replaced != "1.0.0" {
		t.Fatalf("got %+v, %v", result, err)
	}
	version := func(want string) {
		t.Helper()
		m, err := r.Mechanisms.Get(t.Context(), "SmartPlug")
		if err != nil || m.Adapter == nil || m.Adapter.Version != want {
			t.Fatalf("got %+v, %v", m.Adapter, err)
		}
	}
	version("1.1.0")
	if !p.Turns(90) {
		t.Error("replacing the adapter moved the knob")
	}
	if _, err := r.Policies.Rollback(t.Context(), "rest-device", "", person); err != nil {
		t.Fatal(err)
	}
	version("1.0.0")
	other := reversioned(t, module(t, "05-rest-device"), func(m *wasmabi.Manifest) { m.Version, m.Provides.Mechanism = "2.0.0", "Socket" })
	_, err = r.offer(other, api.UploadOptions{})
	wantErrorCode(t, err, "adapter.mechanism-changed")
	_, err = r.offer(next, api.UploadOptions{Rollout: &api.RolloutStart{}})
	wantErrorCode(t, err, "rollout.not-for-adapters")

	if _, err := r.Policies.Disable(t.Context(), "rest-device", person); err != nil {
		t.Fatal(err)
	}
	if percent, auto := p.Fan(); percent != 40 || !auto {
		t.Errorf("disabled, it leaves the fan at %v", percent)
	}
	if m, err := r.Mechanisms.Get(t.Context(), "SmartPlug"); err == nil {
		t.Errorf("disabled, there is %+v", m)
	}
	if got, err := r.Policies.Enable(t.Context(), "rest-device", person); err != nil || got.State != api.PolicyActive {
		t.Fatalf("got %+v, %v", got, err)
	}
	set(80)
	r.stop()
	r.await("stopping gives the fan back", func() bool { return p.Turns(40) })
	r.start()
	version("1.0.0")
	set(70)
	if err := r.Policies.Delete(t.Context(), "rest-device", person); err != nil {
		t.Fatal(err)
	}
	if !p.Turns(40) {
		t.Error("deleted, it leaves the fan")
	}
	if left, err := os.ReadDir(filepath.Join(r.config.StateDirectory, "adapters")); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A device that is off does not hide other mechanisms, and its adapter begins to serve when it is there.
func TestAdapterWaitsForItsDevice(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles modules")
	}
	p := plugtest.Start(t)
	p.Stop()
	r := newRigWith(t, offersPlug(p))
	result := r.upload("05-rest-device")
	if result.Activated || result.Reason == "" {
		t.Fatalf("got %+v", result)
	}
	if got, err := r.Policies.Get(t.Context(), "rest-device"); err != nil || got.State != api.PolicyWaiting || got.StateReason == "" {
		t.Errorf("got %+v, %v", got, err)
	}
	again := plugtest.StartAt(t, p.Address)
	r.await("the adapter serves", func() bool {
		m, err := r.Mechanisms.Get(t.Context(), "SmartPlug")
		return err == nil && m.Available
	})
	again.Stop()
	r.await("the mechanism is unavailable", func() bool {
		m, err := r.Mechanisms.Get(t.Context(), "SmartPlug")
		return err == nil && !m.Available && m.Unavailable != ""
	})
	list, err := r.Mechanisms.List(t.Context())
	if err != nil || len(list) != 2 {
		t.Errorf("got %d mechanisms, %v", len(list), err)
	}
	_, err = r.Policies.Disable(t.Context(), "rest-device", person)
	if err != nil { // nothing was set, so nothing has to go back
		t.Error(err)
	}
}
