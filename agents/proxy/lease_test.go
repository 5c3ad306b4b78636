package proxy

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	runtime "github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/mechanisms"
)

const power = "sensor-1/TX_PWR"

// held is who holds a device's radio, and for how long.
func (h *house) held(t testing.TB) (by runtime.Held) {
	t.Helper()
	if all := h.panel.Held(); len(all) > 0 {
		by = all[0]
	}
	return by
}

func (h *house) power() string { v, _ := h.panel.Get("TX_PWR"); return v }

// said counts the commands with a word in them.
func (v *village) said(word string) (n int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, line := range v.commands {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

func mustTurn(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// What a device holds under a lease is renewed for as long as nobody puts it back, and goes back by itself if this agent is no more.
func TestDeviceHoldsTheLease(t *testing.T) {
	s := newScene(t, Config{Name: "node 1"})
	h := s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, power, usable)
	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	if got := h.held(t); h.power() != "LOW" || got.Holder != "node-1" || got.Left > shortestLease || got.Left < shortestLease/2 {
		t.Errorf("at %s, held by %+v", h.power(), got)
	}
	eventually(t, "renewals", func() bool { return s.said("renew TX_PWR LOW 1m30s node-1") >= 2 })
	mustTurn(t, s.Driver().Restore(t.Context(), power, mechanisms.Choice("HIGH")))
	if got := h.held(t); h.power() != "HIGH" || got.Holder != "" {
		t.Errorf("afterwards at %s, held by %+v", h.power(), got)
	}
	after := s.said("renew")
	lists := s.said("list")
	eventually(t, "two more looks at the knobs", func() bool { return s.said("list") >= lists+2 })
	if n := s.said("renew"); n > after {
		t.Errorf("%d renewals of what was put back", n-after)
	}
}

// A person's setting is no lease, and is not overruled by a renewal.
func TestPersonTurnsWhatIsHeld(t *testing.T) {
	s := newScene(t, Config{Name: "node-1"})
	h := s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, power, usable)
	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	mustTurn(t, h.panel.Set("TX_PWR", "MEDIUM"))
	eventually(t, "the agent sees it", func() bool { return len(s.Proxy.device("sensor-1").ours()) == 0 })
	if v, err := s.Driver().Read(t.Context(), power); v != mechanisms.Choice("MEDIUM") || err != nil {
		t.Errorf("got %v, %v", v, err)
	}
	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	mustTurn(t, s.Driver().Restore(t.Context(), power, mechanisms.Choice("MEDIUM")))
	if got := h.power(); got != "MEDIUM" {
		t.Errorf("afterwards it is at %s", got)
	}
}

// Of two agents for one device the first that turns a knob has it; the other is told by whom it is held, and gets it when it is given back.
func TestTwoAgentsForOneDevice(t *testing.T) {
	s := newScene(t, Config{Name: "node-1", Refresh: 200 * time.Millisecond}) // not as often as elsewhere: two who talk all the time hear each other only
	h := s.announce(t, "sensor-1", 1)
	config := s.config
	config.Name, config.Holder = "node-2", ""
	second, err := New(config)
	mustTurn(t, err)
	background(t, second.Run)
	other := &scene{village: s.village, Proxy: second}
	s.awaitKnob(t, power, usable)
	other.awaitKnob(t, power, usable)

	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	for what, err := range map[string]error{
		"turning":      second.Driver().Write(t.Context(), power, mechanisms.Choice("MEDIUM")),
		"putting back": second.Driver().Restore(t.Context(), power, mechanisms.Choice("HIGH")),
	} {
		if !errors.Is(err, mechanisms.ErrUnavailable) || !strings.Contains(err.Error(), "held on the device by node-1") {
			t.Errorf("%s what another agent holds: got %v", what, err)
		}
	}
	if h.power() != "LOW" {
		t.Errorf("it is at %s", h.power())
	}
	other.awaitKnob(t, power, func(k mechanisms.Knob) bool { return k.Unavailable == "it is held on the device by node-1" })
	s.awaitKnob(t, power, usable)
	if v, err := second.Driver().Read(t.Context(), power); v != mechanisms.Choice("LOW") || err != nil {
		t.Errorf("the other sees %v, %v", v, err)
	}

	mustTurn(t, s.Driver().Restore(t.Context(), power, mechanisms.Choice("HIGH")))
	other.awaitKnob(t, power, usable)
	mustTurn(t, second.Driver().Write(t.Context(), power, mechanisms.Choice("MEDIUM")))
	s.awaitKnob(t, power, func(k mechanisms.Knob) bool { return k.Unavailable == "it is held on the device by node-2" })
	if got := h.held(t); got.Holder != "node-2" || h.power() != "MEDIUM" {
		t.Errorf("at %s, held by %+v", h.power(), got)
	}
}

// What another agent took when the lease of this one had ended, because the way to the device was cut or this one was away, is left to it.
func TestLeaseThatAnotherTookOver(t *testing.T) {
	var ahead atomic.Int64 // seconds
	s := newScene(t, Config{Name: "node-1", Refresh: time.Hour, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load()) * time.Second) }})
	h := s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, power, usable)
	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	ahead.Store(4 * 3600) // and nothing was renewed
	mustTurn(t, h.panel.GiveBack("TX_PWR", "node-1"))
	mustTurn(t, h.panel.SetFor("TX_PWR", "MEDIUM", runtime.Lease{Holder: "node-2", For: time.Hour}))
	err := s.Driver().Restore(t.Context(), power, mechanisms.Choice("HIGH"))
	if !errors.Is(err, mechanisms.ErrUnavailable) || !strings.Contains(err.Error(), "held on the device by node-2") {
		t.Errorf("putting back what another agent holds: got %v", err)
	}
	if got := h.held(t); got.Holder != "node-2" || h.power() != "MEDIUM" {
		t.Errorf("at %s, held by %+v", h.power(), got)
	}
}

// A device whose firmware knows no leases is never sent one.
func TestDeviceWithoutLeases(t *testing.T) {
	s := newScene(t, Config{Name: "node-1"})
	h := newHouse(t)
	h.plain = true
	s.move(t, h)
	s.awaitKnob(t, power, func(k mechanisms.Knob) bool { return usable(k) && len(k.Choices) == 3 })
	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	lists := s.said("list")
	eventually(t, "two more looks at the knobs", func() bool { return s.said("list") >= lists+2 })
	mustTurn(t, s.Driver().Restore(t.Context(), power, mechanisms.Choice("HIGH")))
	if s.said("renew")+s.said("leases")+s.said("LOW ") > 0 || h.power() != "HIGH" {
		t.Errorf("it is at %s after %q", h.power(), s.commands)
	}
}

// A new process goes on with the leases of the one before.
func TestLeaseOutlivesTheAgent(t *testing.T) {
	file := filepath.Join(t.TempDir(), "devices.json")
	s := newScene(t, Config{Name: "node-1", File: file})
	h := s.announce(t, "sensor-1", 1)
	s.awaitKnob(t, power, usable)
	mustTurn(t, s.Driver().Write(t.Context(), power, mechanisms.Choice("LOW")))
	eventually(t, "the file", func() bool {
		known, err := load(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, k := range known["sensor-1"] {
			if k.Ours == "LOW" {
				return true
			}
		}
		return false
	})
	s.stop()
	again, err := New(s.config)
	mustTurn(t, err)
	before := s.said("renew")
	background(t, again.Run)
	eventually(t, "a renewal", func() bool { return s.said("renew") > before })
	mustTurn(t, again.Driver().Restore(context.WithoutCancel(t.Context()), power, mechanisms.Choice("HIGH")))
	if got := h.held(t); got.Holder != "" || h.power() != "HIGH" {
		t.Errorf("at %s, held by %+v", h.power(), got)
	}
}

func TestLengthOfALease(t *testing.T) {
	for name, test := range map[string]struct {
		refresh, longest time.Duration
		sleepsS          uint32
		want             time.Duration
	}{
		"as a rule":          {30 * time.Second, 24 * time.Hour, 0, 90 * time.Second},
		"often":              {time.Second, 24 * time.Hour, 0, 90 * time.Second},
		"seldom":             {10 * time.Minute, 24 * time.Hour, 0, 30 * time.Minute},
		"no more than taken": {10 * time.Minute, time.Minute, 0, time.Minute},
		"asleep":             {30 * time.Second, 24 * time.Hour, 3600, 2 * time.Hour},
		"none":               {30 * time.Second, 0, 3600, 0},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDevice(&Proxy{config: Config{Refresh: test.refresh, Now: time.Now}}, "sensor-1")
			d.about = announcement(test.sleepsS)
			if got := d.lease(knob{Lease: test.longest}); got.For != test.want {
				t.Errorf("got %v, want %v", got.For, test.want)
			}
		})
	}
}

// A device that sleeps may tell another lifetime when it renews its registration.
func TestLeaseFollowsTheLifetime(t *testing.T) {
	d := newDevice(&Proxy{config: Config{Refresh: 30 * time.Second, Now: time.Now}}, "sensor-1")
	d.begin(announcement(60), func() {})
	if !d.goesOn(announcement(3600)) {
		t.Fatal("it is taken for another life")
	}
	if got := d.lease(knob{Lease: 24 * time.Hour}); got.For != 2*time.Hour {
		t.Errorf("got %v", got.For)
	}
}
