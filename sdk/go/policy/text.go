package policy

import (
	"math"
	"strconv"
	"time"
)

// Quantity is a number with its unit: 3.5e9 with "Hz" reads 3.5 GHz.
type Quantity struct {
	Value float64
	Unit  string
}

// Text joins parts into a text for people. It knows strings, numbers, booleans, durations, quantities, knobs and errors, and
// writes numbers with about four digits. Package fmt would add half a megabyte to the module.
func Text(parts ...any) string {
	if len(parts) == 1 {
		if s, ok := parts[0].(string); ok {
			return s
		}
	}
	b := make([]byte, 0, 96)
	for _, p := range parts {
		b = appendPart(b, p)
	}
	return string(b)
}

func appendPart(b []byte, part any) []byte {
	switch v := part.(type) {
	case string:
		return append(b, v...)
	case float64:
		return appendNumber(b, v)
	case int:
		return strconv.AppendInt(b, int64(v), 10)
	case int64:
		return strconv.AppendInt(b, v, 10)
	case uint64:
		return strconv.AppendUint(b, v, 10)
	case uint32:
		return strconv.AppendUint(b, uint64(v), 10)
	case bool:
		return strconv.AppendBool(b, v)
	case time.Duration:
		return append(b, v.String()...)
	case Quantity:
		return appendQuantity(b, v)
	case Knob:
		return append(b, v.Name()...)
	case error:
		return append(b, v.Error()...)
	case interface{ String() string }:
		return append(b, v.String()...)
	}
	return append(b, "?"...)
}

// appendNumber writes four digits after the point at most, and never an exponent for numbers that people say.
func appendNumber(b []byte, v float64) []byte {
	switch size := math.Abs(v); {
	case size >= 1e15 || size < 1e-3 && size > 0:
		return strconv.AppendFloat(b, v, 'g', 4, 64)
	case size >= 1000:
		return appendTrimmed(b, v, 1)
	case size >= 1:
		return appendTrimmed(b, v, 3)
	}
	return appendTrimmed(b, v, 4)
}

// appendTrimmed writes a fixed number of decimals without zeros at the end.
func appendTrimmed(b []byte, v float64, decimals int) []byte {
	b = strconv.AppendFloat(b, v, 'f', decimals, 64)
	if math.IsInf(v, 0) || v != v {
		return b
	}
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

func appendQuantity(b []byte, q Quantity) []byte {
	if q.Unit == "" || q.Unit == "ratio" {
		return appendNumber(b, q.Value)
	}
	v, prefix := q.Value, ""
	for _, s := range [...]struct {
		size   float64
		prefix string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if math.Abs(v) >= s.size && scales(q.Unit) {
			v, prefix = v/s.size, s.prefix
			break
		}
	}
	return append(append(append(appendNumber(b, v), ' '), prefix...), q.Unit...)
}

// scales reports whether people write the unit with a prefix.
func scales(unit string) bool {
	switch unit {
	case "Hz", "B", "W", "J", "bit/s", "B/s":
		return true
	}
	return false
}
