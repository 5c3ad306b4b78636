package adapter_test

import (
	"encoding/json"
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/sdk/go/adapter"
	"github.com/edgehold/edgehold/sdk/go/adaptertest"
	"github.com/edgehold/edgehold/wasmabi"
)

// shelf has a lamp of its own and a store.
type shelf struct {
	store adapter.KV
	least float64
}

func (s *shelf) Initialize(u *adapter.Setup) error {
	s.store, s.least = u.KV("memory"), u.Parameter("least")
	return nil
}

func (s *shelf) Knobs() ([]adapter.Knob, error) {
	return []adapter.Knob{adapter.Range("lamp", "%", s.least, 100), adapter.Switch("mode", "calm", "party"), adapter.Steps("level", "1", 1, 3)}, nil
}

func (s *shelf) Read(knob string) (adapter.Value, error) {
	switch knob {
	case "lamp":
		b, err := s.store.Get("lamp")
		if adapter.IsNotFound(err) {
			return adapter.Number(0), nil
		}
		if err != nil {
			return adapter.Value{}, err
		}
		n, err := adapter.Parse(string(b))
		return adapter.Number(n), err
	case "mode":
		return adapter.Choice("calm"), nil
	case "level":
		return adapter.Value{}, adapter.Away(errors.New("it sleeps"))
	}
	return adapter.Value{}, adapter.Unknown(knob)
}

func (s *shelf) Write(knob string, v adapter.Value) error {
	if knob != "lamp" {
		return adapter.Unknown(knob)
	}
	return s.store.Set("lamp", []byte(adapter.Text(v.Number)))
}

func newShelf(t *testing.T) *adaptertest.Device {
	d := adaptertest.New(t, func() adapter.Adapter { return new(shelf) })
	d.KV("memory")
	d.Parameter("least", 5)
	return d
}

func TestKnobsAndValues(t *testing.T) {
	d := newShelf(t)
	knobs := d.Knobs()
	if len(knobs) != 3 || knobs[0].Kind != "number" || knobs[0].Min != 5 || !math.IsNaN(knobs[0].Step) || knobs[1].Kind != "choice" ||
		!math.IsNaN(knobs[1].Max) || len(knobs[2].Table) != 2 || knobs[2].Max != 3 {
		t.Errorf("got %+v", knobs)
	}
	d.WantRead("lamp", adapter.Number(0))
	if err := d.Write("lamp", adapter.Number(37.5)); err != nil {
		t.Fatal(err)
	}
	d.WantRead("lamp", adapter.Number(37.5))
	if err := d.Revert("lamp", adapter.Number(0)); err != nil {
		t.Fatal(err)
	}
	d.WantRead("lamp", adapter.Number(0))
	d.WantRead("mode", adapter.Choice("calm"))
	if _, err := d.Read("level"); !adapter.IsAway(err) {
		t.Errorf("got %v", err)
	}
	if err := d.Write("none", adapter.Number(1)); err == nil || adapter.IsAway(err) {
		t.Errorf("got %v", err)
	}
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	d := adaptertest.New(t, func() adapter.Adapter { return new(shelf) })
	d.HTTP("device", "a:80", nil)
	err := d.Write("lamp", adapter.Number(1))
	if err == nil || !strings.Contains(err.Error(), "there is no capability kv memory; there is http device: ask for it under capabilities") {
		t.Errorf("got %v", err)
	}
}

func TestCallsOutOfOrder(t *testing.T) {
	i := adapter.NewInstance(new(shelf))
	for op, want := range map[wasmabi.Op]wasmabi.Status{
		wasmabi.OpOptions: wasmabi.StatusGuest, wasmabi.OpApply: wasmabi.StatusGuest, wasmabi.OpAnalyze: wasmabi.StatusGuest,
		wasmabi.OpSnapshot: wasmabi.StatusUnsupported, wasmabi.OpHealth: wasmabi.StatusOK, 99: wasmabi.StatusUnsupported,
	} {
		if got, _ := i.Call(op, nil); got != want {
			t.Errorf("%s: got %s, want %s", op, got, want)
		}
	}
	if got, _ := adapter.NewInstance(nil).Call(wasmabi.OpInit, nil); got != wasmabi.StatusGuest {
		t.Errorf("without an adapter: %s", got)
	}
	if got, _ := i.Call(wasmabi.OpInit, []byte{0xff}); got != wasmabi.StatusInvalid {
		t.Errorf("garbage: %s", got)
	}
}

func FuzzInstance(f *testing.F) {
	f.Add(uint32(wasmabi.OpApply), wasmabi.AppendSettings(nil, &wasmabi.Settings{Settings: []wasmabi.KnobSetting{{Knob: "lamp", Number: 1}}}))
	f.Fuzz(func(_ *testing.T, op uint32, request []byte) {
		i := adapter.NewInstance(new(shelf))
		i.Call(wasmabi.OpInit, wasmabi.AppendInit(nil, &wasmabi.Init{
			Capabilities: []wasmabi.CapabilityRequest{{Name: "memory", Kind: "kv"}}, Parameters: []float64{1}, ParameterNames: []string{"least"},
		}))
		i.Call(wasmabi.Op(op), request)
	})
}

func TestJSON(t *testing.T) {
	j := adapter.JSON(` {"a": {"b": [1, {"c": "x\"y\u00fc\n"}, -2.5e3], "empty": {}, "none": []}, "on": true, "s": "]}" , "last":0} `)
	if n, err := j.At("a", "b", "2").Number(); n != -2500 || err != nil {
		t.Errorf("got %v, %v", n, err)
	}
	if s, err := j.At("a", "b", "1", "c").Text(); s != "x\"yü\n" || err != nil {
		t.Errorf("got %q, %v", s, err)
	}
	if b, err := j.At("on").Bool(); !b || err != nil {
		t.Errorf("got %v, %v", b, err)
	}
	if n, err := j.At("last").Number(); n != 0 || err != nil {
		t.Errorf("got %v, %v", n, err)
	}
	for _, path := range [][]string{{"x"}, {"a", "b", "3"}, {"a", "empty", "x"}, {"a", "none", "0"}, {"on", "x"}} {
		if v := j.At(path...); len(v) != 0 {
			t.Errorf("%v: got %s", path, v)
		}
	}
}

// What encoding/json finds, JSON finds too.
func FuzzJSON(f *testing.F) {
	f.Add(`{"a":[1,"x"],"b":{"c":null}}`)
	f.Add(`{"a":"\ud83d\ude00"}`)
	f.Fuzz(func(t *testing.T, text string) {
		j := adapter.JSON(text)
		_ = j.At("a", "0")
		var v map[string]json.RawMessage
		if json.Unmarshal([]byte(text), &v) != nil {
			return
		}
		var fine map[string]any
		if json.Unmarshal([]byte(text), &fine) != nil || strings.Contains(text, `\u`) || strings.Contains(text, "\ufffd") {
			return
		}
		if n := strings.Count(text, "["); n+strings.Count(text, "{") > 30 {
			return
		}
		for key, want := range fine {
			number, isNumber := want.(float64)
			if got, err := j.At(key).Number(); isNumber && strings.Count(text, `"`+key+`"`) == 1 && (err != nil || got != number) {
				t.Errorf("%q at %q: got %v, %v, want %v", text, key, got, err, number)
			}
		}
	})
}
