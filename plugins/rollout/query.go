package rollout

import (
	"strconv"
	"strings"
)

// suffixes are the endings that telemetry gives the names of OTLP metrics for a unit, and what one of it is in the base unit.
var suffixes = map[string][]struct {
	ending string
	scale  float64
}{
	"":   {{"_ratio", 1}, {"_percent", 0.01}, {"_total", 1}},
	"s":  {{"_seconds", 1}, {"_milliseconds", 1e-3}, {"_microseconds", 1e-6}, {"_nanoseconds", 1e-9}},
	"Hz": {{"_hertz", 1}},
	"W":  {{"_watts", 1}},
	"J":  {{"_joules", 1}},
	"V":  {{"_volts", 1}},
	"A":  {{"_amperes", 1}},
	"B":  {{"_bytes", 1}, {"_kibibytes", 1 << 10}, {"_mebibytes", 1 << 20}, {"_gibibytes", 1 << 30}, {"_kilobytes", 1e3}, {"_megabytes", 1e6}, {"_gigabytes", 1e9}},
}

// Query is the gate's expression as PromQL. The name of an OTLP metric becomes every name that telemetry may have given it,
// converted to the gate's unit.
func (g *Gate) Query() string { return query(g.Expr, g.Unit) }

// Query is the goal's expression as PromQL.
func (g *Goal) Query() string { return query(g.Expr, "") }

func query(expr, unit string) string {
	if !IsMetricName(expr) {
		return expr
	}
	name := plainName(expr)
	var b strings.Builder
	for _, s := range suffixes[unit] {
		if strings.HasSuffix(name, s.ending) {
			return scaled(name, s.scale)
		}
	}
	for _, s := range suffixes[unit] {
		b.WriteString(scaled(name+s.ending, s.scale) + " or ")
	}
	b.WriteString(name)
	return b.String()
}

func scaled(name string, scale float64) string {
	if scale == 1 {
		return name
	}
	return name + " * " + strconv.FormatFloat(scale, 'g', -1, 64)
}

// IsMetricName reports whether an expression is nothing but the name of an OTLP metric: words with dots between them.
func IsMetricName(expr string) bool {
	dots := 0
	for i, c := range []byte(expr) {
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', c == '_':
		case i > 0 && ('0' <= c && c <= '9'):
		case i > 0 && c == '.':
			dots++
		default:
			return false
		}
	}
	return dots > 0 && !strings.HasSuffix(expr, ".") && !strings.Contains(expr, "..")
}

// plainName spells an OTLP name as telemetry does: words joined by one underscore.
func plainName(name string) string {
	return strings.Join(strings.FieldsFunc(name, func(c rune) bool { return c == '.' || c == '_' }), "_")
}
