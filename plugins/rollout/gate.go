package rollout

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/edgehold/edgehold/agents/api"
)

// Bounds of a [Gate].
const (
	MaxGateBytes       = 1024
	DefaultGateSamples = 3
	MaxGateSamples     = 1000
)

// Gate is a condition on the node's metrics that a candidate must keep: EXPR OP QUANTITY. EXPR is PromQL, or the name of an OTLP metric
// with its dots.
type Gate struct {
	Expr string `json:"expr"`
	Op   Op     `json:"op"`
	// Value is in the base unit of what was written: 50ms is 0.05, 20% is 0.2, 1MiB is 1048576.
	Value float64 `json:"value"`
	// Unit is the base unit: s, Hz, W, J, V, A, B, or nothing.
	Unit string `json:"unit,omitempty"`
	// Bound is the quantity as it was written.
	Bound string `json:"bound"`
	// Samples is how many readings in a row it takes to say that the gate holds, or that it does not.
	Samples int `json:"samples"`
}

// Op compares a reading with a bound.
type Op string

// The operators of a [Gate].
const (
	AtMost  Op = "<="
	Below   Op = "<"
	AtLeast Op = ">="
	Above   Op = ">"
	Equal   Op = "=="
)

// ParseGate reads EXPR OP QUANTITY, as in "app.latency_p99<=50ms" or `avg(node_load1{job="a"}) < 3`. The last operator outside of
// brackets and quotes divides the two, so that EXPR may compare too.
func ParseGate(text string) (Gate, error) {
	if len(text) > MaxGateBytes {
		return Gate{}, badGate(text, fmt.Sprintf("it has %d bytes, more than %d", len(text), MaxGateBytes))
	}
	if !utf8.ValidString(text) || strings.ContainsFunc(text, isControl) {
		return Gate{}, badGate(text, "it has characters that can't be printed")
	}
	at, op, why := findOp(text)
	if why != "" {
		return Gate{}, badGate(text, why)
	}
	g := Gate{
		Expr: strings.TrimSpace(text[:at]), Op: op, Bound: strings.TrimSpace(text[at+len(op):]), Samples: DefaultGateSamples,
	}
	switch {
	case g.Expr == "":
		return Gate{}, badGate(text, "nothing stands before "+string(op))
	case g.Bound == "":
		return Gate{}, badGate(text, "no quantity stands after "+string(op))
	}
	value, unit, why := parseBound(g.Bound)
	if why != "" {
		return Gate{}, badGate(text, why)
	}
	g.Value, g.Unit = value, unit
	return g, nil
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f || 0x80 <= r && r < 0xa0 }

func badGate(text, why string) error {
	return &Error{
		Code: "rollout.bad-gate", What: fmt.Sprintf("read gate %q", clip(text, 120)), Why: why,
		Hint: "write PromQL or a metric's name, one of <= < >= > ==, and a quantity: 'app.latency_p99<=50ms'",
	}
}

// clip shortens text without cutting a character in two.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	return strings.ToValidUTF8(text[:most], "") + "..."
}

// findOp finds the last comparison outside of brackets and quotes.
func findOp(text string) (at int, op Op, why string) {
	at = -1
	depth, quote := 0, byte(0)
	for i := 0; i < len(text); i++ {
		c := text[i]
		switch {
		case quote != 0:
			if c == '\\' && quote != '`' {
				i++
			} else if c == quote {
				quote = 0
			}
		case c == '"', c == '\'', c == '`':
			quote = c
		case strings.IndexByte("([{", c) >= 0:
			depth++
		case strings.IndexByte(")]}", c) >= 0:
			depth--
			if depth < 0 {
				return 0, "", fmt.Sprintf("%q closes what was not opened", c)
			}
		case depth > 0:
		case strings.HasPrefix(text[i:], "!="):
			i++
		default:
			if found := opAt(text[i:]); found != "" {
				at, op = i, found
				i += len(found) - 1
			} else if c == '=' {
				return 0, "", "a single = compares nothing: write =="
			}
		}
	}
	switch {
	case quote != 0:
		return 0, "", fmt.Sprintf("the quote %c is not closed", quote)
	case depth > 0:
		return 0, "", "a bracket is not closed"
	case at < 0:
		return 0, "", "it compares nothing: one of <= < >= > == is missing"
	}
	return at, op, ""
}

func opAt(text string) Op {
	for _, op := range []Op{AtMost, AtLeast, Equal, Below, Above} {
		if strings.HasPrefix(text, string(op)) {
			return op
		}
	}
	return ""
}

// other lists the units that quantities of knobs don't have, as factors of a base unit.
var other = map[string]struct {
	factor float64
	unit   string
}{
	"%": {0.01, ""}, "min": {60, "s"}, "h": {3600, "s"},
	"B": {1, "B"}, "kB": {1e3, "B"}, "MB": {1e6, "B"}, "GB": {1e9, "B"}, "KiB": {1 << 10, "B"}, "MiB": {1 << 20, "B"}, "GiB": {1 << 30, "B"},
}

func parseBound(text string) (value float64, unit, why string) {
	value, unit, err := api.ParseQuantity(text)
	if err != nil {
		return 0, "", fmt.Sprintf("%q is not a quantity: a decimal number and a unit, as in 50ms", clip(text, 60))
	}
	if o, known := other[unit]; known {
		value, unit = value*o.factor, o.unit
	} else if _, known := suffixes[unit]; !known && unit != "" {
		return 0, "", fmt.Sprintf("%q is not a unit that gates know: use s, ms, us, min, h, Hz, W, J, V, A, B, MiB, %%, or none", clip(unit, 20))
	}
	if math.IsInf(value, 0) || math.IsNaN(value) {
		return 0, "", "the quantity is not finite"
	}
	return value, unit, ""
}

// String is what reads back as the same gate, but for Samples.
func (g Gate) String() string { return g.Expr + string(g.Op) + g.Bound }

// Holds reports whether a value keeps the gate. NaN keeps none.
func (g *Gate) Holds(value float64) bool {
	switch g.Op {
	case AtMost:
		return value <= g.Value
	case Below:
		return value < g.Value
	case AtLeast:
		return value >= g.Value
	case Above:
		return value > g.Value
	}
	return value == g.Value
}

// Worst picks the value that is the furthest from keeping the gate, for expressions that give several series; NaN is not counted.
// It reports whether there was any.
func (g *Gate) Worst(values []float64) (worst float64, any bool) {
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		if !any || g.worse(v, worst) {
			worst = v
		}
		any = true
	}
	return worst, any
}

func (g *Gate) worse(a, b float64) bool {
	switch g.Op {
	case AtMost, Below:
		return a > b
	case AtLeast, Above:
		return a < b
	}
	return math.Abs(a-g.Value) > math.Abs(b-g.Value)
}

// validate reports whether the gate is what ParseGate could have read.
func (g *Gate) validate() error {
	again, err := ParseGate(g.String())
	if err != nil {
		return err
	}
	if again.Samples = g.Samples; again != *g {
		return badGate(g.String(), "its parts don't agree")
	}
	if g.Samples < 1 || g.Samples > MaxGateSamples {
		return badGate(g.String(), fmt.Sprintf("it must take from 1 to %d samples, not %d", MaxGateSamples, g.Samples))
	}
	return nil
}
