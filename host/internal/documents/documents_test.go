package documents

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/wasmabi"
)

var nan = math.NaN()

func sampleInit() *wasmabi.Init {
	return &wasmabi.Init{
		Policy: "boost", Version: "1.0.0", Layer: "node", Scope: "node", Asset: "n1",
		Metrics: []wasmabi.MetricInfo{
			{Name: "load", Unit: "ratio"},
			{Name: "temp", Labels: []wasmabi.Label{{Name: "zone", Value: `a"b`}, {Name: "x", Value: "1"}}, Unit: "Cel"},
			{Name: "load", Unit: "ratio"},
		},
		Mechanisms: []string{"CPUFrequency", "Fan"},
		Knobs: []wasmabi.KnobInfo{
			{Name: "p0/max", Unit: "Hz", Kind: wasmabi.KnobNumber, Min: 8e8, Max: 3e9, Step: nan, Table: []float64{8e8, 3e9}},
			{Name: "p0/governor", Kind: wasmabi.KnobChoice, Choices: []string{"performance", "powersave"}},
			{Name: "p0/max", Mechanism: 1, Unit: "%", Kind: wasmabi.KnobNumber, Min: 0, Max: math.Inf(1), Step: 1},
		},
		Parameters: []float64{0.8, nan}, ParameterNames: []string{"high", "none"},
	}
}

func open(t testing.TB) *Policy {
	t.Helper()
	p := &Policy{}
	if err := p.Open(wasmabi.AppendInit(nil, sampleInit())); err != nil {
		t.Fatal(err)
	}
	return p
}

func sampleObservation() []byte {
	return wasmabi.AppendObservation(nil, &wasmabi.Observation{
		Seq: 9, TimeNS: 1_800_000_000_500_000_000, Trigger: wasmabi.TriggerWake,
		IDs: []uint32{0, 1, 2, 77}, Values: []float64{0.5, nan, math.Inf(1), 1}, AgesMS: []uint32{20, wasmabi.AgeMissing, 0, 0},
		KnobIDs: []uint32{0, 1, 2, 88}, KnobValues: []float64{1.8e9, 1, 50, 1},
	})
}

func compact(s string) string { return strings.NewReplacer("\n", "", "\t", "").Replace(s) }

func TestObservation(t *testing.T) {
	got, err := open(t).Observation(sampleObservation())
	if err != nil {
		t.Fatal(err)
	}
	want := compact(`{"seq":9,"time":"2027-01-15T08:00:00.5Z","trigger":"wake","asset":"n1","parameters":{"high":0.8,"none":null},
		"metrics":{
			"load":{"value":0.5,"age_ms":20,"unit":"ratio"},
			"temp{zone=\"a\\\"b\",x=\"1\"}":{"value":null,"unit":"Cel"},
			"load#2":{"value":1.7976931348623157e+308,"age_ms":0,"unit":"ratio"}},
		"knobs":{
			"p0/max":{"value":1.8e+09,"mechanism":"CPUFrequency","unit":"Hz","min":8e+08,"max":3e+09,"step":null,"values":[8e+08,3e+09]},
			"p0/governor":{"value":"powersave","mechanism":"CPUFrequency","choices":["performance","powersave"]},
			"Fan:p0/max":{"value":50,"mechanism":"Fan","unit":"%","min":0,"max":1.7976931348623157e+308,"step":1}}}`)
	if diff := cmp.Diff(string(got), want); diff != "" {
		t.Error(diff)
	}
	if !json.Valid(got) {
		t.Error("it is not JSON")
	}
}

func TestIntroduction(t *testing.T) {
	p := open(t)
	want := compact(`{"policy":"boost","version":"1.0.0","layer":"node","scope":"node","asset":"n1","parameters":{"high":0.8,"none":null},
		"metrics":{"load":{"unit":"ratio"},"temp{zone=\"a\\\"b\",x=\"1\"}":{"unit":"Cel"},"load#2":{"unit":"ratio"}},
		"knobs":{
			"p0/max":{"mechanism":"CPUFrequency","unit":"Hz","min":8e+08,"max":3e+09,"step":null,"values":[8e+08,3e+09]},
			"p0/governor":{"mechanism":"CPUFrequency","choices":["performance","powersave"]},
			"Fan:p0/max":{"mechanism":"Fan","unit":"%","min":0,"max":1.7976931348623157e+308,"step":1}}}`)
	if diff := cmp.Diff(string(p.Introduction()), want); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(p.Config(), map[string]string{"high": "0.8", "none": "NaN"}); diff != "" {
		t.Error(diff)
	}
	if got := string(Migration(3)); got != `{"from_schema":3}` {
		t.Error(got)
	}
}

func TestQuoted(t *testing.T) {
	for _, s := range []string{"", "plain", "a\"b\\c", "\x00\x1f\n\t", "\u2028é😀", "bad\xff\xc3", "</script>"} {
		var got string
		if err := json.Unmarshal(quoted(nil, s), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && s != "bad\xff\xc3" {
			t.Errorf("%q: %q, %v", s, got, err)
		}
	}
}

func TestAnswers(t *testing.T) {
	p := open(t)
	if _, err := p.Observation(sampleObservation()); err != nil {
		t.Fatal(err)
	}
	message, err := p.Verdict([]byte(`{"plan":true,"why":"hot","next_ms":100,"bounds":[{"metric":"load#2","above":0.9},{"metric":"load","below":1e-3}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var a wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(message, &a); err != nil {
		t.Fatal(err)
	}
	want := wasmabi.Analysis{Seq: 9, Plan: true, NextMS: 100, Why: "hot", BoundIDs: []uint32{2, 0}, Above: []float64{0.9, nan}, Below: []float64{nan, 1e-3}}
	if diff := cmp.Diff(a, want, cmp.Comparer(func(a, b float64) bool { return a == b || a != a && b != b })); diff != "" {
		t.Error(diff)
	}
	message, err = p.Plan([]byte(`{"why":"cool it","changes":[{"knob":"p0/max","value":8e8,"lease_ms":500},
		{"mechanism":"CPUFrequency","knob":"p0/governor","value":"performance"},{"knob":"Fan:p0/max","reset":true},{"mechanism":"Fan","reset":true}]}`))
	if err != nil {
		t.Fatal(err)
	}
	var plan wasmabi.Plan
	if err := wasmabi.DecodePlan(message, &plan); err != nil {
		t.Fatal(err)
	}
	wantPlan := wasmabi.Plan{Seq: 9, Why: "cool it", Mechanisms: []uint32{0, 0, 1, 1},
		Verbs: []uint32{wasmabi.VerbSet, wasmabi.VerbSet, wasmabi.VerbReset, wasmabi.VerbReset},
		Knobs: []uint32{0, 1, 2, wasmabi.AllKnobs}, Values: []float64{8e8, 0, 0, 0}, LeaseMS: []uint32{500, 0, 0, 0}}
	if diff := cmp.Diff(plan, wantPlan); diff != "" {
		t.Error(diff)
	}
}

func TestWrongAnswers(t *testing.T) {
	for _, c := range []struct{ plan, says string }{
		{``, "empty"},
		{`nonsense`, "not the JSON document"},
		{`[]`, "not the JSON document"},
		{`{"why":"a"}{}`, "follows"},
		{`{"chnages":[]}`, `unknown field "chnages"`},
		{`{"changes":[{"value":1}]}`, "changes[0] names no knob"},
		{`{"changes":[{"mechanism":"Fan"}]}`, "names no knob"},
		{`{"changes":[{"knob":"p1/max","value":1}]}`, `knob "p1/max", which was not granted`},
		{`{"changes":[{"mechanism":"GPU","knob":"p0/max","value":1}]}`, `mechanism "GPU", which was not granted`},
		{`{"changes":[{"mechanism":"Fan","knob":"p0/max","value":1}]}`, "it belongs to CPUFrequency"},
		{`{"changes":[{"knob":"p0/max"}]}`, "has no value"},
		{`{"changes":[{"knob":"p0/max","value":null}]}`, "no number"},
		{`{"changes":[{"knob":"p0/max","value":"1"}]}`, "no number"},
		{`{"changes":[{"knob":"p0/max","value":1e999}]}`, "no number"},
		{`{"changes":[{"knob":"p0/max","value":1,"reset":true}]}`, "both reset and a value"},
		{`{"changes":[{"knob":"p0/governor","value":1}]}`, "no text"},
		{`{"changes":[{"knob":"p0/governor","value":"turbo"}]}`, "knows performance, powersave"},
		{`{"changes":[{"knob":"p0/max","value":1,"lease_ms":-1}]}`, "not the JSON document"},
		{`{"changes":[` + strings.Repeat(`{},`, wasmabi.MaxSettings) + `{}]}`, "at most 4096"},
	} {
		if _, err := open(t).Plan([]byte(c.plan)); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%.60s: %v, want %s", c.plan, err, c.says)
		}
	}
	if _, err := open(t).Verdict([]byte(`{"plan":true,"bounds":[{"metric":"other"}]}`)); err == nil || !strings.Contains(err.Error(), "does not ask for") {
		t.Error(err)
	}
}

func TestOpenRefuses(t *testing.T) {
	i := sampleInit()
	i.Knobs[0].Mechanism = 2
	if err := new(Policy).Open(wasmabi.AppendInit(nil, i)); err == nil {
		t.Error("a knob of no mechanism")
	}
	if err := new(Policy).Open([]byte{1}); err == nil {
		t.Error("no message")
	}
}

// FuzzAnswers reads any answer: it is refused, or becomes a message that the decoder takes, with ids that exist.
func FuzzAnswers(f *testing.F) {
	f.Add([]byte(`{"plan":true,"bounds":[{"metric":"load","above":1}]}`))
	f.Add([]byte(`{"why":"w","changes":[{"knob":"p0/max","value":1},{"mechanism":"Fan","reset":true}]}`))
	f.Add([]byte(`{"changes":[{"knob":"p0/governor","value":"powersave","lease_ms":4294967295}]}`))
	f.Fuzz(func(t *testing.T, answer []byte) {
		p := open(t)
		if message, err := p.Verdict(answer); err == nil {
			var a wasmabi.Analysis
			if err := wasmabi.DecodeAnalysis(message, &a); err != nil {
				t.Error(err)
			}
			for _, id := range a.BoundIDs {
				if int(id) >= len(p.metrics) {
					t.Errorf("metric %d", id)
				}
			}
		}
		if message, err := p.Plan(answer); err == nil {
			var plan wasmabi.Plan
			if err := wasmabi.DecodePlan(message, &plan); err != nil {
				t.Error(err)
			}
			for i, id := range plan.Knobs {
				if id != wasmabi.AllKnobs && (int(id) >= len(p.knobs) || p.init.Knobs[id].Mechanism != plan.Mechanisms[i]) {
					t.Errorf("knob %d", id)
				}
			}
		}
	})
}

// FuzzDocuments makes documents of any messages: they are refused, or the documents are JSON.
func FuzzDocuments(f *testing.F) {
	f.Add(wasmabi.AppendInit(nil, sampleInit()), sampleObservation())
	f.Fuzz(func(t *testing.T, init, observation []byte) {
		p := &Policy{}
		if p.Open(init) != nil {
			return
		}
		if !json.Valid(p.Introduction()) {
			t.Errorf("introduction: %s", p.document)
		}
		if d, err := p.Observation(observation); err == nil && !json.Valid(d) {
			t.Errorf("observation: %s", d)
		}
	})
}
