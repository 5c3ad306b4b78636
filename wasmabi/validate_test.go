//go:build !wasm && !tinygo.wasm

package wasmabi

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
)

func TestSampleManifestIsValid(t *testing.T) {
	if err := sampleManifest().Validate(); err != nil {
		t.Fatal(err)
	}
}

func TestValidateFindsEachProblem(t *testing.T) {
	tests := []struct {
		name, field, code string
		breakIt           func(*Manifest)
	}{
		{"no name", "name", "manifest.missing", func(m *Manifest) { m.Name = "" }},
		{"upper case name", "name", "manifest.name", func(m *Manifest) { m.Name = "CPU" }},
		{"dash at the end", "name", "manifest.name", func(m *Manifest) { m.Name = "cpu-" }},
		{"two numbers", "version", "manifest.version", func(m *Manifest) { m.Version = "1.0" }},
		{"leading zero", "version", "manifest.version", func(m *Manifest) { m.Version = "01.0.0" }},
		{"policy on the fallback", "door", "manifest.kind", func(m *Manifest) { m.Door = DoorExtismSDK }},
		{"unknown door", "door", "manifest.unknown", func(m *Manifest) { m.Door = "wapc" }},
		{"unknown kind", "kind", "manifest.unknown", func(m *Manifest) { m.Kind = "plugin" }},
		{"no layer", "layer", "manifest.missing", func(m *Manifest) { m.Layer = "" }},
		{"unknown scope", "scope", "manifest.unknown", func(m *Manifest) { m.Scope = "pod" }},
		{"other abi", "abi", "manifest.abi", func(m *Manifest) { m.ABI = 2 }},
		{"metric without name", "metrics[0].name", "manifest.metric-name", func(m *Manifest) { m.Metrics[0].Name = "" }},
		{"unknown reduce", "metrics[0].reduce", "manifest.unknown", func(m *Manifest) { m.Metrics[0].Reduce = "p99" }},
		{"query and labels", "metrics[1].query", "manifest.conflict", func(m *Manifest) { m.Metrics[1].Query, m.Metrics[1].Reduce = "up", "" }},
		{"metric twice", "metrics[1]", "manifest.duplicate", func(m *Manifest) { m.Metrics[1] = m.Metrics[0] }},
		{"no mechanism", "mechanisms", "manifest.missing", func(m *Manifest) { m.Mechanisms = nil }},
		{"no verb", "mechanisms[0].verbs", "manifest.missing", func(m *Manifest) { m.Mechanisms[0].Verbs = nil }},
		{"unknown verb", "mechanisms[0].verbs[1]", "manifest.unknown", func(m *Manifest) { m.Mechanisms[0].Verbs[1] = "drop" }},
		{"bad pattern", "mechanisms[0].knobs[0]", "manifest.pattern", func(m *Manifest) { m.Mechanisms[0].Knobs[0] = "[" }},
		{"wake on nothing", "wake[0].metric", "manifest.range", func(m *Manifest) { m.Wake[0].Metric = 9 }},
		{"wake without bound", "wake[0]", "manifest.missing", func(m *Manifest) { m.Wake[0].Above = nan }},
		{"wake upside down", "wake[1]", "manifest.range", func(m *Manifest) { m.Wake[1].Above = 0.01 }},
		{"too fast", "analyze_interval_ms", "manifest.range", func(m *Manifest) { m.AnalyzeIntervalMS = 1 }},
		{"tiny window", "limits.request_window", "manifest.range", func(m *Manifest) { m.Limits.RequestWindow = 16 }},
		{"migrates from itself", "migrates_from[1]", "manifest.conflict", func(m *Manifest) { m.StateSchema = 2 }},
		{"default outside", "parameters[0].default", "manifest.range", func(m *Manifest) { m.Parameters[0].Default = 2 }},
		{"no default", "parameters[0].default", "manifest.missing", func(m *Manifest) { m.Parameters[0].Default = nan }},
		{"infinite bound", "parameters[0]", "manifest.range", func(m *Manifest) { m.Parameters[0].Max = math.Inf(1) }},
		{"parameter twice", "parameters[1].name", "manifest.duplicate", func(m *Manifest) { m.Parameters[1].Name = "high" }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := sampleManifest()
			tt.breakIt(m)
			var e *ManifestError
			if !errors.As(m.Validate(), &e) {
				t.Fatal("accepted")
			}
			if len(e.Problems) != 1 || e.Problems[0].Field != tt.field || e.ErrorCode() != tt.code {
				t.Errorf("got %+v, want one problem of %s with code %s", e.Problems, tt.field, tt.code)
			}
			if e.Problems[0].Hint == "" {
				t.Error("no hint")
			}
		})
	}
}

func TestValidateReportsAllAtOnce(t *testing.T) {
	var e *ManifestError
	if !errors.As((&Manifest{}).Validate(), &e) {
		t.Fatal("accepted")
	}
	var fields []string
	for _, p := range e.Problems {
		fields = append(fields, p.Field)
	}
	if want := []string{"name", "version", "kind", "layer", "scope", "abi"}; !slices.Equal(fields, want) {
		t.Errorf("got %v, want %v", fields, want)
	}
	if lines := strings.Count(e.Error(), "\n"); lines != len(e.Problems) {
		t.Errorf("%d lines for %d problems:\n%v", lines, len(e.Problems), e)
	}
}
