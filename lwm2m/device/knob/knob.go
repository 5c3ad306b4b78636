package knob

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Knob is one thing that can be turned: one of its choices, or a number in a range.
type Knob struct {
	Name     string // "TX_PWR"
	Choices  []string
	Min, Max float64 // of a number
	Unit     string
	Default  string
	// Apply turns it. It is called with the default when the panel is made, and never with what the knob does not take.
	Apply func(value string) error
}

// Values says what the knob takes: "LOW,MEDIUM,HIGH", or "1..3600".
func (k *Knob) Values() string {
	if len(k.Choices) > 0 {
		return strings.Join(k.Choices, ",")
	}
	return number(k.Min) + ".." + number(k.Max)
}

func number(f float64) string { return strconv.FormatFloat(f, 'f', -1, 64) }

// takes returns the value in the form that is kept.
func (k *Knob) takes(value string) (string, error) {
	if len(k.Choices) > 0 {
		i := slices.IndexFunc(k.Choices, func(c string) bool { return strings.EqualFold(c, value) })
		if i < 0 {
			return "", fmt.Errorf("%w: %s takes %s", ErrValue, k.Name, k.Values())
		}
		return k.Choices[i], nil
	}
	f, err := strconv.ParseFloat(value, 64)
	if err != nil || math.IsNaN(f) || f < k.Min || f > k.Max {
		return "", fmt.Errorf("%w: %s takes %s", ErrValue, k.Name, strings.TrimSpace(k.Values()+" "+k.Unit))
	}
	return number(f), nil
}

// Errors of knobs.
var (
	ErrUnknown = errors.New("there is no such knob")
	ErrValue   = errors.New("the knob does not take that")
	ErrLease   = errors.New("that is no lease")
	ErrLapsed  = errors.New("there is no such setting to renew")
)
