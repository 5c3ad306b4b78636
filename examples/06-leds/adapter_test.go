package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgehold/edgehold/sdk/go/adapter"
	"github.com/edgehold/edgehold/sdk/go/adaptertest"
)

// tree is what the kernel shows of a small board: a LED with a trigger, one without, a fan that its chip regulates and one
// that nobody does. Names and formats are those of Documentation/leds and Documentation/hwmon/sysfs-interface.
var tree = map[string]string{
	"leds/ACT/brightness":              "255\n",
	"leds/ACT/max_brightness":          "255\n",
	"leds/ACT/trigger":                 "none kbd-scrolllock [mmc0] timer heartbeat\n",
	"leds/input0::caps/brightness":     "0\n",
	"leds/input0::caps/max_brightness": "1\n",
	"hwmon/hwmon0/name":                "pwmfan\n",
	"hwmon/hwmon0/pwm1":                "90\n",
	"hwmon/hwmon0/pwm1_enable":         "2\n",
	"hwmon/hwmon1/name":                "nct6775\n",
	"hwmon/hwmon1/pwm2":                "128\n",
}

func newBoard(t *testing.T) (*adaptertest.Device, func(name string) string) {
	root := t.TempDir()
	for name, content := range tree {
		full := filepath.Join(root, "sys/class", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	d := adaptertest.New(t, func() adapter.Adapter { return new(leds) })
	d.Files("leds", root, "/sys/class/leds/*/brightness", "/sys/class/leds/*/max_brightness", "/sys/class/leds/*/trigger",
		"/sys/class/hwmon/hwmon*/name", "/sys/class/hwmon/hwmon*/pwm[1-9]", "/sys/class/hwmon/hwmon*/pwm[1-9]_enable")
	return d, func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, "sys/class", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
}

func TestKnobs(t *testing.T) {
	d, _ := newBoard(t)
	var names []string
	for _, k := range d.Knobs() {
		names = append(names, k.Name)
		if k.Name == "fan/hwmon0/pwm1/duty" && (k.Driver != "pwmfan" || len(k.Table) != 256 || k.Max != 100) {
			t.Errorf("got %+v", k)
		}
	}
	want := []string{"led/ACT/trigger", "led/ACT/brightness", "led/input0::caps/brightness", "fan/hwmon0/pwm1/duty", "fan/hwmon1/pwm2/duty"}
	if !slices.Equal(names, want) {
		t.Errorf("got %v, want %v", names, want)
	}
}

func TestWhatOthersMoveReadsAsTheirName(t *testing.T) {
	d, file := newBoard(t)
	const shine, spin = "led/ACT/brightness", "fan/hwmon0/pwm1/duty"
	d.WantRead(shine, adapter.Choice("trigger mmc0"))
	d.WantRead("led/ACT/trigger", adapter.Choice("mmc0"))
	d.WantRead(spin, adapter.Choice("mode 2"))
	d.WantRead("fan/hwmon1/pwm2/duty", adapter.Number(50.2))

	if err := errors.Join(d.Write(shine, adapter.Number(100)), d.Write(spin, adapter.Number(100))); err != nil {
		t.Fatal(err)
	}
	if got := file("leds/ACT/brightness") + file("leds/ACT/trigger") + file("hwmon/hwmon0/pwm1") + file("hwmon/hwmon0/pwm1_enable"); got != "100none2551" {
		t.Errorf("got %s", got)
	}
	if err := errors.Join(d.Revert(shine, adapter.Choice("trigger mmc0")), d.Revert(spin, adapter.Choice("mode 2"))); err != nil {
		t.Fatal(err)
	}
	if got := file("leds/ACT/trigger") + file("hwmon/hwmon0/pwm1_enable"); got != "mmc02" {
		t.Errorf("got %s", got)
	}
}

func TestEachDutyIsReadBack(t *testing.T) {
	d, _ := newBoard(t)
	for _, v := range duties {
		if err := d.Write("fan/hwmon1/pwm2/duty", adapter.Number(v)); err != nil {
			t.Fatal(err)
		}
		d.WantRead("fan/hwmon1/pwm2/duty", adapter.Number(v))
	}
}

func TestWhatIsNotThere(t *testing.T) {
	d, _ := newBoard(t)
	for _, knob := range []string{"led/none/brightness", "led/ACT/colour", "fan/hwmon9/pwm1/duty", "led", "", "led/../../etc/brightness"} {
		if _, err := d.Read(knob); err == nil {
			t.Errorf("%q can be read", knob)
		}
		if err := d.Write(knob, adapter.Number(1)); err == nil {
			t.Errorf("%q can be written", knob)
		}
	}
}
