package sdf

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// corpus reads every public model.
func corpus(t testing.TB) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	err := fs.WalkDir(os.DirFS("testdata/models"), ".", func(path string, _ fs.DirEntry, err error) error {
		if strings.HasSuffix(path, ".json") {
			all[path], err = os.ReadFile(filepath.Join("testdata/models", path))
		}
		return err
	})
	if err != nil || len(all) != 31 {
		t.Fatalf("%d models: %v", len(all), err)
	}
	return all
}

// refusedBy says what the models that are not valid fail: the syntax for authors ("exact"), or that for readers too ("framework").
var refusedBy = map[string]string{
	"exploratory/sdfthing-outletstrip.sdf.json":           "exact",
	"exploratory/sdfobject-genericonoff.sdf.json":         "exact",
	"exploratory/sdfobject-level-v7.sdf.json":             "exact",
	"exploratory/sdfobject-motion-sensor.sdf.json":        "exact",
	"exploratory/sdfobject-oven-operating-state.sdf.json": "exact",
	"exploratory/sdfthing-ipsoVacGauge.sdf.json":          "exact",
	"exploratory/zcl.smf.json":                            "exact",
	"exploratory/sdfthing-modbus-dcpowersupply.sdf.json":  "framework",
	"exploratory/sdfthing-modbus-ehd-rtu.sdf.json":        "framework",
}

func TestVerdictsOfPublicModels(t *testing.T) {
	for name, text := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(text, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			verdict := ""
			if d.Validate(Exact) != nil {
				verdict = "exact"
			}
			if d.Validate(Framework) != nil {
				verdict = "framework"
			}
			if verdict != refusedBy[name] {
				t.Errorf("refused by %q, want %q: %v", verdict, refusedBy[name], errors.Join(d.Validate(Exact), d.Validate(Framework)))
			}
		})
	}
}

func TestModelKeepsEverything(t *testing.T) {
	for name, text := range corpus(t) {
		if refusedBy[name] == "framework" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			d, err := Parse(text, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			m, err := d.Model()
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(withoutEmpty(m.Document().Tree()), withoutEmpty(d.Tree())); diff != "" {
				t.Errorf("(-model +document)\n%s", diff)
			}
		})
	}
}

// withoutEmpty drops empty groups and texts of top-level definitions, which a model does not keep.
func withoutEmpty(value any) any {
	switch v := value.(type) {
	case map[string]any:
		kept := map[string]any{}
		for name, item := range v {
			if name == "sdfAction" || name == "sdfProperty" || name == "sdfRequired" {
				if m, ok := item.(map[string]any); ok && len(m) == 0 {
					continue
				}
				if l, ok := item.([]any); ok && len(l) == 0 {
					continue
				}
			}
			kept[name] = withoutEmpty(item)
		}
		return kept
	case []any:
		kept := make([]any, len(v))
		for i := range v {
			kept[i] = withoutEmpty(v[i])
		}
		return kept
	}
	return value
}

func TestNotations(t *testing.T) {
	for name, text := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(text, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			data, err := d.CBOR()
			if err != nil {
				t.Fatal(err)
			}
			again, err := ParseCBOR(data, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			written, err := again.JSON()
			if err != nil {
				t.Fatal(err)
			}
			last, err := Parse(written, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(last.Tree(), d.Tree()); diff != "" {
				t.Errorf("(-after CBOR and JSON +before)\n%s", diff)
			}
		})
	}
}

// TestReadPublicModels reads each as a program does that meets it.
func TestReadPublicModels(t *testing.T) {
	warned := map[string]int{
		"exploratory/sdfobject-genericonoff.sdf.json": 1, "exploratory/sdfobject-level-v7.sdf.json": 1, "exploratory/sdfobject-motion-sensor.sdf.json": 1,
		"exploratory/sdfobject-oven-operating-state.sdf.json": 4, "exploratory/sdfthing-ipsoVacGauge.sdf.json": 1,
	}
	// What no schema sees. The RFC's own example has a typing error in a reference.
	wrong := map[string]string{
		"rfc9880/example-sdfthing-refrigerator-freezer.sdf.json": "#/sdfProproperty/temperature names nothing",
		"playground/sdfobject-operational_state.sdf.json":        "the pattern looks around",
		"exploratory/sdfthing-ipsoVacGauge.sdf.json":             "sdfObject/3300~10 names nothing",
		"exploratory/sdfthing-outletstrip.sdf.json":              `"pg:/#/sdfObject/energy.consumption" is neither #/NAME`,
		"exploratory/sdfthing-modbus-ehd-rtu.sdf.json":           "#/sdfExtensionSchema/DataSchema names nothing",
		"exploratory/sdfthing-modbus-dcpowersupply.sdf.json":     "#/sdfExtensionSchema/DataSchema names nothing",
	}
	for name, text := range corpus(t) {
		t.Run(name, func(t *testing.T) {
			d, err := Parse(text, Limits{})
			if err != nil {
				t.Fatal(err)
			}
			modern, warnings := d.Modernize()
			if len(warnings) != warned[name] {
				t.Errorf("%d warnings: %v", len(warnings), warnings)
			}
			err = modern.Check()
			if want := wrong[name]; want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
				t.Errorf("%v, want %q", err, want)
			}
		})
	}
}
