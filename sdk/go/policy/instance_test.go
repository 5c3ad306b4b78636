package policy

import (
	"errors"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// script is a policy out of functions.
type script struct {
	initialize func(*Setup) error
	analyze    func(*Observation) Verdict
	plan       func(*Observation, *Plan) error
}

func (s *script) Initialize(u *Setup) error          { return s.initialize(u) }
func (s *script) Analyze(o *Observation) Verdict     { return s.analyze(o) }
func (s *script) Plan(o *Observation, p *Plan) error { return s.plan(o, p) }
func (s *script) start(t *testing.T) *Instance       { return started(t, s) }
func nothing(*Setup) error                           { return nil }
func always(*Observation) Verdict                    { return Act("always") }
func planner(plan func(*Plan)) func(*Observation, *Plan) error {
	return func(_ *Observation, p *Plan) error {
		plan(p)
		return nil
	}
}

func testInit() []byte {
	return wasmabi.AppendInit(nil, &wasmabi.Init{
		Policy: "p", Version: "1.0.0", Asset: "n", Scope: "node", Layer: "node", Features: []string{"f"},
		Metrics: []wasmabi.MetricInfo{
			{Name: "load"},
			{Name: "latency", Labels: []wasmabi.Label{{Name: "app", Value: "a"}}},
			{Name: "latency", Labels: []wasmabi.Label{{Name: "app", Value: "b"}}},
		},
		Mechanisms: []string{"Fan", "CPUFrequency"},
		Knobs: []wasmabi.KnobInfo{
			{Name: "policy0/max_frequency", Mechanism: 1, Unit: "Hz", Kind: "number", Min: 1e9, Max: 3e9, Step: math.NaN()},
			{Name: "policy0/governor", Mechanism: 1, Kind: "choice", Min: math.NaN(), Max: math.NaN(), Step: math.NaN(), Choices: []string{"performance", "powersave"}},
			{Name: "fan0/speed", Kind: "number", Min: math.NaN(), Max: math.NaN(), Step: math.NaN(), Table: []float64{500, 100, 900}},
		},
		Parameters: []float64{2}, ParameterNames: []string{"high"},
	})
}

func testObservation() []byte {
	return wasmabi.AppendObservation(nil, &wasmabi.Observation{
		Seq: 5, TimeNS: 1e18, Trigger: wasmabi.TriggerWake,
		IDs: []uint32{0, 2, 1}, Values: []float64{3, 0.2, math.NaN()}, AgesMS: []uint32{0, 1500, wasmabi.AgeMissing},
		KnobIDs: []uint32{1, 0}, KnobValues: []float64{1, 2e9},
	})
}

func started(t *testing.T, p Policy) *Instance {
	t.Helper()
	i := NewInstance(p)
	if status, b := i.Call(wasmabi.OpInit, testInit()); status != wasmabi.StatusOK {
		t.Fatalf("init: %v %q", status, b)
	}
	return i
}

func wantError(t *testing.T, i *Instance, op wasmabi.Op, request []byte, status wasmabi.Status, code, text string) {
	t.Helper()
	got, b := i.Call(op, request)
	var e wasmabi.Error
	if err := wasmabi.DecodeError(b, &e); err != nil {
		t.Fatal(err)
	}
	if got != status || e.Code != code || !strings.Contains(e.Message, text) {
		t.Errorf("got %v %+v, want %v with code %s and %q", got, e, status, code, text)
	}
}

func TestSetupFindsByName(t *testing.T) {
	p := &script{initialize: func(s *Setup) error {
		if s.Policy() != "p" || s.Version() != "1.0.0" || s.Asset() != "n" || s.Scope() != "node" || s.Layer() != "node" {
			t.Error("identity")
		}
		if !s.Has("f") || s.Has("g") {
			t.Error("features")
		}
		if b := s.Metric("latency", "app", "b"); b.number != 3 {
			t.Errorf("latency of b is %v", b)
		}
		if k := s.Knobs("CPUFrequency", "*/*"); len(k) != 2 || k[1].Choices()[1] != "powersave" {
			t.Errorf("knobs %v", k)
		}
		if least, most, ok := s.Knob("Fan", "fan0/speed").Range(); least != 100 || most != 900 || !ok {
			t.Errorf("range %v to %v, %t", least, most, ok)
		}
		if _, _, ok := s.Knob("CPUFrequency", "policy0/governor").Range(); ok {
			t.Error("a choice has a range")
		}
		if s.Parameter("high") != 2 {
			t.Error("parameter")
		}
		return nil
	}}
	p.start(t)
}

func TestMissingNamesAreExplained(t *testing.T) {
	tests := []struct {
		name, want string
		look       func(*Setup)
	}{
		{"metric", "there is no metric lode; there is load, latency, latency: list it under metrics", func(s *Setup) { s.Metric("lode") }},
		{"label", "there is no metric latency", func(s *Setup) { s.Metric("latency", "app", "c") }},
		{"half a label", "there is no metric latency", func(s *Setup) { s.Metric("latency", "app") }},
		{"mechanism", "there is no mechanism GPU; there is Fan, CPUFrequency", func(s *Setup) { s.Mechanism("GPU") }},
		{"knob of another mechanism", "there is no knob fan0/speed; there is policy0/max_frequency, policy0/governor", func(s *Setup) { s.Knob("CPUFrequency", "fan0/speed") }},
		{"pattern", "there is no knob */turbo", func(s *Setup) { s.Knobs("CPUFrequency", "*/turbo") }},
		{"parameter", "there is no parameter low; there is high", func(s *Setup) { s.Parameter("low") }},
		{"only the first is named", "there is no metric a;", func(s *Setup) { s.Metric("a"); s.Metric("b") }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := NewInstance(&script{initialize: func(s *Setup) error { tt.look(s); return nil }})
			wantError(t, i, wasmabi.OpInit, testInit(), wasmabi.StatusGuest, "policy.not-found", tt.want)
		})
	}
}

func TestObservationByHandle(t *testing.T) {
	var load, a, b Metric
	var frequency, governor Knob
	p := &script{
		initialize: func(s *Setup) error {
			load, a, b = s.Metric("load"), s.Metric("latency", "app", "a"), s.Metric("latency", "app", "b")
			frequency, governor = s.Knob("CPUFrequency", "policy0/max_frequency"), s.Knob("CPUFrequency", "policy0/governor")
			return nil
		},
		analyze: func(o *Observation) Verdict {
			if v, ok := o.Value(load); v != 3 || !ok || o.Age(load) != 0 {
				t.Errorf("load %v, %t", v, ok)
			}
			if v, ok := o.Value(b); v != 0.2 || !ok || o.Age(b) != 1500*time.Millisecond {
				t.Errorf("latency of b %v, %t", v, ok)
			}
			if _, ok := o.Value(a); ok || o.Age(a) != Forever {
				t.Error("latency of a is not missing")
			}
			if _, ok := o.Fresh(b, time.Second); ok {
				t.Error("1.5 s is fresh within 1 s")
			}
			if _, ok := o.Value(Metric{}); ok {
				t.Error("the zero metric has a value")
			}
			if v, ok := o.Knob(frequency); v != 2e9 || !ok {
				t.Errorf("frequency %v, %t", v, ok)
			}
			if c, ok := o.Choice(governor); c != "powersave" || !ok {
				t.Errorf("governor %q, %t", c, ok)
			}
			if o.Seq() != 5 || !o.Time().Equal(time.Unix(1e9, 0)) || !o.Woken() || o.Manual() {
				t.Error("head")
			}
			return Stay("fine").Next(2*time.Second).WakeAbove(load, 4).WakeBelow(b, 0.1)
		},
	}
	status, response := p.start(t).Call(wasmabi.OpAnalyze, testObservation())
	var got wasmabi.Analysis
	if err := wasmabi.DecodeAnalysis(response, &got); err != nil || status != wasmabi.StatusOK {
		t.Fatal(status, err)
	}
	if got.Plan || got.Why != "fine" || got.NextMS != 2000 || got.Seq != 5 || len(got.BoundIDs) != 2 ||
		got.BoundIDs[1] != 2 || got.Above[0] != 4 || !math.IsNaN(got.Above[1]) || got.Below[1] != 0.1 {
		t.Errorf("got %+v", got)
	}
}

func TestPlanRows(t *testing.T) {
	var setup struct {
		frequency, governor, fan Knob
		mechanism                Mechanism
	}
	p := &script{
		initialize: func(s *Setup) error {
			setup.frequency, setup.governor = s.Knob("CPUFrequency", "policy0/max_frequency"), s.Knob("CPUFrequency", "policy0/governor")
			setup.fan, setup.mechanism = s.Knob("Fan", "fan0/speed"), s.Mechanism("Fan")
			return nil
		},
		analyze: always,
		plan: planner(func(p *Plan) {
			p.Set(setup.frequency, 2.5e9).For(time.Minute)
			p.SetMax(setup.frequency, setup.fan).For(time.Second)
			p.SetMin(setup.fan)
			p.Choose(setup.governor, "powersave")
			p.ResetKnob(setup.governor)
			p.Reset(setup.mechanism)
			p.Why("to ", setup.frequency.In(2.5e9))
		}),
	}
	status, response := p.start(t).Call(wasmabi.OpPlan, testObservation())
	var got wasmabi.Plan
	if err := wasmabi.DecodePlan(response, &got); err != nil || status != wasmabi.StatusOK {
		t.Fatal(status, err)
	}
	want := wasmabi.Plan{
		Seq: 5, Why: "to 2.5 GHz",
		Mechanisms: []uint32{1, 1, 0, 0, 1, 1, 0},
		Verbs:      []uint32{0, 0, 0, 0, 0, 1, 1},
		Knobs:      []uint32{0, 0, 2, 2, 1, 1, wasmabi.AllKnobs},
		Values:     []float64{2.5e9, 3e9, 900, 100, 1, 0, 0},
		LeaseMS:    []uint32{60_000, 1000, 1000, 0, 0, 0, 0},
	}
	if a, b := wasmabi.AppendPlan(nil, &got), wasmabi.AppendPlan(nil, &want); string(a) != string(b) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
}

func TestPlansThatCanNotBeMeantFail(t *testing.T) {
	var frequency, governor Knob
	tests := []struct {
		name, want string
		plan       func(*Plan)
	}{
		{"NaN", "set policy0/max_frequency to NaN", func(p *Plan) { p.Set(frequency, math.NaN()) }},
		{"zero knob", "set a knob that was not found", func(p *Plan) { p.Set(Knob{}, 1) }},
		{"no range", "set policy0/governor to an end of its range", func(p *Plan) { p.SetMax(governor) }},
		{"unknown choice", "set policy0/governor to turbo", func(p *Plan) { p.Choose(governor, "turbo") }},
		{"no lease", "lease a knob for 0s", func(p *Plan) { p.Set(frequency, 2e9).For(0) }},
		{"endless lease", "lease a knob for", func(p *Plan) { p.Set(frequency, 2e9).For(Forever) }},
		{"zero mechanism", "reset a mechanism that was not found", func(p *Plan) { p.Reset(Mechanism{}) }},
		{"zero knob reset", "reset a knob that was not found", func(p *Plan) { p.ResetKnob(Knob{}) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := &script{analyze: always, plan: planner(tt.plan), initialize: func(s *Setup) error {
				frequency, governor = s.Knob("CPUFrequency", "policy0/max_frequency"), s.Knob("CPUFrequency", "policy0/governor")
				return nil
			}}
			wantError(t, s.start(t), wasmabi.OpPlan, testObservation(), wasmabi.StatusGuest, "policy.plan", tt.want)
		})
	}
}

func TestCallsThatFail(t *testing.T) {
	failing := &script{initialize: nothing, analyze: always, plan: func(*Observation, *Plan) error { return errors.New("no idea") }}
	lost := &script{initialize: nothing, analyze: func(*Observation) Verdict { return Stay("").WakeAbove(Metric{}, 1) }}
	unhappy := &script{initialize: func(*Setup) error { return &wasmabi.Error{Code: "own.code", Message: "own words"} }}
	tests := []struct {
		name     string
		instance *Instance
		op       wasmabi.Op
		request  []byte
		status   wasmabi.Status
		code     string
		text     string
	}{
		{"no policy", NewInstance(nil), wasmabi.OpInit, testInit(), wasmabi.StatusGuest, "policy.not-registered", "policy.Register"},
		{"analyze first", NewInstance(failing), wasmabi.OpAnalyze, testObservation(), wasmabi.StatusGuest, "policy.not-initialized", "before init"},
		{"init is no CBOR", NewInstance(failing), wasmabi.OpInit, []byte{0xff}, wasmabi.StatusInvalid, "abi.malformed", "decode init"},
		{"own error", NewInstance(unhappy), wasmabi.OpInit, testInit(), wasmabi.StatusGuest, "own.code", "own words"},
		{"observation is cut off", failing.start(t), wasmabi.OpAnalyze, testObservation()[:20], wasmabi.StatusInvalid, "abi.malformed", "decode observation"},
		{"plan fails", failing.start(t), wasmabi.OpPlan, testObservation(), wasmabi.StatusGuest, "policy.failed", "no idea"},
		{"bound on nothing", lost.start(t), wasmabi.OpAnalyze, testObservation(), wasmabi.StatusGuest, "policy.not-found", "wake on a metric"},
		{"migrate without a migrator", failing.start(t), wasmabi.OpMigrate, nil, wasmabi.StatusGuest, "policy.no-migration", "Migrate"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			wantError(t, tt.instance, tt.op, tt.request, tt.status, tt.code, tt.text)
		})
	}
	if status, _ := failing.start(t).Call(99, nil); status != wasmabi.StatusUnsupported {
		t.Errorf("unknown operation: %v", status)
	}
	if status, b := failing.start(t).Call(wasmabi.OpHealth, nil); status != wasmabi.StatusOK || len(b) != 0 {
		t.Errorf("health: %v %q", status, b)
	}
}

// keeper saves one of everything.
type keeper struct {
	script
	load func(*State)
}

func (k *keeper) Save(s *State) {
	s.PutInt("i", -1)
	s.PutFloat("f", 0.5)
	s.PutBool("b", true)
	s.PutText("t", "x")
	s.PutBytes("r", []byte{7})
	s.PutFloats("w", []float64{1, 2})
	s.PutTime("at", time.Unix(5, 6))
	s.PutTime("never", time.Time{})
	s.PutDuration("d", time.Minute)
}

func (k *keeper) Load(s *State) { k.load(s) }

func TestStateSurvives(t *testing.T) {
	k := &keeper{script: script{initialize: nothing}, load: func(*State) { t.Error("loaded nothing") }}
	status, saved := started(t, k).Call(wasmabi.OpSnapshot, nil)
	if status != wasmabi.StatusOK {
		t.Fatalf("%v %q", status, saved)
	}
	loaded := false
	k.load = func(s *State) {
		loaded = true
		if s.Int("i") != -1 || s.Float("f") != 0.5 || !s.Bool("b") || s.Text("t") != "x" || s.Bytes("r")[0] != 7 ||
			s.Floats("w")[1] != 2 || !s.Time("at").Equal(time.Unix(5, 6)) || s.Duration("d") != time.Minute {
			t.Errorf("got %+v", s.entries)
		}
		if s.Has("never") || !s.Time("never").IsZero() || s.Int("f") != 0 || len(s.Keys()) != 8 {
			t.Errorf("got keys %v", s.Keys())
		}
	}
	init := wasmabi.AppendInit(nil, &wasmabi.Init{Context: append([]byte(nil), saved...)})
	if status, b := NewInstance(k).Call(wasmabi.OpInit, init); status != wasmabi.StatusOK || !loaded {
		t.Errorf("%v %q, loaded %t", status, b, loaded)
	}
	wantError(t, NewInstance(k), wasmabi.OpInit, wasmabi.AppendInit(nil, &wasmabi.Init{Context: []byte{0xff}}),
		wasmabi.StatusGuest, "policy.context", "read the saved state")
}

type hoarder struct{ script }

func (hoarder) Save(s *State) { s.PutBytes("all", make([]byte, wasmabi.MaxContext)) }
func (hoarder) Load(*State)   {}

func TestTooMuchStateIsRefused(t *testing.T) {
	i := started(t, &hoarder{script{initialize: nothing}})
	wantError(t, i, wasmabi.OpSnapshot, nil, wasmabi.StatusGuest, "policy.context", "64 KiB")
}

func TestClipKeepsWholeCharacters(t *testing.T) {
	long := strings.Repeat("ü", wasmabi.MaxText)
	if got := clip("a" + long); len(got) != wasmabi.MaxText-1 || got[:3] != "aü" {
		t.Errorf("clipped to %d bytes", len(got))
	}
}

func FuzzCall(f *testing.F) {
	f.Add(uint32(wasmabi.OpInit), testInit(), testObservation())
	f.Add(uint32(wasmabi.OpMigrate), []byte{0xa0}, []byte{})
	f.Fuzz(func(t *testing.T, op uint32, first, second []byte) {
		i := NewInstance(new(extra))
		for _, request := range [][]byte{first, second} {
			if status, b := i.Call(wasmabi.Op(op), request); status == wasmabi.StatusGuest {
				if err := wasmabi.DecodeError(b, new(wasmabi.Error)); err != nil {
					t.Error(err)
				}
			}
			i.Call(wasmabi.OpAnalyze, request)
			i.Call(wasmabi.OpPlan, request)
			i.Call(wasmabi.OpSnapshot, request)
		}
	})
}

func BenchmarkAnalyze(b *testing.B) {
	i := NewInstance(new(extra))
	i.Call(wasmabi.OpInit, wasmabi.AppendInit(nil, rehearsalInit()))
	observation := wasmabi.AppendObservation(nil, rehearsalObservation())
	b.ReportAllocs()
	for b.Loop() {
		i.Call(wasmabi.OpAnalyze, observation)
	}
}
