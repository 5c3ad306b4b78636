// Command 06-leds is an adapter for what the kernel shows under /sys/class/leds and /sys/class/hwmon: LEDs with brightness and
// trigger, fans with a duty cycle. It is not a driver for any board: the kernel has those.
package main

import (
	"strings"

	"github.com/edgehold/edgehold/sdk/go/adapter"
)

// The patterns of the manifest that are listed.
const (
	brightnessFiles = "/sys/class/leds/*/brightness"
	dutyFiles       = "/sys/class/hwmon/hwmon*/pwm[1-9]"
)

const (
	ledClass = "/sys/class/leds/"
	hwmon    = "/sys/class/hwmon/"
	maxDuty  = 255 // of a pwm attribute, Documentation/hwmon/sysfs-interface
	manual   = "1" // of a pwm_enable attribute
)

type leds struct{ files adapter.Files }

func init() { adapter.Register(&leds{}) }

func main() {}

func (l *leds) Initialize(s *adapter.Setup) error {
	l.files = s.Files("leds")
	return nil
}

func (l *leds) Knobs() ([]adapter.Knob, error) {
	paths, err := l.files.List(brightnessFiles)
	if err != nil {
		return nil, err
	}
	var out []adapter.Knob
	for _, p := range paths {
		out = append(out, l.led(strings.TrimSuffix(strings.TrimPrefix(p, ledClass), "/brightness"))...)
	}
	if paths, err = l.files.List(dutyFiles); err != nil {
		return nil, err
	}
	for _, p := range paths {
		out = append(out, l.fan(strings.TrimPrefix(p, hwmon))...)
	}
	if len(out) == 0 {
		return nil, adapter.Failed("there is neither a LED nor a fan under /sys/class")
	}
	return out, nil
}

// led is the knobs of one LED. While a trigger blinks it, its brightness is that trigger's business and reads as its name;
// so what is put back is the trigger, and not the instant at which it was looked at.
func (l *leds) led(name string) []adapter.Knob {
	brightness := adapter.Range("led/"+name+"/brightness", "1", 0, 1)
	brightness.Step, brightness.Conflict = 1, "led/"+name
	if most, err := l.number(ledClass + name + "/max_brightness"); err != nil || most < 1 {
		brightness.Unavailable = "its max_brightness can't be read"
	} else {
		brightness.Max = most
	}
	_, choices, err := l.trigger(name)
	if err != nil || len(choices) == 0 {
		return []adapter.Knob{brightness}
	}
	trigger := adapter.Switch("led/"+name+"/trigger", choices...)
	trigger.Conflict, trigger.Affects = brightness.Conflict, []string{brightness.Name}
	return []adapter.Knob{trigger, brightness}
}

// fan is the knob of one fan. While the chip regulates it, it reads as the mode that it is in; any number takes it over.
func (l *leds) fan(file string) []adapter.Knob {
	chip, _, _ := strings.Cut(file, "/")
	driver, err := l.files.ReadText(hwmon + chip + "/name")
	if err != nil {
		driver = chip
	}
	duty := adapter.Steps("fan/"+file+"/duty", "%", duties...)
	duty.Driver = driver
	return []adapter.Knob{duty}
}

// duties are the duty cycles that a pwm attribute has, in percent: one for each of its steps.
var duties = func() (all []float64) {
	for step := range maxDuty + 1 {
		all = append(all, percent(float64(step)))
	}
	return all
}()

// part splits a knob's name into its kind, its device and its attribute.
func part(knob string) (kind, device, attribute string) {
	kind, rest, _ := strings.Cut(knob, "/")
	i := strings.LastIndexByte(rest, '/')
	if i < 0 {
		return kind, "", ""
	}
	return kind, rest[:i], rest[i+1:]
}

func (l *leds) Read(knob string) (adapter.Value, error) {
	kind, device, attribute := part(knob)
	switch kind + "/" + attribute {
	case "led/brightness":
		if now, _, err := l.trigger(device); err == nil && now != none && now != "" {
			return adapter.Choice(byTrigger + now), nil
		}
		n, err := l.number(ledClass + device + "/brightness")
		return adapter.Number(n), err
	case "led/trigger":
		now, _, err := l.trigger(device)
		return adapter.Choice(now), err
	case "fan/duty":
		if mode, err := l.files.ReadText(hwmon + device + "_enable"); err == nil && mode != manual {
			return adapter.Choice(byChip + mode), nil
		}
		n, err := l.number(hwmon + device)
		return adapter.Number(percent(n)), err
	}
	return adapter.Value{}, adapter.Unknown(knob)
}

// What a knob reads as while somebody else moves it, before the name of who does.
const (
	byTrigger = "trigger "
	byChip    = "mode "
	none      = "none"
)

func (l *leds) Write(knob string, v adapter.Value) error {
	kind, device, attribute := part(knob)
	switch kind + "/" + attribute {
	case "led/brightness":
		return l.shine(ledClass+device, v)
	case "led/trigger":
		return l.files.WriteText(ledClass+device+"/trigger", v.Choice)
	case "fan/duty":
		return l.spin(hwmon+device, v)
	}
	return adapter.Unknown(knob)
}

func (l *leds) shine(led string, v adapter.Value) error {
	if trigger, ok := strings.CutPrefix(v.Choice, byTrigger); ok {
		return l.files.WriteText(led+"/trigger", trigger)
	}
	if err := l.unless(led+"/trigger", "["+none+"]", none); err != nil {
		return err
	}
	return l.files.WriteText(led+"/brightness", adapter.Text(v.Number))
}

func (l *leds) spin(fan string, v adapter.Value) error {
	if mode, ok := strings.CutPrefix(v.Choice, byChip); ok {
		return l.files.WriteText(fan+"_enable", mode)
	}
	if err := l.unless(fan+"_enable", manual, manual); err != nil {
		return err
	}
	return l.files.WriteText(fan, adapter.Text(raw(v.Number)))
}

// unless writes word to an attribute that does not show it among its own. Not every device has the attribute.
func (l *leds) unless(path, shown, word string) error {
	text, err := l.files.ReadText(path)
	if adapter.IsNotFound(err) {
		return nil
	}
	for _, w := range strings.Fields(text) {
		if w == shown {
			return nil
		}
	}
	if err != nil {
		return err
	}
	return l.files.WriteText(path, word)
}

// raw is the nearest step of a percentage; percent is the reverse, to a tenth, so that the way there and back is exact.
func raw(percent float64) float64 { return float64(int(percent*maxDuty/100 + 0.5)) }
func percent(raw float64) float64 { return float64(int(raw*1000/maxDuty+0.5)) / 10 }

func (l *leds) number(path string) (float64, error) {
	text, err := l.files.ReadText(path)
	if err != nil {
		return 0, err
	}
	return adapter.Parse(text)
}

// trigger reads the list of triggers, in which the one that is set stands in brackets.
func (l *leds) trigger(led string) (now string, all []string, err error) {
	text, err := l.files.ReadText(ledClass + led + "/trigger")
	for _, word := range strings.Fields(text) {
		if inner, ok := strings.CutPrefix(word, "["); ok {
			word = strings.TrimSuffix(inner, "]")
			now = word
		}
		all = append(all, word)
	}
	if now == "" && len(all) == 1 { // a recorded tree keeps what was written
		now = all[0]
	}
	return now, all, err
}
