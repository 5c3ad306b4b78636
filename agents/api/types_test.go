package api

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"
)

func TestFloatSurvivesJSON(t *testing.T) {
	for _, want := range []float64{0, 1.5, -1e300, 0.1, math.Inf(1), math.Inf(-1), math.NaN()} {
		text, err := json.Marshal(MetricPoint{Value: Float(want)})
		if err != nil {
			t.Fatal(err)
		}
		var got MetricPoint
		if err := json.Unmarshal(text, &got); err != nil {
			t.Fatal(err)
		}
		if g := float64(got.Value); g != want && !(math.IsNaN(g) && math.IsNaN(want)) {
			t.Errorf("%v became %v by way of %s", want, g, text)
		}
	}
	if err := new(Float).UnmarshalText([]byte("much")); err == nil {
		t.Error("much is a number")
	}
}

func TestActor(t *testing.T) {
	for want, a := range map[string]Actor{
		"unix:uid=1000(ada)": {Via: "unix", UID: 1000, Name: "ada"},
		"unix:uid=7":         {Via: "unix", UID: 7},
		"token:ci":           {Via: "token", Name: "ci"},
		"daemon":             DaemonActor,
	} {
		if got := a.String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func TestProblemIsAnError(t *testing.T) {
	p := &Problem{Status: 404, Title: "Not Found", Code: "policy.not-found", Why: "w", Hint: "h"}
	var found *Problem
	if err := fmt.Errorf("upload: %w", p); !errors.As(err, &found) || found.ErrorCode() != "policy.not-found" || found.ErrorWhy() != "w" || found.ErrorHint() != "h" {
		t.Errorf("got %+v", found)
	}
	if got := p.Error(); !strings.Contains(got, "404") {
		t.Errorf("without a detail it says %q", got)
	}
}

func TestGrantNeedsAllThree(t *testing.T) {
	for i := range 8 {
		g := Grant{Asked: i&1 != 0, Allowed: i&2 != 0, Offered: i&4 != 0}
		if g.Granted() != (i == 7) {
			t.Errorf("%+v: %v", g, g.Granted())
		}
	}
}

func TestFormatBytes(t *testing.T) {
	for size, want := range map[int64]string{0: "0 B", 1023: "1023 B", 1024: "1 KiB", 4 << 20: "4 MiB", 1536: "1.5 KiB", math.MaxInt64: "8 EiB"} {
		if got := FormatBytes(size); got != want {
			t.Errorf("FormatBytes(%d) = %q, want %q", size, got, want)
		}
	}
}

func TestFormatValue(t *testing.T) {
	for want, v := range map[string]Value{"1.8 GHz": NumberValue(1.8e9), "powersave": ChoiceValue("powersave"), "-": {}} {
		if got := FormatValue(v, "Hz"); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

// TestEveryFieldIsNamedAndDescribed holds the types to the rules of the package comment.
func TestEveryFieldIsNamedAndDescribed(t *testing.T) {
	seen := map[reflect.Type]bool{}
	for _, v := range []any{Policy{}, PolicyList{}, PolicyVersionList{}, UploadResult{}, Mechanism{}, MechanismList{}, KnobList{}, MechanismCommand{},
		MechanismResult{}, RevertRequest{}, Decision{}, DecisionPage{}, Explanation{}, ReplayRequest{}, ReplayReport{}, MetricResult{}, MetricNameList{},
		Mode{}, ModeRequest{}, DoctorReport{}, AuditPage{}, AuditVerification{}, Event{}, Problem{}, Version{}} {
		checkFields(t, reflect.TypeOf(v), seen)
	}
}

func checkFields(t *testing.T, typ reflect.Type, seen map[reflect.Type]bool) {
	t.Helper()
	for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
		typ = typ.Elem()
	}
	if typ.Kind() != reflect.Struct || typ == reflect.TypeFor[time.Time]() || seen[typ] {
		return
	}
	seen[typ] = true
	for i := range typ.NumField() {
		f := typ.Field(i)
		checkFields(t, f.Type, seen)
		if f.Anonymous {
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" || name != strings.ToLower(name) {
			t.Errorf("%s.%s is named %q", typ.Name(), f.Name, name)
		}
		if doc := f.Tag.Get("doc"); !strings.HasSuffix(doc, ".") {
			t.Errorf("%s.%s is described by %q", typ.Name(), f.Name, doc)
		}
	}
}
