package adapter

import (
	"errors"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/wasmabi"
)

func TestKnobsThatMakeNoSense(t *testing.T) {
	nan := math.NaN()
	good := wasmabi.KnobOption{Name: "a", Kind: "number", Min: 0, Max: 1, Step: nan}
	for name, breakIt := range map[string]func(*wasmabi.KnobOption){
		"no name": func(k *wasmabi.KnobOption) { k.Name = "" }, "a pattern": func(k *wasmabi.KnobOption) { k.Name = "a*" },
		"a line break": func(k *wasmabi.KnobOption) { k.Name = "a\nb" }, "no kind": func(k *wasmabi.KnobOption) { k.Kind = "" },
		"no range": func(k *wasmabi.KnobOption) { k.Min = nan }, "an endless range": func(k *wasmabi.KnobOption) { k.Max = math.Inf(1) },
		"a range upside down": func(k *wasmabi.KnobOption) { k.Min = 2 }, "a step back": func(k *wasmabi.KnobOption) { k.Step = -1 },
		"a table that falls": func(k *wasmabi.KnobOption) { k.Table = []float64{1, 0} }, "a table with NaN": func(k *wasmabi.KnobOption) { k.Table = []float64{nan} },
		"no choices": func(k *wasmabi.KnobOption) { k.Kind = "choice" }, "an empty choice": func(k *wasmabi.KnobOption) { k.Kind, k.Choices = "choice", []string{"a", ""} },
		"affects nothing": func(k *wasmabi.KnobOption) { k.Affects = []string{"b"} }, "affects itself": func(k *wasmabi.KnobOption) { k.Affects = []string{"a"} },
	} {
		k := good
		breakIt(&k)
		if got, err := knobs("x", []wasmabi.KnobOption{k}); err == nil {
			t.Errorf("%s: accepted as %+v", name, got)
		}
	}
	if _, err := knobs("x", []wasmabi.KnobOption{good, good}); err == nil {
		t.Error("one knob twice")
	}
	if got, err := knobs("x", []wasmabi.KnobOption{good}); err != nil || got[0].Driver != "adapter x" || got[0].Step != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}

func TestReadings(t *testing.T) {
	for name, test := range map[string]struct {
		r           wasmabi.KnobReading
		want        mechanisms.Value
		fails, away bool
	}{
		"number":  {r: wasmabi.KnobReading{Number: 2}, want: mechanisms.Number(2)},
		"choice":  {r: wasmabi.KnobReading{Choice: "x", Number: math.NaN()}, want: mechanisms.Choice("x")},
		"nothing": {r: wasmabi.KnobReading{Number: math.NaN()}, fails: true},
		"endless": {r: wasmabi.KnobReading{Number: math.Inf(1)}, fails: true},
		"problem": {r: wasmabi.KnobReading{Number: 1, Problem: "broken"}, fails: true},
		"away":    {r: wasmabi.KnobReading{Problem: "off", Away: true}, fails: true, away: true},
	} {
		v, err := value(&test.r)
		if v != test.want || (err != nil) != test.fails || errors.Is(err, mechanisms.ErrUnavailable) != test.away {
			t.Errorf("%s: got %v, %v", name, v, err)
		}
	}
}

func TestUnavailable(t *testing.T) {
	for kind, want := range map[host.Kind]bool{host.Trap: false, host.Fuel: false, host.Deadline: true, host.Guest: false} {
		if got := errors.Is(unavailable(&host.CallError{Kind: kind}), mechanisms.ErrUnavailable); got != want {
			t.Errorf("%s: %t", kind, got)
		}
	}
	if !errors.Is(unavailable(&host.CallError{Kind: host.Guest, Retryable: true}), mechanisms.ErrUnavailable) {
		t.Error("the guest's word does not count")
	}
}

func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "kv.json")
	s := NewStore(path)
	if _, found, err := s.Get(t.Context(), "a"); found || err != nil {
		t.Errorf("found %t, %v", found, err)
	}
	if err := errors.Join(s.Set(t.Context(), "a", []byte{0, 255}, 10), s.Set(t.Context(), "b", nil, 10), s.Delete(t.Context(), "none")); err != nil {
		t.Fatal(err)
	}
	if err := s.Set(t.Context(), "c", make([]byte, 10), 10); !errors.Is(err, capability.ErrStoreFull) {
		t.Errorf("got %v", err)
	}
	if v, found, err := NewStore(path).Get(t.Context(), "a"); !found || err != nil || string(v) != "\x00\xff" {
		t.Errorf("got %x, %t, %v", v, found, err)
	}
	if err := s.Delete(t.Context(), "a"); err != nil {
		t.Fatal(err)
	}
	if _, found, _ := s.Get(t.Context(), "a"); found {
		t.Error("it is still there")
	}
	if err := os.WriteFile(path, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, found, err := s.Get(t.Context(), "b"); found || err != nil {
		t.Errorf("a damaged store: %t, %v", found, err)
	}
	if _, err := os.Stat(path + ".damaged"); err != nil {
		t.Error(err)
	}
	if err := errors.Join(s.Set(t.Context(), "b", nil, 10), s.Remove(), s.Remove()); err != nil {
		t.Error(err)
	}
	info, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(info) != 1 {
		t.Errorf("left behind: %v, %v", info, err)
	}
}

func FuzzKnobs(f *testing.F) {
	f.Add(wasmabi.AppendOptions(nil, &wasmabi.Options{Knobs: []wasmabi.KnobOption{{Name: "a", Kind: "number", Max: 1, Step: math.NaN()}}}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var o wasmabi.Options
		if wasmabi.DecodeOptions(b, &o) != nil {
			return
		}
		all, err := knobs("x", o.Knobs)
		if err != nil {
			return
		}
		for _, k := range all {
			if k.Name == "" || k.Kind == mechanisms.KindNumber && !(k.Min <= k.Max) {
				t.Errorf("%+v", k)
			}
		}
	})
}
