package adapter

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgehold/edgehold/agents/node/plug/plugtest"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/host/capability"
	"github.com/edgehold/edgehold/host/record"
	"github.com/edgehold/edgehold/mechanisms"
	"github.com/edgehold/edgehold/mechanisms/drivertest"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

const fan = "fan/speed"

func set(knob string, v mechanisms.Value, lease time.Duration) mechanisms.Command {
	return mechanisms.Command{Mechanism: "SmartPlug", Verb: mechanisms.Set, Owner: "test", Lease: lease, Settings: []mechanisms.Setting{{Knob: knob, Value: v}}}
}

// A module keeps the contract of a native driver, against a real server.
func TestContract(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	drivertest.Run(t, plugDriver(t, plugtest.Start(t), Config{}))
}

// One source, two compilers.
func TestContractWithTinyGo(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	dir := "../../../examples/05-rest-device"
	bare, err := pluginstest.TinyGo(dir)
	pluginstest.Need(t, err)
	p := plugtest.Start(t)
	driver := NewDriver(grant(t, prepareModule(t, dir, bare, nil), capability.Config{Root: p.Address}), Config{})
	drivertest.Run(t, driver)
	s := supervise(t, t.TempDir(), driver)
	if _, err := s.Apply(t.Context(), set(fan, mechanisms.Number(85), time.Minute)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if percent, auto := p.Fan(); percent != 40 || !auto {
		t.Errorf("the fan was not given back: %v, auto %t", percent, auto)
	}
}

func TestSetRevertAndReplay(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	p := plugtest.Start(t)
	var d diary
	driver := plugDriver(t, p, Config{Record: d.add, Now: func() time.Time { return time.Unix(1e9, 0) }})
	s := supervise(t, t.TempDir(), driver)
	r, err := s.Apply(t.Context(), set(fan, mechanisms.Number(83), time.Minute))
	if err != nil || r.Outcome != mechanisms.Clamped || r.Changes[0].Effective != mechanisms.Number(85) {
		t.Fatalf("got %+v, %v", r, err)
	}
	if percent, auto := p.Fan(); percent != 85 || auto {
		t.Errorf("the plug's fan is at %v, auto %t", percent, auto)
	}
	if r := s.RevertAll(t.Context(), "test"); r.Outcome != mechanisms.Applied {
		t.Errorf("revert: %+v", r)
	}
	if percent, auto := p.Fan(); percent != 40 || !auto {
		t.Errorf("the fan was not given back: %v, auto %t", percent, auto)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	replayAll(t, driver.module.Host.(*host.Module), &d)
}

// replayAll runs what was recorded again: the same bytes and the same fuel, without a device.
func replayAll(t *testing.T, m *host.Module, d *diary) {
	t.Helper()
	effects := 0
	for i, e := range d.episodes {
		report, err := record.Replay(t.Context(), m, e)
		if err != nil || !report.Same() {
			t.Fatalf("operation %d: %+v, %v", i, report, err)
		}
		for _, c := range e.Calls {
			effects += len(c.HostCalls)
		}
	}
	if len(d.episodes) < 8 || effects < 8 {
		t.Errorf("%d operations with %d host calls were recorded", len(d.episodes), effects)
	}
}

// A device that is off: its knobs are away, what was asked for fails as a whole, and the way back waits for it.
func TestDeviceGoesAwayAndComesBack(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	dir := t.TempDir()
	p := plugtest.Start(t)
	driver := plugDriver(t, p, Config{})
	s := supervise(t, dir, driver)
	if _, err := s.Apply(t.Context(), set(fan, mechanisms.Number(80), time.Minute)); err != nil {
		t.Fatal(err)
	}
	p.Stop()
	if _, err := driver.Read(t.Context(), fan); !errors.Is(err, mechanisms.ErrUnavailable) {
		t.Errorf("reading a plug that is off: %v", err)
	}
	if r, err := s.Apply(t.Context(), set("relay/0", mechanisms.Choice("on"), time.Minute)); err == nil {
		t.Errorf("a plug that is off was switched on: %+v", r)
	}
	if r := s.RevertAll(t.Context(), "test"); r.Outcome != mechanisms.PartlyUndone || s.Outstanding() == 0 {
		t.Errorf("revert without the plug: %+v", r)
	}
	again := plugtest.StartAt(t, p.Address) // another process at the same place; it regulates its fan, which is the old value
	if r := s.RevertAll(t.Context(), "test"); s.Outstanding() != 0 {
		t.Errorf("revert with the plug: %+v", r)
	}
	if percent, _ := again.Fan(); percent != 40 {
		t.Errorf("the fan is at %v", percent)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

// What the next daemon does after kill -9: the journal is there, and the adapter takes the knob back.
func TestTheNextProcessRevertsThroughTheAdapter(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	dir, p := t.TempDir(), plugtest.Start(t)
	first := supervise(t, dir, plugDriver(t, p, Config{}))
	if _, err := first.Apply(t.Context(), set(fan, mechanisms.Number(80), time.Second)); err != nil {
		t.Fatal(err)
	}
	copied := t.TempDir() // a killed process leaves the folder as it is; the lock goes with it
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	s, err := mechanisms.NewSupervisor(mechanisms.Config{Dir: copied, BootID: "test", Clock: later{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Register(t.Context(), plugDriver(t, p, Config{})); err != nil {
		t.Fatal(err)
	}
	if percent, auto := p.Fan(); percent != 40 || !auto || s.Outstanding() != 0 {
		t.Errorf("the fan is at %v, auto %t; %d outstanding", percent, auto, s.Outstanding())
	}
	for _, s := range []*mechanisms.Supervisor{s, first} {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}
}

// later is the machine's clock an hour on: every lease has ended.
type later struct{ mechanisms.SystemClock }

func (later) Uptime() time.Duration { return mechanisms.SystemClock{}.Uptime() + time.Hour }

func TestExchange(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles three modules")
	}
	p := plugtest.Start(t)
	driver := plugDriver(t, p, Config{})
	s := supervise(t, t.TempDir(), driver)
	if _, err := s.Apply(t.Context(), set(fan, mechanisms.Number(80), time.Minute)); err != nil {
		t.Fatal(err)
	}
	next := grant(t, prepare(t, "05-rest-device", func(m *wasmabi.Manifest) { m.Version = "1.1.0" }), capability.Config{Root: p.Address})
	before, err := driver.Exchange(t.Context(), next)
	if err != nil || before == nil || before.Host.Manifest().Version != "1.0.0" {
		t.Fatalf("got %v, %v", before, err)
	}
	if facts := driver.Facts(t.Context()); facts["version"] != "1.1.0" || facts["driver"] != "plug 4C11AE" {
		t.Errorf("facts %v", facts)
	}
	if r := s.RevertAll(t.Context(), "test"); r.Outcome != mechanisms.Applied {
		t.Errorf("what the version before set is not put back by the next: %+v", r)
	}
	other := grant(t, prepare(t, "05-rest-device", func(m *wasmabi.Manifest) { m.Provides.Mechanism = "Other" }), capability.Config{Root: p.Address})
	if _, err := driver.Exchange(t.Context(), other); err == nil {
		t.Error("another mechanism takes its place")
	}
	broken := grant(t, prepare(t, "05-rest-device", func(m *wasmabi.Manifest) { m.Version = "1.2.0" }), capability.Config{Root: "127.0.0.1:1"})
	if _, err := driver.Exchange(t.Context(), broken); err == nil || driver.module != next {
		t.Errorf("a version that does not find the device takes over: %v", err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestLEDs(t *testing.T) {
	if testing.Short() {
		t.Skip("compiles a module")
	}
	root := t.TempDir()
	write := func(name, content string) {
		full := filepath.Join(root, "sys", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	write("devices/platform/leds/leds/ACT/brightness", "200\n")
	write("devices/platform/leds/leds/ACT/max_brightness", "255\n")
	write("devices/platform/pwm-fan/hwmon/hwmon0/name", "pwmfan\n")
	write("devices/platform/pwm-fan/hwmon/hwmon0/pwm1", "90\n")
	write("devices/platform/pwm-fan/hwmon/hwmon0/pwm1_enable", "2\n")
	for name, to := range map[string]string{"leds/ACT": "../../devices/platform/leds/leds/ACT", "hwmon/hwmon0": "../../devices/platform/pwm-fan/hwmon/hwmon0"} {
		full := filepath.Join(root, "sys/class", name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.Symlink(to, full)); err != nil {
			t.Fatal(err)
		}
	}
	read := func(name string) string {
		b, err := os.ReadFile(filepath.Join(root, "sys/class", name))
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(b))
	}
	driver := NewDriver(grant(t, prepare(t, "06-leds", nil), capability.Config{Root: root}), Config{})
	drivertest.Run(t, driver)
	s := supervise(t, t.TempDir(), driver)
	r, err := s.Apply(t.Context(), mechanisms.Command{Mechanism: "LEDs", Verb: mechanisms.Set, Owner: "test", Settings: []mechanisms.Setting{
		{Knob: "led/ACT/brightness", Value: mechanisms.Number(10)}, {Knob: "fan/hwmon0/pwm1/duty", Value: mechanisms.Choice("max")},
	}})
	if err != nil || r.Outcome != mechanisms.Applied {
		t.Fatalf("got %+v, %v", r, err)
	}
	if got := read("leds/ACT/brightness") + " " + read("hwmon/hwmon0/pwm1") + " " + read("hwmon/hwmon0/pwm1_enable"); got != "10 255 1" {
		t.Errorf("got %s", got)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if got := read("leds/ACT/brightness") + " " + read("hwmon/hwmon0/pwm1_enable"); got != "200 2" {
		t.Errorf("after the end: %s", got)
	}
}
