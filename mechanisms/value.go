package mechanisms

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
)

// Value is the position of a knob: a number in the knob's unit, or one of its choices. In JSON it is a bare number
// or a string.
type Value struct {
	Number float64
	Choice string
}

// Number returns the value of a knob of [KindNumber], in the knob's unit.
func Number(n float64) Value { return Value{Number: n} }

// Choice returns the value of a knob of [KindChoice]. For a numeric knob the words "min" and "max" stand for the
// ends of its range.
func Choice(c string) Value { return Value{Choice: c} }

// IsChoice reports whether the value is a word rather than a number.
func (v Value) IsChoice() bool { return v.Choice != "" }

// String formats the value without a unit.
func (v Value) String() string {
	if v.IsChoice() {
		return v.Choice
	}
	return strconv.FormatFloat(v.Number, 'f', -1, 64)
}

// MarshalJSON writes a number or a string.
func (v Value) MarshalJSON() ([]byte, error) {
	if v.IsChoice() {
		return json.Marshal(v.Choice)
	}
	if math.IsNaN(v.Number) || math.IsInf(v.Number, 0) {
		return nil, fmt.Errorf("encode knob value: %v is not a finite number", v.Number)
	}
	return []byte(v.String()), nil
}

// UnmarshalJSON reads a number or a non-empty string.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value{}
	if bytes.HasPrefix(b, []byte{'"'}) {
		if err := json.Unmarshal(b, &v.Choice); err != nil {
			return fmt.Errorf("decode knob value: %w", err)
		}
		if v.Choice == "" {
			return fmt.Errorf("decode knob value: an empty word is no choice")
		}
		return nil
	}
	if bytes.Equal(b, []byte("null")) {
		return fmt.Errorf("decode knob value: null is neither a number nor a word")
	}
	if err := json.Unmarshal(b, &v.Number); err != nil {
		return fmt.Errorf("decode knob value: %w", err)
	}
	return nil
}
