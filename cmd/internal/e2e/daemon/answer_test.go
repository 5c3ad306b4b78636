//go:build linux

package daemon

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/api"
)

// What the daemon has answered holds after a kill in the same moment.
func TestKilledRightAfterAnAnswer(t *testing.T) {
	h := newHome(t)
	h.configure(t, settings{grace: 10 * patience}) // the guard is not to put the knob back before the next daemon is there
	d := h.start(t)
	h.upload(t, 0)
	steps := []struct {
		name string
		ask  func() error
		kept func() bool
	}{
		{
			"disable", func() error { _, err := h.api.DisablePolicy(t.Context(), "pulse"); return err },
			func() bool { return h.policy(t).State == api.PolicyDisabled },
		}, {
			"enable", func() error { _, err := h.api.EnablePolicy(t.Context(), "pulse"); return err },
			func() bool { return h.policy(t).Enabled },
		}, {
			"replace", func() error { h.upload(t, 1); return nil },
			func() bool { return h.policy(t).ActiveVersion == "1.0.1" && h.policy(t).StandbyVersion == "1.0.0" },
		}, {
			"roll back", func() error { _, err := h.api.RollbackPolicy(t.Context(), "pulse", ""); return err },
			func() bool { return h.policy(t).ActiveVersion == "1.0.0" },
		}, {
			"change the mode", func() error { _, err := h.api.SetMode(t.Context(), api.ModeML); return err },
			func() bool { m, err := h.api.Mode(t.Context()); return err == nil && m.Mode == api.ModeML },
		}, {
			"set a knob", func() error {
				_, err := h.api.ApplyMechanism(t.Context(), "CPUFrequency", api.MechanismCommand{
					Settings: []api.Setting{{Knob: "policy1/max_frequency", Unit: "Hz", Value: api.NumberValue(2e9)}}, LeaseMS: time.Hour.Milliseconds(),
				})
				return err
			},
			func() bool {
				return h.frequency(t, "policy1/scaling_max_freq") == 2000000 && h.held(t, "policy1/max_frequency")
			},
		}, {
			"delete", func() error { return h.api.DeletePolicy(t.Context(), "pulse") },
			func() bool { return h.active(t) == "" },
		},
	}
	for _, s := range steps {
		if err := s.ask(); err != nil {
			t.Fatalf("%s: %v", s.name, err)
		}
		d.kill()
		d = h.start(t)
		if !s.kept() {
			t.Errorf("%s: forgotten after the kill", s.name)
		}
	}
}

func (h *home) policy(t *testing.T) api.Policy {
	t.Helper()
	p, err := h.api.Policy(t.Context(), "pulse")
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// held reports whether somebody holds a knob.
func (h *home) held(t *testing.T, knob string) bool {
	t.Helper()
	list, err := h.api.MechanismState(t.Context(), "CPUFrequency")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range list.Items {
		if k.Name == knob {
			return k.Lease != nil
		}
	}
	return false
}
