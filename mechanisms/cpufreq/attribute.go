package cpufreq

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"syscall"

	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/internal/sysfs"
)

// The knobs of a policy.
const (
	maxFrequency     = "max_frequency"
	minFrequency     = "min_frequency"
	governor         = "governor"
	setspeed         = "setspeed"
	energyPreference = "energy_performance_preference"
	currentFrequency = "current_frequency"
	turboKnob        = "turbo"

	window = "frequency" // shorthand for both ends of the window
)

// files are the attributes behind the knobs.
var files = map[string]string{
	maxFrequency:     "scaling_max_freq",
	minFrequency:     "scaling_min_freq",
	governor:         "scaling_governor",
	setspeed:         "scaling_setspeed",
	energyPreference: "energy_performance_preference",
	currentFrequency: "scaling_cur_freq",
}

// unset is what setspeed reads under any governor but userspace; the kernel says "<unsupported>".
const unset = "unset"

const hzPerKHz = 1000

// attribute is the file behind a knob and how its contents are to be read.
type attribute struct {
	policy int // -1 = the machine
	knob   string
	file   string
	invert bool // turbo by no_turbo
}

// attribute finds the file behind a knob.
func (d *Driver) attribute(knob string) (attribute, error) {
	if knob == turboKnob {
		t, ok := d.turbo()
		if !ok {
			return attribute{}, fmt.Errorf("turbo: %w", mechanisms.ErrUnavailable)
		}
		return attribute{policy: -1, knob: turboKnob, file: t.file, invert: t.invert}, nil
	}
	owner, name, _ := strings.Cut(knob, "/")
	n, ok := policyNumber(owner)
	file, known := files[name]
	if !ok || !known {
		return attribute{}, fmt.Errorf("%q is no knob of %s", knob, Name)
	}
	return attribute{policy: n, knob: name, file: policyFile(n, file)}, nil
}

func (a attribute) decode(text string) (mechanisms.Value, error) {
	switch a.knob {
	case governor, energyPreference:
		if text == "" {
			return mechanisms.Value{}, errors.New("the kernel shows nothing")
		}
		return mechanisms.Choice(text), nil
	case turboKnob:
		return a.decodeTurbo(text)
	case setspeed:
		if text == "<unsupported>" {
			return mechanisms.Choice(unset), nil
		}
	}
	return decodeKHz(text)
}

func decodeKHz(text string) (mechanisms.Value, error) {
	kHz, err := sysfs.ParseUint(text)
	if err != nil {
		return mechanisms.Value{}, err
	}
	if kHz > math.MaxUint32 {
		return mechanisms.Value{}, fmt.Errorf("%d kHz is no frequency", kHz)
	}
	return mechanisms.Number(float64(kHz) * hzPerKHz), nil
}

func (a attribute) decodeTurbo(text string) (mechanisms.Value, error) {
	switch {
	case text == "0" && a.invert, text == "1" && !a.invert:
		return mechanisms.Choice("on"), nil
	case text == "1" || text == "0":
		return mechanisms.Choice("off"), nil
	}
	return mechanisms.Value{}, fmt.Errorf("%q is neither 0 nor 1", text)
}

// encode returns what to write; empty = nothing, because writing it has no meaning.
func (a attribute) encode(v mechanisms.Value) (string, error) {
	switch a.knob {
	case governor, energyPreference:
		return v.Choice, nil
	case turboKnob:
		if (v.Choice == "on") != a.invert {
			return "1", nil
		}
		return "0", nil
	case currentFrequency:
		return "", errors.New("the current frequency can only be read")
	case setspeed:
		if v.Choice == unset {
			return "", nil // the governor's return makes it so
		}
	}
	return encodeKHz(v)
}

func encodeKHz(v mechanisms.Value) (string, error) {
	kHz := math.Round(v.Number / hzPerKHz)
	if v.IsChoice() || !(kHz >= 0 && kHz <= math.MaxUint32) {
		return "", fmt.Errorf("%s Hz is no frequency", v)
	}
	return strconv.FormatUint(uint64(kHz), 10), nil
}

// why explains an errno that stands for more than it says.
func (a attribute) why(d *Driver, v mechanisms.Value, err error) (why, hint string) {
	switch {
	case a.knob == energyPreference && errors.Is(err, syscall.EBUSY):
		return "the governor is performance, which fixes the preference", "set the governor to powersave in the same command"
	case a.knob == setspeed && errors.Is(err, syscall.EINVAL):
		return "the governor is not userspace", "set the governor to userspace in the same command"
	case a.knob == turboKnob && errors.Is(err, syscall.EPERM):
		return "the firmware has turbo switched off", "enable it in the firmware's settings"
	case errors.Is(err, syscall.EACCES):
		return "this user may not write the file", "run the daemon as root, or give its group write access by a udev rule"
	case errors.Is(err, syscall.EROFS):
		return "sysfs is mounted read-only, as in a container", "run the daemon on the host, or mount /sys writable"
	}
	return "", ""
}

// turbo is the machine's boost switch.
type turbo struct {
	file   string
	invert bool
	driver string
}

// turbo finds the switch: intel_pstate has its own, upside down, and then there is no cpufreq/boost.
func (d *Driver) turbo() (turbo, bool) {
	for _, t := range []turbo{{"intel_pstate/no_turbo", true, "intel_pstate"}, {"cpufreq/boost", false, "cpufreq-boost"}} {
		if d.dir.Exists(t.file) {
			return t, true
		}
	}
	return turbo{}, false
}

// knob describes the switch. The kernel may move every policy's upper limit along with it.
func (t turbo) knob(policies []int) mechanisms.Knob {
	k := mechanisms.Knob{Name: turboKnob, Summary: "frequencies above the nominal one, as long as the power budget lasts",
		Kind: mechanisms.KindChoice, Choices: []string{"off", "on"}, Driver: t.driver}
	for _, n := range policies {
		k.Affects = append(k.Affects, policyKnob(n, maxFrequency), policyKnob(n, minFrequency))
	}
	return k
}

func policyKnob(n int, name string) string { return "policy" + strconv.Itoa(n) + "/" + name }
