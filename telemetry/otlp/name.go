package otlp

import (
	"strings"

	metrics "go.opentelemetry.io/proto/otlp/metrics/v1"
)

// units spells UCUM units as Prometheus names do.
var units = map[string]string{
	"d": "days", "h": "hours", "min": "minutes", "s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds",
	"By": "bytes", "KiBy": "kibibytes", "MiBy": "mebibytes", "GiBy": "gibibytes", "TiBy": "tibibytes",
	"KBy": "kilobytes", "kBy": "kilobytes", "MBy": "megabytes", "GBy": "gigabytes", "TBy": "terabytes",
	"m": "meters", "V": "volts", "A": "amperes", "J": "joules", "W": "watts", "g": "grams", "Cel": "celsius", "Hz": "hertz", "%": "percent",
}

// perUnits spells what stands after the slash.
var perUnits = map[string]string{
	"s": "second", "min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year", "m": "minute",
}

// metricName gives the metric its name in Prometheus: plain characters, then the unit, then _total
// or _ratio, none of them twice.
func metricName(m *metrics.Metric) string {
	tokens := strings.FieldsFunc(m.GetName(), func(c rune) bool { return !isPlain(c) && c != ':' || c == '_' })
	total := isCounter(m)
	_, gauge := m.GetData().(*metrics.Metric_Gauge)
	ratio := gauge && m.GetUnit() == "1"
	if total {
		tokens = without(tokens, "total")
	}
	if ratio {
		tokens = without(tokens, "ratio")
	}
	for _, unit := range unitTokens(m.GetUnit()) {
		tokens = append(without(tokens, unit), unit)
	}
	if total {
		tokens = append(tokens, "total")
	}
	if ratio {
		tokens = append(tokens, "ratio")
	}
	name := strings.Join(tokens, "_")
	if name != "" && '0' <= name[0] && name[0] <= '9' {
		name = "_" + name
	}
	return name
}

// unitTokens returns nothing, the unit, or the unit with "per" and another.
func unitTokens(unit string) []string {
	main, per, isRate := strings.Cut(unit, "/")
	tokens := unitToken(main, units)
	if isRate {
		if t := unitToken(per, perUnits); len(t) > 0 {
			tokens = append(tokens, "per_"+t[0])
		}
	}
	return tokens
}

func unitToken(unit string, spelled map[string]string) []string {
	unit = strings.TrimSpace(unit)
	if unit == "" || unit == "1" || strings.ContainsAny(unit, "{}") {
		return nil
	}
	if word, known := spelled[unit]; known {
		return []string{word}
	}
	if plain := strings.Trim(sanitise(unit), "_"); plain != "" {
		return []string{plain}
	}
	return nil
}

// isCounter reports whether the metric is a sum that only grows.
func isCounter(m *metrics.Metric) bool {
	sum, ok := m.GetData().(*metrics.Metric_Sum)
	return ok && sum.Sum.GetIsMonotonic()
}

// without drops every token that is word.
func without(tokens []string, word string) []string {
	kept := tokens[:0:0]
	for _, t := range tokens {
		if t != word {
			kept = append(kept, t)
		}
	}
	return kept
}

// labelName gives an attribute its name as a label.
func labelName(name string) string {
	plain := sanitise(name)
	switch {
	case plain == "":
		return "_"
	case '0' <= plain[0] && plain[0] <= '9':
		return "key_" + plain
	case strings.HasPrefix(plain, "__"): // kept for the system
		return "key" + plain
	}
	return plain
}

// sanitise replaces each run of what is not a letter, digit or _ by one _.
func sanitise(s string) string {
	var b strings.Builder
	gap := false
	for _, c := range s {
		if isPlain(c) {
			b.WriteRune(c)
			gap = false
			continue
		}
		if !gap {
			b.WriteByte('_')
		}
		gap = true
	}
	return b.String()
}

func isPlain(c rune) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_'
}
