package api

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode"
)

// prefix is a decimal prefix of a unit.
type prefix struct {
	symbol   string
	exponent int
}

// scalable lists, for each base unit, the prefixes that people use with it, largest first.
var scalable = map[string][]prefix{
	"Hz": {{"G", 9}, {"M", 6}, {"k", 3}, {"", 0}},
	"W":  {{"k", 3}, {"", 0}, {"m", -3}, {"u", -6}},
	"J":  {{"M", 6}, {"k", 3}, {"", 0}, {"m", -3}, {"u", -6}},
	"V":  {{"", 0}, {"m", -3}, {"u", -6}},
	"A":  {{"", 0}, {"m", -3}, {"u", -6}},
	"s":  {{"", 0}, {"m", -3}, {"u", -6}, {"n", -9}},
}

// ParseQuantity reads a decimal with an optional unit, as in "1.8GHz", "1800 MHz", "15 W" or "0.5", and returns the value
// in the base unit and the base unit. The result is the float64 nearest to the decimal that was written. A unit that
// is not known is returned as it stands.
func ParseQuantity(text string) (value float64, unit string, err error) {
	text = strings.TrimSpace(text)
	number, suffix := splitQuantity(text)
	suffix = strings.TrimSpace(suffix)
	if _, err := strconv.ParseFloat(number, 64); number == "" || err != nil {
		return 0, "", fmt.Errorf("read quantity %q: it must be a decimal number and a unit, as in 1.8GHz", text)
	}
	if strings.ContainsFunc(suffix, isBad) {
		return 0, "", fmt.Errorf("read quantity %q: %q is not a unit", text, suffix)
	}
	unit, exponent := baseUnit(suffix)
	value, err = strconv.ParseFloat(shift(number, exponent), 64)
	if err != nil {
		return 0, "", fmt.Errorf("read quantity %q: the number is too large", text)
	}
	return value, unit, nil
}

// FormatQuantity prints a value with the largest prefix that keeps it at one or above, as in "1.8 GHz". A unit without
// prefixes is printed as it stands. What it prints reads back as the same value.
func FormatQuantity(value float64, unit string) string {
	plain := strconv.FormatFloat(value, 'f', -1, 64)
	if unit == "1" { // of what has no dimension
		unit = ""
	}
	if unit == "" || math.IsNaN(value) || math.IsInf(value, 0) {
		return strings.TrimSpace(plain + " " + unit)
	}
	for _, p := range scalable[unit] {
		if value == 0 || math.Abs(value) < math.Pow10(p.exponent) {
			continue
		}
		scaled, err := strconv.ParseFloat(shift(strconv.FormatFloat(value, 'e', -1, 64), -p.exponent), 64)
		text := strconv.FormatFloat(scaled, 'f', -1, 64)
		if back, _ := strconv.ParseFloat(text+"e"+strconv.Itoa(p.exponent), 64); err == nil && back == value {
			return text + " " + p.symbol + unit
		}
	}
	return plain + " " + unit
}

// FormatValue prints the value of a knob: a choice as it stands, a number with its unit, "-" for neither.
func FormatValue(v Value, unit string) string {
	switch {
	case v.Number != nil:
		return FormatQuantity(*v.Number, unit)
	case v.Choice != "":
		return v.Choice
	}
	return "-"
}

// ParseSetting reads "knob=value" as a person writes it. Text that begins with a digit, a sign or a point is a quantity;
// anything else is a choice. A choice that looks like a number is written with quotes: knob="1".
func ParseSetting(text string) (Setting, error) {
	knob, raw, found := strings.Cut(text, "=")
	if knob, raw = strings.TrimSpace(knob), strings.TrimSpace(raw); !found || knob == "" || raw == "" {
		return Setting{}, fmt.Errorf("read setting %q: it must be KNOB=VALUE, as in policy0/max_frequency=1.8GHz", text)
	}
	if unquoted, err := strconv.Unquote(raw); err == nil && unquoted != "" {
		return Setting{Knob: knob, Value: ChoiceValue(unquoted)}, nil
	}
	if !strings.ContainsRune("+-.0123456789", rune(raw[0])) {
		return Setting{Knob: knob, Value: ChoiceValue(raw)}, nil
	}
	number, unit, err := ParseQuantity(raw)
	if err != nil {
		return Setting{}, fmt.Errorf("read setting of %s: %w", knob, err)
	}
	return Setting{Knob: knob, Value: NumberValue(number), Unit: unit}, nil
}

// splitQuantity divides text where the number ends. An "e" counts as an exponent only before a digit or a sign.
func splitQuantity(text string) (number, suffix string) {
	for i, r := range text {
		switch {
		case r >= '0' && r <= '9', r == '.':
		case (r == '+' || r == '-') && (i == 0 || text[i-1] == 'e' || text[i-1] == 'E'):
		case (r == 'e' || r == 'E') && i > 0 && i+1 < len(text) && strings.IndexByte("+-0123456789", text[i+1]) >= 0:
		default:
			return text[:i], text[i:]
		}
	}
	return text, ""
}

// baseUnit takes the prefix off a unit.
func baseUnit(suffix string) (unit string, exponent int) {
	plain := strings.NewReplacer("µ", "u", "μ", "u").Replace(suffix)
	for unit, prefixes := range scalable {
		for _, p := range prefixes {
			if p.symbol+unit == plain {
				return unit, p.exponent
			}
		}
	}
	return suffix, 0
}

// shift multiplies a decimal by a power of ten without leaving decimal, so that nothing is rounded.
func shift(number string, exponent int) string {
	mantissa, e, _ := strings.Cut(strings.ToLower(number), "e")
	old, _ := strconv.Atoi(e)
	return mantissa + "e" + strconv.Itoa(old+exponent)
}

func isBad(r rune) bool {
	return unicode.IsDigit(r) || unicode.IsSpace(r) || unicode.IsControl(r) || r == unicode.ReplacementChar
}

// FormatBytes prints a size with a binary prefix, as in "4 MiB".
func FormatBytes(size int64) string {
	const step = 1024
	if size < step {
		return strconv.FormatInt(size, 10) + " B"
	}
	value, prefixes := float64(size)/step, "KMGTPE"
	for value >= step && len(prefixes) > 1 {
		value, prefixes = value/step, prefixes[1:]
	}
	return strconv.FormatFloat(math.Round(value*10)/10, 'f', -1, 64) + " " + prefixes[:1] + "iB"
}
