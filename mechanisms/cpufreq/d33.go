package cpufreq

import (
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/edgehold/edgehold/mechanisms"
)

// CodeBadD33 is the code of a dictionary that can't be read.
const CodeBadD33 = "cpufreq.bad-command"

// ParseD33 reads the command dictionary of MLSysOps D3.3 section 8.3.2:
//
//	{"command": "set"|"reset", "cpu": "all"|"0,1", "frequency": "min"|"max"|"1000000 Hz"}
//
// As there, set makes the frequency both the new minimum and the new maximum: it pins. Reset gives back what this
// owner has set. A frequency needs its unit, Hz, kHz, MHz or GHz: the kernel counts in kHz and the dictionary in Hz, so
// that a bare number would be wrong by a thousand as often as not. "cpu" may be left out for all.
//
// CPUs that share a clock can only move together: naming one names them all.
func (d *Driver) ParseD33(dict map[string]any) (mechanisms.Command, error) { return ParseD33(dict) }

// ParseD33 is for whoever has no driver at hand.
func ParseD33(dict map[string]any) (mechanisms.Command, error) {
	c := mechanisms.Command{Mechanism: Name}
	for key := range dict {
		if key != "command" && key != "cpu" && key != "frequency" {
			return c, badD33(fmt.Sprintf("there is an unknown key %q", clip(key)), "the keys are command, cpu and frequency")
		}
	}
	verb, err := d33Text(dict, "command", "")
	if err != nil {
		return c, err
	}
	owners, err := d33Owners(dict)
	if err != nil {
		return c, err
	}
	switch verb {
	case "set":
		c.Verb = mechanisms.Set
	case "reset":
		c.Verb = mechanisms.Reset
	default:
		return c, badD33(fmt.Sprintf("command is %q", clip(verb)), `use "set" or "reset"`)
	}
	v, err := d33Frequency(dict, c.Verb)
	if err != nil {
		return c, err
	}
	for _, o := range owners {
		c.Settings = append(c.Settings, mechanisms.Setting{Knob: o + "/" + window, Value: v})
	}
	return c, nil
}

func d33Text(dict map[string]any, key, absent string) (string, error) {
	v, ok := dict[key]
	if !ok {
		return absent, nil
	}
	s, ok := v.(string)
	if ok {
		return strings.TrimSpace(s), nil
	}
	if key == "frequency" {
		return "", badD33(fmt.Sprintf("frequency is %v, without a unit", v), `write the unit: "1000000 Hz" or "2.4 GHz"`)
	}
	return "", badD33(fmt.Sprintf("%s is %v, not a text", key, v), `write it in quotes: "all", "0,1"`)
}

func d33Owners(dict map[string]any) ([]string, error) {
	cpu, err := d33Text(dict, "cpu", "all")
	if err != nil {
		return nil, err
	}
	if cpu == "all" {
		return []string{"all"}, nil
	}
	var owners []string
	for field := range strings.SplitSeq(cpu, ",") {
		n, err := strconv.ParseUint(strings.TrimSpace(field), 10, 16)
		if err != nil {
			return nil, badD33(fmt.Sprintf("cpu is %q", clip(cpu)), `use "all" or CPU numbers with commas: "0,1"`)
		}
		owners = append(owners, fmt.Sprintf("cpu%d", n))
	}
	return owners, nil
}

func d33Frequency(dict map[string]any, verb mechanisms.Verb) (mechanisms.Value, error) {
	text, err := d33Text(dict, "frequency", "")
	switch {
	case err != nil:
		return mechanisms.Value{}, err
	case verb == mechanisms.Reset:
		return mechanisms.Value{}, nil
	case text == "min" || text == "max":
		return mechanisms.Choice(text), nil
	case text == "":
		return mechanisms.Value{}, badD33("there is no frequency", `add "frequency": "min", "max" or a number with its unit`)
	}
	hz, err := ParseFrequency(text)
	return mechanisms.Number(hz), err
}

// units by their lower-case name.
var units = map[string]float64{"hz": 1, "khz": 1e3, "mhz": 1e6, "ghz": 1e9}

// maxHz is above any clock there will be and far below where float64 counts in steps of more than 1 Hz.
const maxHz = 1e12

// ParseFrequency reads a positive number with its unit, "1000000 Hz" or "2.4GHz", and returns Hz.
func ParseFrequency(s string) (hz float64, err error) {
	text := strings.TrimSpace(s)
	cut := strings.LastIndexAny(text, "0123456789.") + 1
	unit := strings.TrimSpace(text[cut:])
	if unit == "" {
		return 0, badD33(fmt.Sprintf("frequency is %q, without a unit", clip(s)), fmt.Sprintf(`write the unit: "%s Hz" or "%s kHz"`, clip(text), clip(text)))
	}
	factor, known := units[strings.ToLower(unit)]
	n, err := strconv.ParseFloat(strings.TrimSpace(text[:cut]), 64)
	if !known || err != nil {
		return 0, badD33(fmt.Sprintf("frequency is %q", clip(s)), `use a number with Hz, kHz, MHz or GHz, as in "1000000 Hz"`)
	}
	hz = math.Round(n * factor)
	if !(hz > 0 && hz <= maxHz) {
		return 0, badD33(fmt.Sprintf("frequency is %q", clip(s)), "it must be above 0 and at most 1 THz")
	}
	return hz, nil
}

func badD33(why, hint string) error {
	return &mechanisms.Error{Code: CodeBadD33, Op: "read the frequency command", Why: why, Hint: hint}
}

func clip(s string) string {
	if len(s) > 60 {
		return s[:60] + "..."
	}
	return s
}
