package plugins

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/edgehold/edgehold/wasmabi"
)

const flat = `
# A comment.
name: cpu-boost
version: 1.2.0
description: >
  Raises the limit
  while busy.
metrics:
  - node_load1
  - name: latency_seconds
    labels: {app: shop, zone: "1"}
    reduce: max
    unit: s
    required: true
    wake:
      above: 0.1
  - name: busy
    query: avg(rate(node_cpu_seconds_total[10s]))
mechanisms:
  - name: CPUFrequency
    verbs: [set]
    knobs: ["*/max_frequency"]
    reason: raise the limit
analyze_interval: 4s
machine_learning_usage: true
limits:
  fuel: 5000000
  deadline: 20ms
  memory: 16MiB
state:
  schema: 3
  migrates_from: [1, 2]
parameters:
  - name: high
    default: 0.8
    min: 0
    unit: ratio
`

const workload = `
name: temp-average
version: 1.0.0
kind: workload
inputs:
  - name: temp
    unit: Cel
outputs: [temp_avg]
properties:
  - {name: temperature, path: /3303/0/5700, unit: Cel, reason: average it}
knobs:
  - {name: TX_PWR, write: true, reason: be heard}
tick: 1s
parameters:
  - {name: window, default: 8}
`

func TestParseWorkload(t *testing.T) {
	m, err := ParseManifest([]byte(workload))
	if err != nil {
		t.Fatal(err)
	}
	want := wasmabi.Workload{
		Inputs: []wasmabi.Port{{Name: "temp", Unit: "Cel"}}, Outputs: []wasmabi.Port{{Name: "temp_avg"}}, TickMS: 1000,
		Properties: []wasmabi.PropertyRequest{{Name: "temperature", Path: "/3303/0/5700", Unit: "Cel", Reason: "average it"}},
		Knobs:      []wasmabi.KnobRequest{{Name: "TX_PWR", Write: true, Reason: "be heard"}},
	}
	if diff := cmp.Diff(want, m.Workload); diff != "" {
		t.Error(diff)
	}
}

func TestWorkloadProblemsHaveTheirLines(t *testing.T) {
	tests := map[string]struct {
		from, to, field, code string
		line                  int
	}{
		"tick too short":      {"tick: 1s", "tick: 1ms", "tick", "manifest.range", 13},
		"not a resource":      {"/3303/0/5700", "/3303", "properties[0].path", "manifest.path", 10},
		"no reason":           {", reason: be heard", "", "knobs[0].reason", "manifest.missing", 12},
		"key of a bad form":   {"[temp_avg]", "[temp/avg]", "outputs[0].name", "manifest.key", 8},
		"ports of an adapter": {"kind: workload", "kind: policy\nmechanisms: [CPUFrequency]", "workload", "manifest.kind", 0},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			text := strings.Replace(workload, test.from, test.to, 1)
			_, err := ParseManifest([]byte(text))
			var e *FileError
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			p := e.Problems[0]
			if p.Field != test.field || p.Code != test.code || test.line != 0 && p.Line != test.line {
				t.Errorf("got %+v", e.Problems)
			}
		})
	}
}

const adapter = `
name: smart-plug
version: 1.0.0
kind: adapter
provides:
  mechanism: SmartPlug
  summary: a socket
  every: 500ms
  burst: 4
limits: {deadline: 5s}
capabilities:
  - name: device
    kind: http
    hosts: ["plug.example.org:80"]
    methods: [GET, PUT]
    bytes: 4KiB
    reason: switch the relay
  - {name: leds, kind: file, paths: ["/sys/class/leds/*/brightness"], write: true, reason: show it}
`

func TestAdapter(t *testing.T) {
	got, err := ParseManifest([]byte(adapter))
	if err != nil {
		t.Fatal(err)
	}
	want := &wasmabi.Manifest{
		Name: "smart-plug", Version: "1.0.0", Kind: "adapter", Layer: "node", Scope: "node", ABI: 1, Limits: wasmabi.Limits{DeadlineMS: 5000},
		Provides: wasmabi.Provides{Mechanism: "SmartPlug", Summary: "a socket", EveryMS: 500, Burst: 4},
		Capabilities: []wasmabi.CapabilityRequest{
			{Name: "device", Kind: "http", Hosts: []string{"plug.example.org:80"}, Methods: []string{"GET", "PUT"}, Bytes: 4096, Reason: "switch the relay"},
			{Name: "leds", Kind: "file", Paths: []string{"/sys/class/leds/*/brightness"}, Write: true, Reason: "show it"},
		},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("got (-) and want (+):\n%s", diff)
	}
}

func TestAdapterProblemsHaveTheirLine(t *testing.T) {
	_, err := ParseManifest([]byte(strings.Replace(adapter, "plug.example.org:80", "*:80", 1)))
	var e *FileError
	if !errors.As(err, &e) || len(e.Problems) != 1 || e.Problems[0].Line != 14 || e.Problems[0].Code != "manifest.host" {
		t.Errorf("got %+v", e)
	}
}

func TestFlatForm(t *testing.T) {
	got, err := ParseManifest([]byte(flat))
	if err != nil {
		t.Fatal(err)
	}
	want := &wasmabi.Manifest{
		Name: "cpu-boost", Version: "1.2.0", Kind: "policy", Layer: "node", Scope: "node", ABI: 1,
		Description: "Raises the limit while busy.",
		Metrics: []wasmabi.MetricRequest{
			{Name: "node_load1"},
			{Name: "latency_seconds", Labels: []wasmabi.Label{{Name: "app", Value: "shop"}, {Name: "zone", Value: "1"}},
				Reduce: "max", Unit: "s", Required: true},
			{Name: "busy", Query: "avg(rate(node_cpu_seconds_total[10s]))"},
		},
		Mechanisms: []wasmabi.MechanismRequest{{Name: "CPUFrequency", Verbs: []string{"set"},
			Knobs: []string{"*/max_frequency"}, Reason: "raise the limit"}},
		Wake:              []wasmabi.Wake{{Metric: 1, Above: 0.1, Below: math.NaN()}},
		AnalyzeIntervalMS: 4000, UsesML: true,
		Limits:      wasmabi.Limits{Fuel: 5_000_000, DeadlineMS: 20, MemoryBytes: 16 << 20},
		StateSchema: 3, MigratesFrom: []uint32{1, 2},
		Parameters: []wasmabi.Parameter{{Name: "high", Default: 0.8, Unit: "ratio", Min: 0, Max: math.NaN()}},
	}
	if diff := cmp.Diff(got, want, cmpopts.EquateNaNs()); diff != "" {
		t.Errorf("got (-) and want (+):\n%s", diff)
	}
}

func TestFrameworkForm(t *testing.T) {
	got, err := ParseManifest([]byte(`
name: load-guard
version: 1.0.0
telemetry:
  metrics: ["node_load1"]
  system_scraper_interval: "1s"
mechanisms:
  - CPUFrequency
packages: []
configuration:
  analyze_interval: "4s"
machine_learning_usage: false
`))
	if err != nil {
		t.Fatal(err)
	}
	if len(got.Metrics) != 1 || got.Metrics[0].Name != "node_load1" || got.AnalyzeIntervalMS != 4000 {
		t.Errorf("got %+v", got)
	}
	if diff := cmp.Diff(got.Mechanisms, []wasmabi.MechanismRequest{{Name: "CPUFrequency", Verbs: []string{"set", "reset"}}}); diff != "" {
		t.Error(diff)
	}
}

func TestMistakesAreExplained(t *testing.T) {
	tests := []struct {
		name, old, new string
		line           int
		field, code    string
		hint           string
	}{
		{"misspelt key", "analyze_interval: 4s", "analyse_interval: 4s", 24, "analyse_interval", "manifest.unknown-field", "did you mean analyze_interval?"},
		{"misspelt key in a list", "    reduce: max", "    reduces: max", 12, "metrics[1].reduces", "manifest.unknown-field", "did you mean reduce?"},
		{"no unit of time", "4s", "4", 24, "analyze_interval", "manifest.duration", "write 4s or 4ms"},
		{"not a time", "4s", "soon", 24, "analyze_interval", "manifest.duration", "such as 4s"},
		{"no unit of size", "16MiB", "16", 29, "limits.memory", "manifest.size", "16MiB"},
		{"unknown unit of size", "16MiB", "16MB", 29, "limits.memory", "manifest.size", "KiB"},
		{"interval too short", "4s", "2ms", 24, "analyze_interval", "manifest.range", "give 10"},
		{"unknown reduction", "reduce: max", "reduce: p99", 12, "metrics[1].reduce", "manifest.unknown", "last"},
		{"unknown verb", "[set]", "[drop]", 21, "mechanisms[0].verbs[0]", "manifest.unknown", "set, reset"},
		{"version as a number", "version: 1.2.0", "version: 1.2", 4, "version", "manifest.type", `"1.2"`},
		{"no name", "name: cpu-boost", "kind: policy", 0, "name", "manifest.missing", "cpu-boost"},
		{"text for a number", "default: 0.8", "default: high", 35, "parameters[0].default", "manifest.type", "number"},
		{"wake without bound", "      above: 0.1", "      {}", 15, "metrics[1].wake", "manifest.missing", "above"},
		{"key twice", "version: 1.2.0", "version: 1.2.0\nversion: 1.2.0", 5, "", "manifest.syntax", ""},
		{"tab", "  schema: 3", "\tschema: 3", 31, "", "manifest.syntax", "tabs"},
		{"packages", "limits:", "packages: [numpy]\nlimits:", 26, "packages", "manifest.packages", "Wasm"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := ParseManifest([]byte(strings.Replace(flat, tt.old, tt.new, 1)))
			var e *FileError
			if !errors.As(err, &e) {
				t.Fatalf("got %v", err)
			}
			if len(e.Problems) != 1 {
				t.Fatalf("got %d problems: %v", len(e.Problems), e)
			}
			p := e.Problems[0]
			if p.Line != tt.line || p.Field != tt.field || p.Code != tt.code || !strings.Contains(p.Hint, tt.hint) {
				t.Errorf("got  %+v\nwant line %d, field %s, code %s, hint with %q", p, tt.line, tt.field, tt.code, tt.hint)
			}
		})
	}
}

func TestAllMistakesAtOnce(t *testing.T) {
	_, err := ParseManifest([]byte("nmae: x\nversion: 1\nmetrics: node_load1\nlimits:\n  memory: 16\n"))
	var e *FileError
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if len(e.Problems) != 6 {
		t.Errorf("got %d problems:\n%v", len(e.Problems), e)
	}
}

func TestPackReplacesAndRepeats(t *testing.T) {
	m, err := ParseManifest([]byte(flat))
	if err != nil {
		t.Fatal(err)
	}
	once, err := Pack([]byte("\x00asm\x01\x00\x00\x00"), m)
	if err != nil {
		t.Fatal(err)
	}
	twice, err := Pack(once, m)
	if err != nil {
		t.Fatal(err)
	}
	if !cmp.Equal(once, twice) {
		t.Error("packing again changed the module")
	}
	got, err := wasmabi.ReadManifest(twice)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(got, m, cmpopts.EquateNaNs()); diff != "" {
		t.Error(diff)
	}
	if _, err := Pack(once, &wasmabi.Manifest{}); err == nil {
		t.Error("packed an empty manifest")
	}
}

func FuzzParseManifest(f *testing.F) {
	f.Add([]byte(flat))
	f.Add([]byte("telemetry: {metrics: [a]}\nmechanisms: [B]"))
	f.Add([]byte("- a\n- b: {c: [1, x"))
	f.Fuzz(func(t *testing.T, text []byte) {
		m, err := ParseManifest(text)
		if err != nil {
			if err.Error() == "" {
				t.Error("empty error")
			}
			return
		}
		var again wasmabi.Manifest
		if err := wasmabi.DecodeManifest(wasmabi.EncodeManifest(m), &again); err != nil {
			t.Errorf("accepted manifest does not survive: %v", err)
		}
	})
}
