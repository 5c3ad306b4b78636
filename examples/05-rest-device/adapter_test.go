package main

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"testing"

	"github.com/edgehold/edgehold/sdk/go/adapter"
	"github.com/edgehold/edgehold/sdk/go/adaptertest"
)

// recorded answers as the plug does, from a table; device/ is the whole one.
type recorded struct {
	on      bool
	percent float64
	token   string
	status  int // instead of 200
	asked   []string
}

func (r *recorded) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	r.asked = append(r.asked, q.Method+" "+q.URL.Path)
	if r.status != 0 {
		w.WriteHeader(r.status)
		return
	}
	switch q.Method + " " + q.URL.Path {
	case "GET /api/v1/status":
		_ = json.NewEncoder(w).Encode(map[string]any{"serial": "1", "relay": map[string]any{"on": r.on}, "fan": map[string]any{"percent": r.percent}})
		return
	case "POST /api/v1/pair":
		r.token = "t" + r.token
		_ = json.NewEncoder(w).Encode(map[string]any{"token": r.token})
		return
	}
	if r.token == "" || q.Header.Get("X-Token") != r.token {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var change struct {
		On      *bool    `json:"on"`
		Percent *float64 `json:"percent"`
	}
	_ = json.NewDecoder(q.Body).Decode(&change)
	switch {
	case q.Method == "DELETE":
		r.percent = 40
	case change.On != nil:
		r.on = *change.On
	case change.Percent != nil:
		r.percent = *change.Percent
	}
}

func newDevice(t *testing.T) (*adaptertest.Device, *recorded) {
	r := &recorded{percent: 40}
	d := adaptertest.New(t, func() adapter.Adapter { return new(plug) })
	d.HTTP("device", "plug.example.org:80", r)
	d.KV("memory")
	return d, r
}

func write(t *testing.T, d *adaptertest.Device, knob string, v adapter.Value) {
	t.Helper()
	if err := d.Write(knob, v); err != nil {
		t.Fatal(err)
	}
	d.WantRead(knob, v)
}

func TestKnobsAreOfThisPlug(t *testing.T) {
	d, _ := newDevice(t)
	for _, k := range d.Knobs() {
		if k.Driver != "plug 1" {
			t.Errorf("%s is served by %q", k.Name, k.Driver)
		}
	}
}

func TestPairsOnceAndAgainWhenForgotten(t *testing.T) {
	d, r := newDevice(t)
	d.WantRead(relay, adapter.Choice("off"))
	write(t, d, relay, adapter.Choice("on"))
	write(t, d, fan, adapter.Number(75))
	if r.token != "t" {
		t.Errorf("paired %d times", len(r.token))
	}
	r.token = "other"
	write(t, d, relay, adapter.Choice("off"))
	if r.token != "tother" {
		t.Errorf("token %q", r.token)
	}
}

func TestRevertGivesTheFanBack(t *testing.T) {
	d, r := newDevice(t)
	write(t, d, fan, adapter.Number(100))
	if err := d.Revert(fan, adapter.Number(40)); err != nil {
		t.Fatal(err)
	}
	d.WantRead(fan, adapter.Number(40))
	if !slices.Contains(r.asked, "DELETE /api/v1/fan") {
		t.Errorf("asked %v", r.asked)
	}
	write(t, d, fan, adapter.Number(100))
	if err := d.Revert(fan, adapter.Number(20)); err != nil { // it was not regulated before us
		t.Fatal(err)
	}
	d.WantRead(fan, adapter.Number(20))
	if err := d.Revert(relay, adapter.Choice("on")); err != nil {
		t.Fatal(err)
	}
	d.WantRead(relay, adapter.Choice("on"))
}

func TestFailures(t *testing.T) {
	d, r := newDevice(t)
	d.Down(true)
	if err := d.Write(relay, adapter.Choice("on")); !adapter.IsAway(err) {
		t.Errorf("a plug that is off: %v", err)
	}
	d.Down(false)
	r.status = http.StatusServiceUnavailable
	if err := d.Write(relay, adapter.Choice("on")); !adapter.IsAway(err) {
		t.Errorf("a plug that is busy: %v", err)
	}
	r.status = http.StatusTeapot
	if err := d.Write(relay, adapter.Choice("on")); err == nil || adapter.IsAway(err) {
		t.Errorf("a plug that refuses: %v", err)
	}
	r.status = 0
	if err := d.Write("none", adapter.Number(1)); err == nil {
		t.Error("an unknown knob is written")
	}
	if _, err := d.Read("none"); err == nil || errors.Is(err, http.ErrAbortHandler) {
		t.Error("an unknown knob is read")
	}
}
