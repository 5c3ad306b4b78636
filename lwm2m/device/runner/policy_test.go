package runner

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/lwm2m/client"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/plugins"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

const radioExample = "../../../examples/09-radio-power"

// radioPower is the example's policy, at an interval of a test's.
func radioPower(t testing.TB, change func(*wasmabi.Manifest)) []byte {
	t.Helper()
	module, err := pluginstest.TinyGo(radioExample)
	pluginstest.Need(t, err)
	m, err := wasmabi.ReadManifest(pluginstest.Pack(t, radioExample, module))
	if err != nil {
		t.Fatal(err)
	}
	m.AnalyzeIntervalMS = 100
	m.Metrics[0].Labels = []wasmabi.Label{{Name: "device", Value: "sensor-1"}}
	if change != nil {
		change(m)
	}
	packed, err := plugins.Pack(module, m)
	if err != nil {
		t.Fatal(err)
	}
	return packed
}

// hearing is what the device hears of its gateway.
type hearing struct {
	mu  sync.Mutex
	dBm float64
	ok  bool
}

func (h *hearing) set(dBm float64, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.dBm, h.ok = dBm, ok
}

func (h *hearing) metric(r *wasmabi.MetricRequest) (Reading, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return Reading{Value: h.dBm}, h.ok && r.Name == "device_radio_signal_strength_dbm"
}

// radioBench is a device of the policy's with a radio.
func radioBench(t *testing.T, contexts Contexts) (*bench, *hearing) {
	h := &hearing{dBm: -40, ok: true}
	return newBenchOf(t, func(c *Config) { c.Device, c.Metric, c.Contexts = "sensor-1", h.metric, contexts }), h
}

// until waits for a policy's status.
func (b *bench) until(id uint16, what string, is func(Status) bool) Status {
	b.t.Helper()
	for deadline := time.After(patience); ; {
		if s, _ := b.Status(id); is(s) {
			return s
		}
		select {
		case <-b.changes:
		case <-deadline:
			s, _ := b.Status(id)
			b.t.Fatalf("not %s: %+v", what, s)
		}
	}
}

func decided(text string) func(Status) bool {
	return func(s Status) bool { return strings.Contains(s.Decision, text) }
}

func (b *bench) power() string {
	v, err := b.knobs.Get("TX_PWR")
	if err != nil {
		b.t.Error(err)
	}
	return v
}

func (b *bench) upload(id uint16, module []byte) {
	b.t.Helper()
	if err := b.Start(b.t.Context(), id, module, nil); err != nil {
		b.t.Fatal(err)
	}
}

func TestPolicyTurnsTheRadio(t *testing.T) {
	alone(t, func(t *testing.T) {
		b, h := radioBench(t, nil)
		b.upload(1, radioPower(t, nil))
		s := b.until(1, "stepped down", decided("a step down; TX_PWR to MEDIUM for 2m0s"))
		if b.power() != "MEDIUM" || s.Error != "" || s.Name != "radio-power" || s.MemoryBytes == 0 {
			t.Errorf("%s, %+v", b.power(), s)
		}
		t.Logf("%d bytes of memory, %.1f %% of a processor at 10 episodes a second", s.MemoryBytes, s.CPUPercent)
		b.until(1, "at the bottom", decided("TX_PWR to LOW"))
		h.set(-90, true) // far below its bound: it wakes at once, not at its interval
		b.until(1, "stepped up", decided("a step up; TX_PWR to MEDIUM"))
		b.until(1, "given back", decided("TX_PWR is given back"))
		if b.power() != "HIGH" {
			t.Errorf("the knob is at %s", b.power())
		}
	})
}

// What a policy holds goes back with it, unless somebody has turned the knob since.
func TestEndOfAPolicy(t *testing.T) {
	for name, test := range map[string]struct{ meanwhile, want string }{"its own": {"", "HIGH"}, "a person's": {"LOW", "LOW"}} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T) {
				b, _ := radioBench(t, nil)
				b.upload(1, radioPower(t, func(m *wasmabi.Manifest) { m.AnalyzeIntervalMS = 300 }))
				b.until(1, "stepped down", decided("TX_PWR to MEDIUM"))
				if test.meanwhile != "" {
					if err := b.knobs.Set("TX_PWR", test.meanwhile); err != nil {
						t.Fatal(err)
					}
				}
				b.Stop(t.Context(), 1)
				if b.power() != test.want {
					t.Errorf("the knob is at %s, want %s", b.power(), test.want)
				}
			})
		})
	}
}

func TestContextOutlivesAStop(t *testing.T) {
	alone(t, func(t *testing.T) {
		folder := client.Folder(t.TempDir())
		b, h := radioBench(t, folder)
		b.upload(1, radioPower(t, nil))
		b.until(1, "stepped down", decided("TX_PWR to MEDIUM"))
		h.set(-70, true) // between the bounds: it stays as it is
		b.until(1, "as it is", decided("-70 dBm: as it is"))
		b.Stop(t.Context(), 1)
		again, h := radioBench(t, folder)
		h.set(-70, true)
		again.upload(1, radioPower(t, nil))
		again.until(1, "holding", decided("-70 dBm: as it is; TX_PWR to MEDIUM"))
		again.Stop(t.Context(), 1)
		fresh, h := radioBench(t, folder) // a layout that this version does not read
		h.set(-70, true)
		fresh.upload(1, radioPower(t, func(m *wasmabi.Manifest) { m.StateSchema = 9 }))
		fresh.until(1, "new", func(s Status) bool { return s.Decision == "-70 dBm" })
	})
}

func TestPolicyWithoutItsMetric(t *testing.T) {
	alone(t, func(t *testing.T) {
		b, h := radioBench(t, nil)
		h.set(0, false)
		b.upload(1, radioPower(t, nil))
		b.until(1, "silent", decided("told no signal strength"))
		b.upload(2, radioPower(t, func(m *wasmabi.Manifest) { m.Metrics[0].Required = true }))
		b.until(2, "waiting", decided("waits for device_radio_signal_strength_dbm"))
		if err := b.Deliver(1, "do", Value{}, 0); !errors.Is(err, ErrUnknown) {
			t.Errorf("a policy takes an input: %v", err)
		}
	})
}

// As on a node, the first has the knob, and the second goes on and is told.
func TestTwoPoliciesForOneKnob(t *testing.T) {
	alone(t, func(t *testing.T) {
		b, h := radioBench(t, nil)
		b.upload(1, radioPower(t, nil))
		b.until(1, "stepped down", decided("TX_PWR to MEDIUM"))
		h.set(-70, true) // enough for the second one to go on with
		if err := b.Start(t.Context(), 2, radioPower(t, func(m *wasmabi.Manifest) { m.Name = "another" }), map[string]float64{"good": -75}); err != nil {
			t.Fatal(err)
		}
		s := b.until(2, "without the knob", decided("for 2m0s, which package-1 holds"))
		if s.Error != "" {
			t.Errorf("it failed: %+v", s)
		}
		b.Stop(t.Context(), 1)
		b.until(2, "in charge", decided("; TX_PWR to"))
	})
}

// An agent that stands for the device and a policy on it do not take knobs from each other.
func TestPolicyAndAgent(t *testing.T) {
	alone(t, func(t *testing.T) {
		b, _ := radioBench(t, nil)
		if err := b.knobs.SetFor("TX_PWR", "MEDIUM", knob.Lease{Holder: "node-1", For: time.Hour}); err != nil {
			t.Fatal(err)
		}
		b.upload(1, radioPower(t, nil))
		b.until(1, "without the knob", decided("which node-1 holds"))
		if b.power() != "MEDIUM" {
			t.Errorf("the knob is at %s", b.power())
		}
		if err := b.knobs.GiveBack("TX_PWR", "node-1"); err != nil {
			t.Fatal(err)
		}
		b.until(1, "in charge", decided("; TX_PWR to"))
		if err := b.knobs.SetFor("TX_PWR", "HIGH", knob.Lease{Holder: "node-1", For: time.Hour}); err == nil || err.Error() == "" {
			t.Errorf("an agent takes it: %v", err)
		}
	})
}

// What was not asked for, is not offered or is of another device is not there to be found.
func TestGrantsOfPolicies(t *testing.T) {
	for name, test := range map[string]struct {
		change func(*wasmabi.Manifest)
		want   string
	}{
		"another mechanism": {func(m *wasmabi.Manifest) { m.Mechanisms[0].Name = "CPUFrequency" }, "TX_PWR"},
		"another device":    {func(m *wasmabi.Manifest) { m.Mechanisms[0].Knobs = []string{"sensor-2/*"} }, "TX_PWR"},
		"a query":           {func(m *wasmabi.Manifest) { m.Metrics[0].Labels, m.Metrics[0].Query = nil, "rate(x[1m])" }, "keeps no series"},
		"an application":    {func(m *wasmabi.Manifest) { m.Scope = wasmabi.ScopeApplication }, "for an application"},
	} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T) {
				b, _ := radioBench(t, nil)
				if err := b.Start(t.Context(), 1, radioPower(t, test.change), nil); err == nil || !strings.Contains(err.Error(), test.want) {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestVerbsOfPolicies(t *testing.T) {
	alone(t, func(t *testing.T) {
		b, _ := radioBench(t, nil)
		b.upload(1, radioPower(t, func(m *wasmabi.Manifest) { m.Mechanisms[0].Verbs = []string{wasmabi.VerbNameReset} }))
		if s := b.until(1, "refused", func(s Status) bool { return s.Error != "" }); !strings.Contains(s.Error, "verb 0 was not granted") || b.power() != "HIGH" {
			t.Errorf("%s, %+v", b.power(), s)
		}
	})
}

// Plans of a hostile guest: none of them gets as far as a knob.
func TestPlansAreChecked(t *testing.T) {
	alone(t, func(t *testing.T) {
		b, _ := radioBench(t, nil)
		p := &policy{life: life{runner: b.Runner, id: 1, manifest: &wasmabi.Manifest{Name: "hostile", Mechanisms: []wasmabi.MechanismRequest{{Name: Mechanism, Knobs: []string{"*"}}}}}}
		p.grant()
		one := func(mechanism, verb, knob uint32, value float64, lease uint32) *wasmabi.Plan {
			return &wasmabi.Plan{Mechanisms: []uint32{mechanism}, Verbs: []uint32{verb}, Knobs: []uint32{knob}, Values: []float64{value}, LeaseMS: []uint32{lease}}
		}
		twice := one(0, 0, 0, 1, 0)
		twice.Mechanisms, twice.Verbs, twice.Knobs, twice.Values, twice.LeaseMS = append(twice.Mechanisms, 0), append(twice.Verbs, 1), append(twice.Knobs, wasmabi.AllKnobs), append(twice.Values, 0), append(twice.LeaseMS, 0)
		for name, plan := range map[string]*wasmabi.Plan{
			"mechanism": one(1, 0, 0, 1, 0), "verb": one(0, 2, 0, 1, 0), "knob": one(0, 0, 2, 1, 0), "choice": one(0, 0, 0, 3, 0), "half a choice": one(0, 0, 0, 0.5, 0),
			"no number": one(0, 0, 1, nan, 0), "beyond its range": one(0, 0, 1, 61, 0), "a set of all": one(0, 0, wasmabi.AllKnobs, 1, 0), "lease": one(0, 0, 0, 1, 1<<32-1), "twice": twice,
		} {
			if all, err := p.check(plan); err == nil {
				t.Errorf("%s: accepted as %v", name, all)
			}
		}
		if all, err := p.check(one(0, 1, wasmabi.AllKnobs, 0, 0)); err != nil || len(all) != 2 {
			t.Errorf("a reset of all: %v, %v", all, err)
		}
	})
}

func TestBoundsWakeOnce(t *testing.T) {
	bounds := []bound{{metric: 0, above: nan, below: -80}, {metric: 7}}
	for i, step := range []struct {
		value float64
		want  bool
	}{{-40, false}, {-81, true}, {-90, false}, {nan, false}, {-80, false}, {-85, true}} {
		if got := crossed(bounds, []float64{step.value}); got != step.want {
			t.Errorf("look %d at %v: %v", i, step.value, got)
		}
	}
}

func TestOtherKindsAreRefused(t *testing.T) {
	if err := fits(&wasmabi.Manifest{Kind: wasmabi.KindAdapter}); err == nil || err.(*host.Refusal).Code != "device.kind" {
		t.Errorf("got %v", err)
	}
}
