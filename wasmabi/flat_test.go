package wasmabi

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

// flat.txt has the vectors that a policy meets in a form that needs no JSON; wasmabi/README.md describes it.
func TestFlatVectors(t *testing.T) {
	var want bytes.Buffer
	for _, s := range samples() {
		if tokens := flatten(s.message); tokens != nil {
			fmt.Fprintf(&want, "%s %s %s %s\n", s.kind, s.name, hexadecimal(codecFor(s.kind).append(nil, s.message)), strings.Join(tokens, " "))
		}
	}
	for _, v := range refusals() {
		if v.Hex != "" && flatten(codecFor(v.Message).empty()) != nil {
			fmt.Fprintf(&want, "%s %s %s refused\n", v.Message, v.Name, v.Hex)
		}
	}
	path := filepath.Join(vectorFolder, "flat.txt")
	if *update {
		if err := os.WriteFile(path, want.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, want.Bytes()) {
		t.Errorf("%s differs (%v); run the test with -update if that is meant", path, err)
	}
}

// flatten lists a message's values; nil for one that policies do not meet.
func flatten(message any) []string {
	switch m := message.(type) {
	case *Init:
		return flattenInit(m)
	case *Observation, *Analysis, *Plan, *Error, *Migrate:
		return tokens(reflect.ValueOf(message).Elem())
	}
	return nil
}

// flattenInit leaves out what a policy has no use for.
func flattenInit(m *Init) []string {
	type knob struct {
		Name, Unit string
		Mechanism  uint32
		Min, Max   float64
		Table      []float64
		Choices    []string
	}
	type metric struct {
		Name   string
		Labels []Label
	}
	var metrics []metric
	for _, i := range m.Metrics {
		metrics = append(metrics, metric{i.Name, i.Labels})
	}
	var knobs []knob
	for _, k := range m.Knobs {
		knobs = append(knobs, knob{k.Name, k.Unit, k.Mechanism, k.Min, k.Max, k.Table, k.Choices})
	}
	var all []string
	for _, v := range []any{
		m.Policy, m.Version, m.Scope, m.Asset, m.Layer, m.Features, metrics, m.Mechanisms, knobs, m.Parameters, m.ParameterNames, m.Context,
	} {
		all = append(all, tokens(reflect.ValueOf(v))...)
	}
	return all
}

func tokens(v reflect.Value) []string {
	switch v.Kind() {
	case reflect.String:
		return []string{"s" + hexadecimal([]byte(v.String()))}
	case reflect.Float64:
		bits := math.Float64bits(v.Float())
		if v.Float() != v.Float() {
			bits = CanonicalNaN
		}
		return []string{fmt.Sprintf("%016x", bits)}
	case reflect.Bool:
		if v.Bool() {
			return []string{"1"}
		}
		return []string{"0"}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			return []string{"s" + hexadecimal(v.Bytes())}
		}
		all := []string{fmt.Sprint(v.Len())}
		for i := range v.Len() {
			all = append(all, tokens(v.Index(i))...)
		}
		return all
	case reflect.Struct:
		var all []string
		for i := range v.NumField() {
			all = append(all, tokens(v.Field(i))...)
		}
		return all
	}
	return []string{fmt.Sprint(v.Interface())}
}
