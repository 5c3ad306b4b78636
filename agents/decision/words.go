package decision

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/edgehold/edgehold/agents"
)

// quantity writes a value as a person would: "1.2 GHz", "performance", "3.5".
func quantity(v agents.Value, unit string) string {
	if v.Choice != "" {
		return strconv.Quote(v.Choice)
	}
	switch unit {
	case "Hz":
		return scaled(v.Number, "Hz", 1000, "", "k", "M", "G")
	case "bytes", "By", "B":
		return scaled(v.Number, "B", 1024, "", "Ki", "Mi", "Gi", "Ti")
	case "", "1":
		return number(v.Number)
	}
	return number(v.Number) + " " + unit
}

func scaled(x float64, unit string, step float64, prefixes ...string) string {
	i := 0
	for ; i < len(prefixes)-1 && math.Abs(x) >= step; i++ {
		x /= step
	}
	return number(x) + " " + prefixes[i] + unit
}

// number writes at most four significant digits, and never an exponent where a
// person would not.
func number(x float64) string {
	if a := math.Abs(x); a >= 1000 && a < 1e15 {
		return strconv.FormatFloat(math.Round(x), 'f', -1, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

func knobName(mechanism, knob string) string { return knob + " of " + mechanism }

// quote puts a policy's own words between quotation marks, on one line.
func quote(s string) string {
	clean := strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	return "“" + strings.TrimSpace(clean) + "”"
}

// dot ends a sentence that does not end already.
func dot(s string) string {
	trimmed := strings.TrimSuffix(s, "”")
	if strings.HasSuffix(trimmed, ".") || strings.HasSuffix(trimmed, "!") || strings.HasSuffix(trimmed, "?") {
		return ""
	}
	return "."
}

func enumerate(parts []string) string {
	const most = 3
	switch n := len(parts); {
	case n == 0:
		return "nothing"
	case n > most:
		return strings.Join(parts[:most], ", ") + fmt.Sprintf(" and %d more", n-most)
	case n == 1:
		return parts[0]
	default:
		return strings.Join(parts[:n-1], ", ") + " and " + parts[n-1]
	}
}
