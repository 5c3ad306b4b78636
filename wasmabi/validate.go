//go:build !wasm && !tinygo.wasm

// A guest never judges a manifest, so what this file imports is kept out of its module.

package wasmabi

import (
	"math"
	"path"
	"slices"
	"strings"
)

// Problem is one thing that is wrong with a manifest.
type Problem struct {
	Field string // "metrics[2].reduce"
	Code  string // stable: "manifest.missing", "manifest.unknown", "manifest.range", ...
	What  string // what is wrong
	Hint  string // what to do
}

// ManifestError lists every problem of a manifest.
type ManifestError struct {
	Name     string // of the manifest, as far as it has one
	Problems []Problem
}

// Error has a line for each problem.
func (e *ManifestError) Error() string {
	var b strings.Builder
	b.WriteString("check manifest")
	if e.Name != "" {
		b.WriteString(" " + e.Name)
	}
	separator := ":\n  "
	if len(e.Problems) == 1 {
		separator = ": "
	}
	for _, p := range e.Problems {
		b.WriteString(separator + p.Field + " " + p.What)
		separator = "\n  "
	}
	return b.String()
}

// ErrorCode is the code of the only problem, or "manifest.invalid".
func (e *ManifestError) ErrorCode() string {
	if len(e.Problems) == 1 {
		return e.Problems[0].Code
	}
	return "manifest.invalid"
}

// ErrorWhy lists the problems on one line.
func (e *ManifestError) ErrorWhy() string {
	var all []string
	for _, p := range e.Problems {
		all = append(all, p.Field+" "+p.What)
	}
	return strings.Join(all, "; ")
}

// ErrorHint lists the hints, each once.
func (e *ManifestError) ErrorHint() string {
	var all []string
	for _, p := range e.Problems {
		if !slices.Contains(all, p.Hint) {
			all = append(all, p.Hint)
		}
	}
	return strings.Join(all, "; ")
}

// Bounds on what a manifest may ask for; an operator's limits are lower as a rule.
const (
	minIntervalMS  = 10
	maxIntervalMS  = 24 * 60 * 60 * 1000
	maxDeadlineMS  = 60_000
	maxMemoryBytes = 1 << 30
	minWindow      = 1 << 10
	maxWindow      = 1 << 20
)

// Validate reports every problem at once, as a *ManifestError, or nil.
func (m *Manifest) Validate() error {
	c := checker{}
	c.identity(m)
	c.metrics(m.Metrics)
	c.mechanisms(m)
	c.wakes(m)
	c.limits(m)
	c.state(m)
	c.parameters(m.Parameters)
	c.vectors(m.Vectors)
	c.adapter(m)
	c.workload(m)
	if len(c.problems) == 0 {
		return nil
	}
	return &ManifestError{Name: m.Name, Problems: c.problems}
}

type checker struct{ problems []Problem }

func (c *checker) add(field, code, what, hint string) {
	c.problems = append(c.problems, Problem{field, "manifest." + code, what, hint})
}

func (c *checker) oneOf(field, v string, allowed ...string) {
	if slices.Contains(allowed, v) {
		return
	}
	if v == "" {
		c.add(field, "missing", "is missing", "give one of "+strings.Join(allowed, ", "))
		return
	}
	c.add(field, "unknown", "is "+quote(v)+", which is unknown", "give one of "+strings.Join(allowed, ", "))
}

func (c *checker) count(field string, n, most int) {
	if n > most {
		c.add(field, "too-many", "has "+decimal(uint64(n))+" entries", "give at most "+decimal(uint64(most)))
	}
}

func (c *checker) short(field, v string, most int) {
	if len(v) > most {
		c.add(field, "too-long", "has "+decimal(uint64(len(v)))+" bytes", "give at most "+decimal(uint64(most)))
	}
}

func (c *checker) identity(m *Manifest) {
	switch {
	case m.Name == "":
		c.add("name", "missing", "is missing", "give the policy a name such as cpu-boost")
	case !IsName(m.Name):
		c.add("name", "name", "is "+quote(m.Name), "use at most 63 lower case letters, digits and dashes, a letter first")
	}
	if !isVersion(m.Version) {
		c.add("version", "version", "is "+quote(m.Version), "give a semantic version such as 1.0.0")
	}
	c.oneOf("kind", m.Kind, KindPolicy, KindAdapter, KindWorkload)
	c.oneOf("layer", m.Layer, LayerNode, LayerCluster, LayerContinuum)
	c.oneOf("scope", m.Scope, ScopeNode, ScopeApplication)
	if m.ABI != Version {
		c.add("abi", "abi", "is "+decimal(uint64(m.ABI)), "this build knows ABI version "+decimal(Version))
	}
	c.door(m)
	c.short("description", m.Description, MaxText)
}

// door checks the door; the one to the Extism project's SDK is for adapters that need files or HTTP, and for nobody else.
func (c *checker) door(m *Manifest) {
	switch m.Door {
	case DoorNative, DoorExtism:
		return
	case DoorExtismSDK:
	default:
		c.add("door", "unknown", "is "+quote(m.Door)+", which is unknown", "give extism, or leave it out for modules built with the SDK")
		return
	}
	if m.Kind != KindAdapter {
		c.add("door", "kind", "is "+quote(m.Door)+", which is for adapters: it has neither fuel nor replay, and a "+quote(m.Kind)+" needs both",
			"give the door extism")
	}
	for i := range m.Capabilities {
		if k := m.Capabilities[i].Kind; k != CapabilityHTTP && k != CapabilityFile {
			c.add("capabilities["+decimal(uint64(i))+"].kind", "door", "is "+quote(k)+", which the door "+quote(m.Door)+" does not have",
				"ask for http and file only, or give the door extism")
		}
	}
}

// IsName reports whether s can name a guest: lower case letters, digits and single dashes inside, a letter first, at
// most 63 bytes.
func IsName(s string) bool {
	if s == "" || len(s) > 63 || s[0] < 'a' || s[0] > 'z' || s[len(s)-1] == '-' || strings.Contains(s, "--") {
		return false
	}
	return only(s, func(b byte) bool { return isLower(b) || isDigit(b) || b == '-' })
}

// isVersion checks the grammar of Semantic Versioning 2.0.0, loosely in the parts after the numbers.
func isVersion(s string) bool {
	s, _, _ = strings.Cut(s, "+")
	numbers, pre, hasPre := strings.Cut(s, "-")
	if len(s) > 128 || hasPre && (pre == "" || !only(pre, isVersionByte)) {
		return false
	}
	parts := strings.Split(numbers, ".")
	for _, p := range parts {
		if p == "" || len(p) > 9 || len(p) > 1 && p[0] == '0' || !only(p, isDigit) {
			return false
		}
	}
	return len(parts) == 3
}

func isLower(b byte) bool { return b >= 'a' && b <= 'z' }
func isUpper(b byte) bool { return b >= 'A' && b <= 'Z' }
func isDigit(b byte) bool { return b >= '0' && b <= '9' }
func isVersionByte(b byte) bool {
	return isLower(b) || isUpper(b) || isDigit(b) || b == '-' || b == '.'
}
func isMetricByte(b byte) bool {
	return isLower(b) || isUpper(b) || isDigit(b) || b == '_' || b == ':' || b == '.' || b == '/' || b == '-'
}

func only(s string, ok func(byte) bool) bool {
	for i := range len(s) {
		if !ok(s[i]) {
			return false
		}
	}
	return true
}

func quote(s string) string {
	if len(s) > 64 {
		s = s[:61] + "..."
	}
	return "\"" + s + "\""
}

func at(field string, i int) string { return field + "[" + decimal(uint64(i)) + "]" }

func (c *checker) metrics(all []MetricRequest) {
	c.count("metrics", len(all), MaxMetrics)
	for i := range all {
		m, field := &all[i], at("metrics", i)
		if m.Name == "" || len(m.Name) > MaxName || !only(m.Name, isMetricByte) {
			c.add(field+".name", "metric-name", "is "+quote(m.Name), "give the metric's name, for example node_load1")
		}
		if m.Reduce != "" {
			c.oneOf(field+".reduce", m.Reduce, ReduceLast, ReduceSum, ReduceAvg, ReduceMin, ReduceMax)
		}
		if m.Query != "" && len(m.Labels) > 0 {
			c.add(field+".query", "conflict", "stands beside labels", "put the labels into the query")
		}
		if m.Query != "" && m.Reduce != "" {
			c.add(field+".query", "conflict", "stands beside reduce", "aggregate in the query")
		}
		c.short(field+".query", m.Query, MaxText)
		c.short(field+".unit", m.Unit, MaxName)
		c.labels(field+".labels", m.Labels)
		if slices.ContainsFunc(all[:i], m.sameAs) {
			c.add(field, "duplicate", "asks for "+quote(m.Name)+" a second time", "remove one of the two")
		}
	}
}

func (m *MetricRequest) sameAs(o MetricRequest) bool {
	return m.Name == o.Name && m.Query == o.Query && m.Reduce == o.Reduce && slices.Equal(m.Labels, o.Labels)
}

func (c *checker) labels(field string, all []Label) {
	c.count(field, len(all), MaxLabels)
	for i, l := range all {
		if l.Name == "" || len(l.Name) > MaxName {
			c.add(at(field, i), "label", "has no name or a too long one", "give name and value")
		}
		c.short(at(field, i), l.Value, MaxName)
		if slices.ContainsFunc(all[:i], func(o Label) bool { return o.Name == l.Name }) {
			c.add(at(field, i), "duplicate", "names "+quote(l.Name)+" a second time", "remove one of the two")
		}
	}
}

func (c *checker) mechanisms(m *Manifest) {
	c.count("mechanisms", len(m.Mechanisms), MaxMechanisms)
	if m.Kind == KindPolicy && len(m.Mechanisms) == 0 {
		c.add("mechanisms", "missing", "is empty", "a policy decides on at least one mechanism, for example CPUFrequency")
	}
	for i, r := range m.Mechanisms {
		field := at("mechanisms", i)
		if r.Name == "" || len(r.Name) > MaxName || !only(r.Name, isMetricByte) {
			c.add(field+".name", "mechanism-name", "is "+quote(r.Name), "give the mechanism's name, for example CPUFrequency")
		}
		if slices.ContainsFunc(m.Mechanisms[:i], func(o MechanismRequest) bool { return o.Name == r.Name }) {
			c.add(field+".name", "duplicate", "names "+quote(r.Name)+" a second time", "put its knobs into one entry")
		}
		if len(r.Verbs) == 0 {
			c.add(field+".verbs", "missing", "is empty", "give set, reset or both")
		}
		for j, v := range r.Verbs {
			c.oneOf(at(field+".verbs", j), v, VerbNameSet, VerbNameReset)
		}
		c.count(field+".verbs", len(r.Verbs), MaxVerbs)
		c.patterns(field+".knobs", r.Knobs)
		c.short(field+".reason", r.Reason, MaxText)
	}
}

func (c *checker) patterns(field string, all []string) {
	c.count(field, len(all), MaxPatterns)
	for i, p := range all {
		if _, err := path.Match(p, ""); err != nil || p == "" || len(p) > MaxName {
			c.add(at(field, i), "pattern", "is "+quote(p), "give a pattern such as */max_frequency")
		}
	}
}

func (c *checker) wakes(m *Manifest) {
	c.count("wake", len(m.Wake), MaxMetrics)
	for i, w := range m.Wake {
		field := at("wake", i)
		if uint64(w.Metric) >= uint64(len(m.Metrics)) {
			c.add(field+".metric", "range", "is "+decimal(uint64(w.Metric)), "name one of the manifest's metrics")
		}
		if w.Above != w.Above && w.Below != w.Below {
			c.add(field, "missing", "has no bound", "give above, below or both")
		}
		if w.Above <= w.Below {
			c.add(field, "range", "has above at or under below", "above is the upper bound: it has to be the greater one")
		}
		if math.IsInf(w.Above, 0) || math.IsInf(w.Below, 0) {
			c.add(field, "range", "has an infinite bound", "leave the bound out")
		}
	}
}

func (c *checker) between(field string, v, least, most uint64) {
	if v != 0 && (v < least || v > most) {
		c.add(field, "range", "is "+decimal(v), "give "+decimal(least)+" to "+decimal(most)+", or leave it out")
	}
}

func (c *checker) limits(m *Manifest) {
	c.between("analyze_interval_ms", uint64(m.AnalyzeIntervalMS), minIntervalMS, maxIntervalMS)
	c.between("limits.fuel", m.Limits.Fuel, 1000, 1<<40)
	c.between("limits.deadline_ms", uint64(m.Limits.DeadlineMS), 1, maxDeadlineMS)
	c.between("limits.memory_bytes", m.Limits.MemoryBytes, 64<<10, maxMemoryBytes)
	c.between("limits.request_window", uint64(m.Limits.RequestWindow), minWindow, maxWindow)
	c.between("limits.response_window", uint64(m.Limits.ResponseWindow), minWindow, maxWindow)
}

func (c *checker) state(m *Manifest) {
	c.count("migrates_from", len(m.MigratesFrom), MaxSchemas)
	for i, s := range m.MigratesFrom {
		if s == m.StateSchema {
			c.add(at("migrates_from", i), "conflict", "is the schema itself", "list older schemas only")
		}
		if slices.Contains(m.MigratesFrom[:i], s) {
			c.add(at("migrates_from", i), "duplicate", "is "+decimal(uint64(s))+" a second time", "remove one of the two")
		}
	}
}

func (c *checker) parameters(all []Parameter) {
	c.count("parameters", len(all), MaxParameters)
	for i, p := range all {
		field := at("parameters", i)
		if p.Name == "" || len(p.Name) > MaxName || !only(p.Name, isMetricByte) {
			c.add(field+".name", "parameter-name", "is "+quote(p.Name), "use letters, digits and _")
		}
		if slices.ContainsFunc(all[:i], func(o Parameter) bool { return o.Name == p.Name }) {
			c.add(field+".name", "duplicate", "is "+quote(p.Name)+" a second time", "rename one of the two")
		}
		if math.IsNaN(p.Default) || math.IsInf(p.Default, 0) {
			c.add(field+".default", "missing", "is missing or not a number", "give a number")
		}
		if math.IsInf(p.Min, 0) || math.IsInf(p.Max, 0) {
			c.add(field, "range", "has an infinite bound", "leave the bound out")
		}
		if p.Min > p.Max {
			c.add(field, "range", "has min above max", "exchange the two")
		} else if p.Default < p.Min || p.Default > p.Max {
			c.add(field+".default", "range", "lies outside min and max", "move it inside")
		}
		c.short(field+".unit", p.Unit, MaxName)
		c.short(field+".description", p.Description, MaxText)
	}
}

func (c *checker) vectors(all []Vector) {
	c.count("vectors", len(all), MaxVectors)
	for i, v := range all {
		if len(v.Request) > MaxVector || len(v.Response) > MaxVector {
			c.add(at("vectors", i), "too-long", "is longer than a window", "choose a smaller example")
		}
	}
}
