package documents

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/wasmabi"
)

func openAdapter(t testing.TB) *Adapter {
	t.Helper()
	a := &Adapter{}
	err := a.Open(wasmabi.AppendInit(nil, &wasmabi.Init{Policy: "plug", Version: "1.0.0", Layer: "node", Asset: "n1",
		Parameters: []float64{3}, ParameterNames: []string{"retries"},
		Capabilities: []wasmabi.CapabilityRequest{{Name: "store", Kind: wasmabi.CapabilityKV}, {Name: "device", Kind: wasmabi.CapabilityHTTP}}}))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestAdapterDocuments(t *testing.T) {
	a := openAdapter(t)
	if got, want := string(a.Introduction()), `{"adapter":"plug","version":"1.0.0","layer":"node","asset":"n1","parameters":{"retries":3}}`; got != want {
		t.Error(got)
	}
	if handle, ok := a.Web(); handle != 1 || !ok || a.Config()["retries"] != "3" {
		t.Errorf("handle %d, %t; %v", handle, ok, a.Config())
	}
	got, err := a.Knobs(wasmabi.AppendNames(nil, &wasmabi.Names{Names: []string{"a", "b"}}))
	if err != nil || string(got) != `{"knobs":["a","b"]}` {
		t.Errorf("%s, %v", got, err)
	}
	got, err = a.Settings(wasmabi.AppendSettings(nil, &wasmabi.Settings{Settings: []wasmabi.KnobSetting{{Knob: "a", Number: 1.5}, {Knob: "b", Number: nan, Choice: "on"}}}))
	if err != nil || string(got) != `{"settings":[{"knob":"a","value":1.5},{"knob":"b","value":"on"}]}` {
		t.Errorf("%s, %v", got, err)
	}
	for _, f := range []func([]byte) ([]byte, error){a.Knobs, a.Settings} {
		if _, err := f([]byte{0xff}); err == nil {
			t.Error("what is no message became a document")
		}
	}
}

var floats = cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })

func TestAdapterAnswers(t *testing.T) {
	a := openAdapter(t)
	message, err := a.Options([]byte(`{"knobs":[{"name":"relay","choices":["off","on"]},{"name":"fan","unit":"%","min":0,"max":100,"values":[0,50],"affects":["relay"],"read_only":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var options wasmabi.Options
	if err := wasmabi.DecodeOptions(message, &options); err != nil {
		t.Fatal(err)
	}
	want := wasmabi.Options{Knobs: []wasmabi.KnobOption{
		{Name: "relay", Kind: wasmabi.KnobChoice, Min: nan, Max: nan, Step: nan, Choices: []string{"off", "on"}},
		{Name: "fan", Kind: wasmabi.KnobNumber, Unit: "%", Min: 0, Max: 100, Step: nan, Table: []float64{0, 50}, Affects: []string{"relay"}, ReadOnly: true}}}
	if diff := cmp.Diff(options, want, floats); diff != "" {
		t.Error(diff)
	}
	message, err = a.Readings([]byte(`{"readings":[{"knob":"a","value":1},{"knob":"b","value":"on"},{"knob":"c","problem":"off","away":true}],"facts":{"z":"1","a":"2"}}`))
	if err != nil {
		t.Fatal(err)
	}
	var readings wasmabi.Readings
	if err := wasmabi.DecodeReadings(message, &readings); err != nil {
		t.Fatal(err)
	}
	wantReadings := wasmabi.Readings{Readings: []wasmabi.KnobReading{{Knob: "a", Number: 1}, {Knob: "b", Number: nan, Choice: "on"},
		{Knob: "c", Number: nan, Problem: "off", Away: true}}, Facts: []wasmabi.Label{{Name: "a", Value: "2"}, {Name: "z", Value: "1"}}}
	if diff := cmp.Diff(readings, wantReadings, floats); diff != "" {
		t.Error(diff)
	}
}

func TestWrongAdapterAnswers(t *testing.T) {
	long := strings.Repeat("x", wasmabi.MaxName+1)
	for answer, says := range map[string]string{
		``:                                       "empty",
		`{"readings":[{"knob":"a"}]}`:            "neither a value nor a problem",
		`{"readings":[{"knob":"a","value":{}}]}`: "neither a number nor a text",
		`{"readings":[{"knob":"` + long + `","value":1}]}`:                 "longer",
		`{"readings":[` + strings.Repeat(`{},`, wasmabi.MaxKnobs) + `{}]}`: "at most 4096",
		`{"reading":[]}`: "unknown field",
	} {
		if _, err := openAdapter(t).Readings([]byte(answer)); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, want %s", answer, err, says)
		}
	}
	if _, err := openAdapter(t).Options([]byte(`{"knobs":[{"name":"` + long + `"}]}`)); err == nil {
		t.Error("a name that no message can have")
	}
}

// FuzzAdapterAnswers reads any answer: it is refused, or becomes a message that the decoder takes.
func FuzzAdapterAnswers(f *testing.F) {
	f.Add([]byte(`{"knobs":[{"name":"relay","choices":["off","on"]},{"name":"fan","min":0}]}`))
	f.Add([]byte(`{"readings":[{"knob":"a","value":1},{"knob":"b","value":"on"},{"knob":"c","problem":"off"}],"facts":{"a":"b"}}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		a := openAdapter(t)
		if message, err := a.Options(answer); err == nil && wasmabi.DecodeOptions(message, new(wasmabi.Options)) != nil {
			t.Errorf("options: %x", message)
		}
		if message, err := a.Readings(answer); err == nil && wasmabi.DecodeReadings(message, new(wasmabi.Readings)) != nil {
			t.Errorf("readings: %x", message)
		}
		if !json.Valid(a.Introduction()) {
			t.Error("the introduction is not JSON")
		}
	})
}
