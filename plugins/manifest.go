package plugins

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"regexp"
	"slices"
	"sort"
	"strconv"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/edgehold/edgehold/wasmabi"
)

// MaxFile bounds a policy.yaml, in bytes.
const MaxFile = 256 << 10

// ParseManifest reads a policy.yaml. It accepts our flat form and the names of the MLSysOps framework's policies
// (D3.3 section 8.3.1: telemetry.metrics, configuration.analyze_interval, machine_learning_usage). The error is a
// *FileError with every problem that was found.
func ParseManifest(text []byte) (*wasmabi.Manifest, error) {
	d := &document{text: text}
	root, err := d.parse()
	if err != nil {
		return nil, err
	}
	m := readManifest(root)
	d.validate(m)
	if len(d.problems) > 0 {
		sort.SliceStable(d.problems, func(i, j int) bool { return d.problems[i].Line < d.problems[j].Line })
		return nil, &FileError{d.problems}
	}
	return m, nil
}

var syntaxLine = regexp.MustCompile(`line (\d+): `)

func (d *document) parse() (value, error) {
	if len(d.text) > MaxFile {
		return value{}, &FileError{[]Problem{{Code: "manifest.too-large", What: "is longer than 256 KiB", Hint: "shorten it"}}}
	}
	converted, err := yaml.YAMLToJSONStrict(d.text)
	if err != nil {
		return value{}, syntaxError(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(converted))
	decoder.UseNumber()
	var raw any
	if err := decoder.Decode(&raw); err != nil {
		return value{}, syntaxError(err)
	}
	if raw == nil {
		raw = map[string]any{}
	}
	return value{doc: d, raw: raw}, nil
}

func syntaxError(err error) error {
	what := strings.TrimPrefix(err.Error(), "yaml: ")
	line := 0
	if m := syntaxLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		_, what, _ = strings.Cut(what, m[0])
	}
	return &FileError{[]Problem{{Line: line, Code: "manifest.syntax", What: strings.TrimSpace(what),
		Hint: "check indentation, colons and quotes around that line; tabs are not allowed"}}}
}

func readManifest(root value) *wasmabi.Manifest {
	f := root.fields("name", "version", "kind", "language", "door", "layer", "scope", "description", "metrics", "mechanisms",
		"analyze_interval", "machine_learning_usage", "limits", "state", "parameters", "provides", "capabilities",
		"inputs", "outputs", "properties", "knobs", "tick", "telemetry", "configuration", "packages")
	m := &wasmabi.Manifest{
		ABI:  wasmabi.Version,
		Name: f["name"].text(), Version: f["version"].text(), Description: strings.TrimSpace(f["description"].text()),
		Kind:  f["kind"].textOr(wasmabi.KindPolicy),
		Door:  f["door"].text(),
		Layer: f["layer"].textOr(wasmabi.LayerNode), Scope: f["scope"].textOr(wasmabi.ScopeNode),
		AnalyzeIntervalMS: f["analyze_interval"].milliseconds(),
		UsesML:            f["machine_learning_usage"].boolean(),
	}
	f["language"].text() // for who builds the project (ParseLanguage); the form is still checked
	readMetrics(m, f["metrics"])
	readMechanisms(m, f["mechanisms"])
	readLimits(m, f["limits"])
	readState(m, f["state"])
	readParameters(m, f["parameters"])
	readProvides(m, f["provides"])
	readCapabilities(m, f["capabilities"])
	readWorkload(&m.Workload, f)
	readFramework(m, f)
	return m
}

// readFramework reads what D3.3 nests differently.
func readFramework(m *wasmabi.Manifest, f map[string]value) {
	telemetry := f["telemetry"].fields("metrics", "system_scraper_interval")
	readMetrics(m, telemetry["metrics"])
	telemetry["system_scraper_interval"].milliseconds() // sampling is the node's business here; the form is still checked
	configuration := f["configuration"].fields("analyze_interval")
	if ms := configuration["analyze_interval"].milliseconds(); ms != 0 {
		m.AnalyzeIntervalMS = ms
	}
	if packages := f["packages"]; len(packages.list()) > 0 {
		packages.fail("packages", "lists Python packages", "a Wasm module carries its packages; remove the entry")
	}
}

func readMetrics(m *wasmabi.Manifest, all value) {
	for _, v := range all.list() {
		if name, ok := v.raw.(string); ok {
			m.Metrics = append(m.Metrics, wasmabi.MetricRequest{Name: name})
			continue
		}
		f := v.fields("name", "labels", "reduce", "query", "unit", "required", "wake")
		m.Metrics = append(m.Metrics, wasmabi.MetricRequest{
			Name: f["name"].text(), Labels: readLabels(f["labels"]), Reduce: f["reduce"].text(),
			Query: f["query"].text(), Unit: f["unit"].text(), Required: f["required"].boolean(),
		})
		if f["wake"].raw != nil {
			w := f["wake"].fields("above", "below")
			m.Wake = append(m.Wake, wasmabi.Wake{
				Metric: uint32(len(m.Metrics) - 1), Above: w["above"].number(), Below: w["below"].number(),
			})
		}
	}
}

func readLabels(v value) []wasmabi.Label {
	object, _ := v.raw.(map[string]any)
	var names []string
	for name := range object {
		names = append(names, name)
	}
	slices.Sort(names)
	f := v.fields(names...)
	var all []wasmabi.Label
	for _, name := range names {
		all = append(all, wasmabi.Label{Name: name, Value: f[name].text()})
	}
	return all
}

func readMechanisms(m *wasmabi.Manifest, all value) {
	for _, v := range all.list() {
		r := wasmabi.MechanismRequest{Verbs: []string{wasmabi.VerbNameSet, wasmabi.VerbNameReset}}
		if name, ok := v.raw.(string); ok {
			r.Name = name
		} else {
			f := v.fields("name", "verbs", "knobs", "reason")
			r.Name, r.Knobs, r.Reason = f["name"].text(), f["knobs"].texts(), f["reason"].text()
			if f["verbs"].raw != nil {
				r.Verbs = f["verbs"].texts()
			}
		}
		m.Mechanisms = append(m.Mechanisms, r)
	}
}

func readLimits(m *wasmabi.Manifest, v value) {
	f := v.fields("fuel", "deadline", "memory")
	m.Limits = wasmabi.Limits{
		Fuel: f["fuel"].whole(math.MaxInt64), DeadlineMS: f["deadline"].milliseconds(), MemoryBytes: f["memory"].bytes(),
	}
}

func readState(m *wasmabi.Manifest, v value) {
	f := v.fields("schema", "migrates_from")
	m.StateSchema = uint32(f["schema"].whole(math.MaxUint32))
	for _, from := range f["migrates_from"].list() {
		m.MigratesFrom = append(m.MigratesFrom, uint32(from.whole(math.MaxUint32)))
	}
}

func readParameters(m *wasmabi.Manifest, all value) {
	for _, v := range all.list() {
		f := v.fields("name", "default", "unit", "min", "max", "description")
		m.Parameters = append(m.Parameters, wasmabi.Parameter{
			Name: f["name"].text(), Default: f["default"].number(), Unit: f["unit"].text(),
			Min: f["min"].number(), Max: f["max"].number(), Description: f["description"].text(),
		})
	}
}

func readProvides(m *wasmabi.Manifest, v value) {
	f := v.fields("mechanism", "summary", "every", "burst")
	m.Provides = wasmabi.Provides{
		Mechanism: f["mechanism"].text(), Summary: f["summary"].text(),
		EveryMS: f["every"].milliseconds(), Burst: uint32(f["burst"].whole(math.MaxUint32)),
	}
}

func readCapabilities(m *wasmabi.Manifest, all value) {
	for _, v := range all.list() {
		f := v.fields("name", "kind", "hosts", "methods", "paths", "write", "bytes", "reason")
		m.Capabilities = append(m.Capabilities, wasmabi.CapabilityRequest{
			Name: f["name"].text(), Kind: f["kind"].text(), Hosts: f["hosts"].texts(), Methods: f["methods"].texts(), Paths: f["paths"].texts(),
			Write: f["write"].boolean(), Bytes: f["bytes"].bytes(), Reason: f["reason"].text(),
		})
	}
}

func readWorkload(w *wasmabi.Workload, f map[string]value) {
	w.Inputs, w.Outputs = readPorts(f["inputs"]), readPorts(f["outputs"])
	w.TickMS = f["tick"].milliseconds()
	for _, v := range f["properties"].list() {
		f := v.fields("name", "path", "unit", "type", "reason")
		w.Properties = append(w.Properties, wasmabi.PropertyRequest{
			Name: f["name"].text(), Path: f["path"].text(), Unit: f["unit"].text(), Type: f["type"].text(), Reason: f["reason"].text(),
		})
	}
	for _, v := range f["knobs"].list() {
		f := v.fields("name", "write", "reason")
		w.Knobs = append(w.Knobs, wasmabi.KnobRequest{Name: f["name"].text(), Write: f["write"].boolean(), Reason: f["reason"].text()})
	}
}

func readPorts(all value) (ports []wasmabi.Port) {
	for _, v := range all.list() {
		if name, ok := v.raw.(string); ok {
			ports = append(ports, wasmabi.Port{Name: name})
			continue
		}
		f := v.fields("name", "unit", "type")
		ports = append(ports, wasmabi.Port{Name: f["name"].text(), Unit: f["unit"].text(), Type: f["type"].text()})
	}
	return ports
}

// fileNames maps the manifest's field names to those of the file, where they differ.
var fileNames = strings.NewReplacer("workload.tick_ms", "tick", "workload.", "", "analyze_interval_ms", "analyze_interval", "limits.deadline_ms", "limits.deadline",
	"limits.memory_bytes", "limits.memory", "provides.every_ms", "provides.every", "migrates_from", "state.migrates_from")

// validate adds what the manifest itself finds, except where a problem with that place is known already.
func (d *document) validate(m *wasmabi.Manifest) {
	var e *wasmabi.ManifestError
	if !errors.As(m.Validate(), &e) {
		return
	}
	for _, p := range e.Problems {
		field := fileNames.Replace(p.Field)
		if i, ok := wakeIndex(field); ok && i < len(m.Wake) {
			field = "metrics[" + strconv.Itoa(int(m.Wake[i].Metric)) + "].wake"
		}
		known := slices.ContainsFunc(d.problems, func(o Problem) bool {
			return strings.HasPrefix(field, o.Field) || strings.HasPrefix(o.Field, field)
		})
		if !known {
			d.problems = append(d.problems, Problem{locate(d.text, field), field, p.Code, p.What, p.Hint})
		}
	}
}

var wakeField = regexp.MustCompile(`^wake\[(\d+)\]`)

func wakeIndex(field string) (int, bool) {
	m := wakeField.FindStringSubmatch(field)
	if m == nil {
		return 0, false
	}
	i, err := strconv.Atoi(m[1])
	return i, err == nil
}
