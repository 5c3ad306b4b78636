package wasmabi

import (
	"math"
	"reflect"
)

// codec is one message's pair of functions, with the message as any, so that one table covers them all.
type codec struct {
	name   string
	empty  func() any
	append func([]byte, any) []byte
	decode func([]byte, any) error
}

func codecOf[T any](name string, app func([]byte, *T) []byte, dec func([]byte, *T) error) codec {
	return codec{
		name:   name,
		empty:  func() any { return new(T) },
		append: func(b []byte, m any) []byte { return app(b, m.(*T)) },
		decode: func(b []byte, m any) error { return dec(b, m.(*T)) },
	}
}

func codecs() []codec {
	return []codec{
		codecOf("manifest", func(b []byte, m *Manifest) []byte { return append(b, EncodeManifest(m)...) }, DecodeManifest),
		codecOf("init", AppendInit, DecodeInit),
		codecOf("observation", AppendObservation, DecodeObservation),
		codecOf("analysis", AppendAnalysis, DecodeAnalysis),
		codecOf("plan", AppendPlan, DecodePlan),
		codecOf("error", AppendError, DecodeError),
		codecOf("migrate", AppendMigrate, DecodeMigrate),
		codecOf("start", AppendStart, DecodeStart),
		codecOf("input", AppendInput, DecodeInput),
		codecOf("emission", AppendEmission, DecodeEmission),
		codecOf("options", AppendOptions, DecodeOptions),
		codecOf("names", AppendNames, DecodeNames),
		codecOf("settings", AppendSettings, DecodeSettings),
		codecOf("readings", AppendReadings, DecodeReadings),
		codecOf("http-request", AppendHTTPRequest, DecodeHTTPRequest),
		codecOf("http-response", AppendHTTPResponse, DecodeHTTPResponse),
		codecOf("file", AppendFile, DecodeFile),
		codecOf("item", AppendItem, DecodeItem),
		codecOf("coap-request", AppendCoAPRequest, DecodeCoAPRequest),
		codecOf("coap-response", AppendCoAPResponse, DecodeCoAPResponse),
	}
}

func codecFor(name string) codec {
	for _, c := range codecs() {
		if c.name == name {
			return c
		}
	}
	panic("no codec " + name)
}

// sample is one message with a name; its codec is found by kind.
type sample struct {
	name, kind string
	message    any
}

var nan = math.NaN()

func samples() []sample {
	return []sample{
		{"manifest-empty", "manifest", &Manifest{}},
		{"manifest-cpu-boost", "manifest", sampleManifest()},
		{"manifest-extism", "manifest", &Manifest{Name: "count-vowels", Version: "1.0.0", Kind: KindPolicy, Layer: LayerNode,
			Scope: ScopeNode, ABI: Version, Door: DoorExtism}},
		{"manifest-smart-plug", "manifest", sampleAdapter()},
		{"manifest-temp-average", "manifest", sampleWorkload()},
		{"start-empty", "start", &Start{}},
		{"start-temp-average", "start", &Start{
			Name: "temp-average", Version: "1.0.0", Device: "sensor-7", TimeNS: 1_700_000_000_123_456_789,
			Inputs: []string{"temp"}, Outputs: []string{"temp_avg", "alarm"}, Properties: []string{"temperature"}, Knobs: []string{"TX_PWR"},
			Parameters: []float64{8}, ParameterNames: []string{"window"},
		}},
		{"input-tick", "input", &Input{TimeNS: 1_700_000_001_000_000_000}},
		{"input-two", "input", &Input{TimeNS: -1, IDs: []uint32{0, 2}, Values: []float64{21.5, nan}, DataIDs: []uint32{1}, Data: [][]byte{{0xff}}}},
		{"emission-empty", "emission", &Emission{}},
		{"emission-two", "emission", &Emission{NextMS: 500, IDs: []uint32{0}, Values: []float64{21.25}, DataIDs: []uint32{1, 1}, Data: [][]byte{[]byte("hot"), nil}}},
		{"init-empty", "init", &Init{}},
		{"init-cpu-boost", "init", sampleInit()},
		{"init-smart-plug", "init", &Init{Policy: "smart-plug", Version: "2.0.0", Asset: "node-7", Layer: LayerNode, Scope: ScopeNode,
			Capabilities: sampleAdapter().Capabilities[:2]}},
		{"observation-empty", "observation", &Observation{}},
		{"observation-36", "observation", sampleObservation(36)},
		{"observation-missing", "observation", &Observation{
			Seq: 1 << 40, TimeNS: -1, Trigger: TriggerWake,
			IDs: []uint32{0, 1}, Values: []float64{nan, 0.25}, AgesMS: []uint32{AgeMissing, 120},
			KnobIDs: []uint32{0}, KnobValues: []float64{3.5e9},
		}},
		{"analysis-empty", "analysis", &Analysis{}},
		{"analysis-plan", "analysis", &Analysis{
			Seq: 7, Plan: true, NextMS: 500, Why: "node_load1 3.2 is above 2 für 10 s",
			BoundIDs: []uint32{0, 3}, Above: []float64{0.8, nan}, Below: []float64{nan, 0.3},
		}},
		{"plan-empty", "plan", &Plan{}},
		{"plan-two", "plan", samplePlan()},
		{"error-retry", "error", &Error{Code: "policy.no-data", Message: "node_load1 is missing", Retryable: true}},
		{"error-empty", "error", &Error{}},
		{"migrate-two", "migrate", &Migrate{FromSchema: 2, Context: []byte{1, 2, 3}}},
		{"migrate-empty", "migrate", &Migrate{}},
		{"options-empty", "options", &Options{}},
		{"options-plug", "options", &Options{Knobs: []KnobOption{
			{Name: "relay/0", Summary: "the socket", Kind: KnobChoice, Min: nan, Max: nan, Step: nan, Choices: []string{"off", "on"},
				Driver: "plug 4C11AE", Conflict: "relay", Affects: []string{"fan/speed"}},
			{Name: "fan/speed", Unit: "1/min", Kind: KnobNumber, Min: 0, Max: 3000, Step: 100, Table: []float64{0, 1500, 3000}, ReadOnly: true, Unavailable: "it is off"},
		}}},
		{"names-all", "names", &Names{}},
		{"names-two", "names", &Names{Names: []string{"relay/0", "fan/speed"}}},
		{"settings-two", "settings", &Settings{Settings: []KnobSetting{{Knob: "relay/0", Choice: "on", Number: nan}, {Knob: "fan/speed", Number: 1500}}}},
		{"settings-empty", "settings", &Settings{}},
		{"readings-three", "readings", &Readings{
			Readings: []KnobReading{
				{Knob: "relay/0", Choice: "on", Number: nan}, {Knob: "fan/speed", Number: 1480.5},
				{Knob: "fan/2", Number: nan, Problem: "it does not answer", Away: true},
			},
			Facts: []Label{{"firmware", "1.14"}},
		}},
		{"readings-empty", "readings", &Readings{}},
		{"http-request-put", "http-request", &HTTPRequest{
			Method: "PUT", URL: "http://plug.example.org:80/relay/0", Header: []Label{{"content-type", "application/json"}}, Body: []byte(`{"on":true}`),
		}},
		{"http-response-ok", "http-response", &HTTPResponse{Status: 200, Header: []Label{{"content-type", "application/json"}}, Body: []byte(`{"on":true}`)}},
		{"http-response-empty", "http-response", &HTTPResponse{}},
		{"file-write", "file", &File{Path: "/sys/class/leds/input0::capslock/brightness", Data: []byte("1\n")}},
		{"file-read", "file", &File{Path: "/sys/class/leds/input0::capslock/brightness"}},
		{"item-set", "item", &Item{Key: "token", Value: []byte{1, 2, 3}}},
		{"item-get", "item", &Item{Key: "token"}},
		{"coap-request-put", "coap-request", &CoAPRequest{Method: "PUT", URI: "coap://lamp.example.org:5683/3311/0/5851", Format: 1, Accept: 51, Payload: []byte("50")}},
		{"coap-response-changed", "coap-response", &CoAPResponse{Code: 204}},
		{"coap-response-content", "coap-response", &CoAPResponse{Code: 205, Format: 1, Payload: []byte("50")}},
	}
}

func sampleAdapter() *Manifest {
	return &Manifest{
		Name: "smart-plug", Version: "2.0.0", Kind: KindAdapter, Layer: LayerNode, Scope: ScopeNode, ABI: Version,
		Provides: Provides{Mechanism: "SmartPlug", Summary: "A socket with a relay and a fan.", EveryMS: 500, Burst: 4},
		Capabilities: []CapabilityRequest{
			{Name: "device", Kind: CapabilityHTTP, Hosts: []string{"plug.example.org:80", "*.plugs.example.org:443", "192.0.2.7:80", "[2001:db8::7]:80"},
				Methods: []string{"GET", "PUT"}, Bytes: 4096, Reason: "read and switch the relay"},
			{Name: "leds", Kind: CapabilityFile, Paths: []string{"/sys/class/leds/*/brightness", "/sys/class/hwmon/hwmon?/pwm[1-4]"}, Write: true, Reason: "show the state"},
			{Name: "memory", Kind: CapabilityKV, Bytes: 1024, Reason: "remember the token"},
			{Name: "lamp", Kind: CapabilityCoAP, Hosts: []string{"lamp.example.org:5683"}, Methods: []string{"GET", "PUT"}, Reason: "dim it"},
		},
	}
}

func sampleWorkload() *Manifest {
	return &Manifest{
		Name: "temp-average", Version: "1.0.0", Kind: KindWorkload, Layer: LayerNode, Scope: ScopeNode, ABI: Version,
		Limits:     Limits{Fuel: 100_000, MemoryBytes: 128 << 10},
		Parameters: []Parameter{{Name: "window", Default: 8, Min: 1, Max: 64}},
		Workload: Workload{
			Inputs:  []Port{{Name: "temp", Unit: "Cel"}},
			Outputs: []Port{{Name: "temp_avg", Unit: "Cel", Type: TypeNumber}, {Name: "alarm", Type: TypeBytes}},
			Properties: []PropertyRequest{
				{Name: "temperature", Path: "/3303/0/5700", Unit: "Cel", Reason: "average it"},
				{Name: "model", Path: "/3/0/1", Type: TypeBytes, Reason: "say where the value comes from"},
			},
			Knobs:  []KnobRequest{{Name: "TX_PWR", Write: true, Reason: "send an alarm with all power"}},
			TickMS: 1000,
		},
	}
}

func sampleManifest() *Manifest {
	return &Manifest{
		Name: "cpu-boost", Version: "1.2.0", Kind: KindPolicy, Layer: LayerNode, Scope: ScopeNode, ABI: Version,
		Description: "Raises the frequency limit while the node is busy.",
		Metrics: []MetricRequest{
			{Name: "node_load1", Required: true},
			{Name: "app_latency_seconds", Labels: []Label{{"app", "shop"}, {"quantile", "0.99"}}, Reduce: ReduceMax, Unit: "s"},
			{Name: "busy", Query: "1 - avg(rate(node_cpu_seconds_total{mode=\"idle\"}[10s]))", Unit: "ratio"},
		},
		Mechanisms: []MechanismRequest{{
			Name: "CPUFrequency", Verbs: []string{VerbNameSet, VerbNameReset}, Knobs: []string{"*/max_frequency"},
			Reason: "raise and lower the limit",
		}},
		Wake:              []Wake{{Metric: 0, Above: 2, Below: nan}, {Metric: 1, Above: 0.1, Below: 0.02}},
		AnalyzeIntervalMS: 4000, UsesML: true,
		Limits:      Limits{Fuel: 5_000_000, DeadlineMS: 20, MemoryBytes: 16 << 20, RequestWindow: 65536, ResponseWindow: 65536},
		StateSchema: 3, MigratesFrom: []uint32{1, 2},
		Parameters: []Parameter{
			{Name: "high", Default: 0.8, Unit: "ratio", Min: 0, Max: 1, Description: "busy from here"},
			{Name: "calm", Default: 65504, Unit: "s", Min: 5.960464477539063e-8, Max: nan},
		},
		Vectors: []Vector{{Op: OpHealth}, {Op: OpAnalyze, Request: []byte{0x88}, Response: []byte{0x87, 0}}},
	}
}

func sampleInit() *Init {
	return &Init{
		Policy: "cpu-boost", Version: "1.2.0", Scope: ScopeNode, Asset: "node-7", Layer: LayerNode,
		Features: []string{"wake-bounds"},
		Metrics: []MetricInfo{
			{Name: "node_load1"},
			{Name: "app_latency_seconds", Labels: []Label{{"app", "shop"}}, Unit: "s"},
		},
		Mechanisms: []string{"CPUFrequency"},
		Knobs: []KnobInfo{
			{Name: "policy0/max_frequency", Unit: "Hz", Kind: KnobNumber, Min: 8e8, Max: 3.5e9, Step: 1e5, Table: []float64{8e8, 3.5e9}},
			{Name: "policy0/governor", Kind: KnobChoice, Min: nan, Max: nan, Step: nan, Choices: []string{"performance", "powersave"}},
		},
		Parameters: []float64{0.8, 30}, ParameterNames: []string{"high", "calm"}, Context: []byte{0xa0}, ContextSchema: 3,
	}
}

func sampleObservation(n int) *Observation {
	m := &Observation{Seq: 42, TimeNS: 1_700_000_000_123_456_789, Trigger: TriggerPeriodic}
	for i := range n {
		m.IDs = append(m.IDs, uint32(i))
		m.Values = append(m.Values, float64(i)*1.25)
		m.AgesMS = append(m.AgesMS, uint32(i*10))
	}
	m.KnobIDs, m.KnobValues = []uint32{0, 1}, []float64{1.2e9, 2}
	return m
}

func samplePlan() *Plan {
	return &Plan{
		Seq: 42, Why: "busy 0.93 is above 0.8",
		Mechanisms: []uint32{0, 1}, Verbs: []uint32{VerbSet, VerbReset}, Knobs: []uint32{0, AllKnobs},
		Values: []float64{3.5e9, 0}, LeaseMS: []uint32{30_000, 0},
	}
}

// same is reflect.DeepEqual, with NaN equal to NaN and an empty slice equal to none.
func same(a, b any) bool { return sameValue(reflect.ValueOf(a), reflect.ValueOf(b)) }

func sameValue(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Pointer:
		return sameValue(a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if !sameValue(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	case reflect.Slice:
		if a.Len() != b.Len() {
			return false
		}
		for i := range a.Len() {
			if !sameValue(a.Index(i), b.Index(i)) {
				return false
			}
		}
		return true
	case reflect.Float64:
		return a.Float() == b.Float() || a.Float() != a.Float() && b.Float() != b.Float()
	}
	return a.Equal(b)
}
