package otlp

import (
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	common "go.opentelemetry.io/proto/otlp/common/v1"

	"github.com/edgehold/edgehold/telemetry/ring"
)

// appendLabels adds attributes as labels, sorted by name. Attributes whose names become the same
// share a label, their values joined by ";", as the specification asks.
func appendLabels(labels []ring.Label, attrs []*common.KeyValue) []ring.Label {
	for _, kv := range attrs {
		value := text(kv.GetValue())
		if value != "" {
			labels = append(labels, ring.Label{Name: labelName(kv.GetKey()), Value: value})
		}
	}
	slices.SortStableFunc(labels, func(a, b ring.Label) int { return strings.Compare(a.Name, b.Name) })
	return joinTwins(labels)
}

func joinTwins(sorted []ring.Label) []ring.Label {
	out := sorted[:0]
	for _, l := range sorted {
		if n := len(out); n > 0 && out[n-1].Name == l.Name {
			out[n-1].Value += ";" + l.Value
			continue
		}
		out = append(out, l)
	}
	return out
}

// text writes a value as the specification's "non-OTLP protocols" do.
func text(v *common.AnyValue) string {
	switch x := v.GetValue().(type) {
	case *common.AnyValue_StringValue:
		return strings.ToValidUTF8(x.StringValue, "\ufffd")
	case *common.AnyValue_BoolValue:
		return strconv.FormatBool(x.BoolValue)
	case *common.AnyValue_IntValue:
		return strconv.FormatInt(x.IntValue, 10)
	case *common.AnyValue_DoubleValue:
		return strconv.FormatFloat(x.DoubleValue, 'g', -1, 64)
	case *common.AnyValue_BytesValue:
		return base64.StdEncoding.EncodeToString(x.BytesValue)
	case *common.AnyValue_ArrayValue, *common.AnyValue_KvlistValue:
		b, err := json.Marshal(plain(v, maxDepth))
		if err != nil { // a NaN, which JSON has not
			return ""
		}
		return string(b)
	}
	return ""
}

// maxDepth bounds values inside of values; deeper ones are left out.
const maxDepth = 4

func plain(v *common.AnyValue, depth int) any {
	switch x := v.GetValue().(type) {
	case *common.AnyValue_ArrayValue:
		if depth == 0 {
			return nil
		}
		list := []any{}
		for _, e := range x.ArrayValue.GetValues() {
			list = append(list, plain(e, depth-1))
		}
		return list
	case *common.AnyValue_KvlistValue:
		if depth == 0 {
			return nil
		}
		object := map[string]any{}
		for _, kv := range x.KvlistValue.GetValues() {
			object[kv.GetKey()] = plain(kv.GetValue(), depth-1)
		}
		return object
	case *common.AnyValue_BoolValue:
		return x.BoolValue
	case *common.AnyValue_IntValue:
		return x.IntValue
	case *common.AnyValue_DoubleValue:
		return x.DoubleValue
	}
	return text(v)
}
