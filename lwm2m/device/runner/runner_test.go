package runner

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/lwm2m"
	"github.com/edgehold/edgehold/lwm2m/device/knob"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

// What the guest's input "do" orders; see testdata/guest.
const (
	count = iota
	panics
	loops
	fails
	reads
	steals
	turns
	turnsOther
	grows
	tickFast
	emitsTooMuch
)

func hostile(t testing.TB) []byte {
	t.Helper()
	module, err := pluginstest.TinyGo("./testdata/guest")
	pluginstest.Need(t, err)
	return pluginstest.Pack(t, "testdata/guest", module)
}

// alone runs a test in a time of its own, which passes only when nothing else is left to do: guests take none of it, however busy the machine
// is, and nothing that is there for a moment is missed.
func alone(t *testing.T, test func(*testing.T)) {
	t.Helper()
	hostile(t) // compiled outside
	synctest.Test(t, test)
}

// bench is a device around a runner.
type bench struct {
	*Runner
	t       *testing.T
	outputs chan Output
	changes chan uint16
	knobs   *knob.Panel
}

func (b *bench) Property(p lwm2m.Path) (lwm2m.Value, bool) {
	if p.Object() == 0 {
		b.t.Error("a workload got to the keys")
	}
	return lwm2m.Float(21.5), p == lwm2m.MustParsePath("/3303/0/5700")
}

func newBench(t *testing.T) *bench { return newBenchOf(t, func(*Config) {}) }

func newBenchOf(t *testing.T, change func(*Config)) *bench {
	t.Helper()
	h, err := host.New(t.Context(), host.Config{Engine: host.Interpreter, InProcess: true, MaxInstances: 1, Limits: host.Limits{Deadline: 5 * time.Second}})
	if err != nil {
		t.Fatal(err)
	}
	panel, err := knob.NewPanel(knob.Knob{Name: "TX_PWR", Choices: []string{"LOW", "MEDIUM", "HIGH"}, Default: "HIGH"},
		knob.Knob{Name: "SAMPLE_INTERVAL", Min: 1, Max: 60, Unit: "s", Default: "10"})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, outputs: make(chan Output, 256), changes: make(chan uint16, 256), knobs: panel}
	c := Config{Host: h, Device: "sensor-7", Properties: b, Knobs: panel, Emit: func(o Output) { b.outputs <- o }, Changed: func(id uint16) { b.changes <- id }}
	change(&c)
	b.Runner = New(c)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- b.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		<-done
		panel.Close()
		if err := h.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func (b *bench) start(id uint16, parameters map[string]float64) {
	b.t.Helper()
	if err := b.Start(b.t.Context(), id, hostile(b.t), parameters); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bench) order(id uint16, what float64) {
	b.t.Helper()
	if err := b.Deliver(id, "do", Value{Number: what}, 0); err != nil {
		b.t.Fatal(err)
	}
}

// patience is how long a test waits for what others bring about, on a machine that has other work.
const patience = time.Minute

func (b *bench) want(name string, number float64) Output {
	b.t.Helper()
	select {
	case o := <-b.outputs:
		if o.Name != name || o.Value.Number != number {
			b.t.Fatalf("got %+v, want %s %v", o, name, number)
		}
		return o
	case <-time.After(patience):
		s, _ := b.Status(1)
		b.t.Fatalf("no output; status %+v", s)
	}
	return Output{}
}

// failure waits for the status to tell an error.
func (b *bench) failure(id uint16) Status {
	b.t.Helper()
	for {
		select {
		case <-b.changes:
		case <-time.After(patience):
			b.t.Fatal("nothing changed")
		}
		if s, _ := b.Status(id); s.Error != "" {
			return s
		}
	}
}

func TestMemoryLastsFromStartToStop(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		b.start(1, map[string]float64{"step": 2, "unknown": 9})
		for want := 2.0; want < 8; want += 2 {
			b.order(1, count)
			b.want("count", want)
		}
		b.Stop(t.Context(), 1)
		b.want("count", -1) // its last word
		if _, there := b.Status(1); there {
			t.Error("it is still there")
		}
		b.start(1, nil)
		b.order(1, count)
		b.want("count", 1)
	})
}

func TestBytesAndUnits(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		b.start(1, nil)
		if err := b.Deliver(1, "text", Value{Bytes: []byte("hallo")}, 3); err != nil {
			t.Fatal(err)
		}
		if o := b.want("echo", 0); string(o.Value.Bytes) != "hallo" || o.Hops != 4 {
			t.Errorf("got %+v", o)
		}
	})
}

func TestPropertiesAndKnobs(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		b.start(1, nil)
		b.order(1, reads)
		b.want("count", 21.5)
		b.order(1, turns)
		b.order(1, count)
		b.want("count", 1)
		if v, _ := b.knobs.Get("TX_PWR"); v != "LOW" {
			t.Errorf("the knob is at %s", v)
		}
		if err := b.knobs.Set("TX_PWR", "MEDIUM"); err != nil { // a server's word is newer
			t.Fatal(err)
		}
		b.order(1, turns)
		b.order(1, count)
		b.want("count", 2)
		b.Stop(t.Context(), 1)
		b.want("count", -1)
		if v, _ := b.knobs.Get("TX_PWR"); v != "HIGH" {
			t.Errorf("after the stop the knob is at %s", v)
		}
	})
}

// What was not asked for or is never given answers, and the workload goes on.
func TestGrantsAreKept(t *testing.T) {
	for name, what := range map[string]float64{"keys of the device": steals, "a knob that may only be read": turnsOther} {
		t.Run(name, func(t *testing.T) {
			alone(t, func(t *testing.T) {
				b := newBench(t)
				b.start(1, nil)
				b.order(1, what)
				if s := b.failure(1); !s.Running || s.Errors != 1 {
					t.Errorf("got %+v", s)
				}
				b.order(1, count)
				b.want("count", 1)
			})
		})
	}
}

func TestFaultsAreReportedAndEndInANewStart(t *testing.T) {
	if testing.Short() {
		t.Skip("waits for the first delay of a start")
	}
	for name, test := range map[string]struct {
		what float64
		code string
	}{
		"panic": {panics, "call.trap"}, "endless loop": {loops, "call."}, "memory": {grows, "call."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			alone(t, func(t *testing.T) {
				b := newBench(t)
				b.start(1, nil)
				b.order(1, count)
				b.want("count", 1)
				b.order(1, test.what)
				s := b.failure(1)
				if s.Running || s.Errors != 1 || !strings.HasPrefix(s.Error, test.code) {
					t.Errorf("got %+v", s)
				}
				b.order(1, count) // waits in the queue for the new start
				b.want("count", 1)
				if s, _ := b.Status(1); !s.Running || s.Restarts != 1 || s.Error != "" {
					t.Errorf("got %+v", s)
				}
			})
		})
	}
}

func TestErrorsOfTheGuestAreNoFaults(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		b.start(1, nil)
		b.order(1, count)
		b.want("count", 1)
		b.order(1, fails)
		if s := b.failure(1); !s.Running || s.Error != "guest.workload.failed: as ordered" {
			t.Errorf("got %+v", s)
		}
		b.order(1, count)
		b.want("count", 2) // the memory is the same
	})
}

func TestTicksComeAsTheGuestAsks(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		b.start(1, nil)
		b.order(1, tickFast)
		b.want("count", 1)
	})
}

func TestStatusMeasures(t *testing.T) {
	b := newBench(t)
	b.start(1, nil)
	for range 20 {
		b.order(1, count)
		<-b.outputs
	}
	s, _ := b.Status(1)
	if s.CPUPercent <= 0 || s.CPUPercent > 100 || s.MemoryBytes < 64<<10 || s.MemoryBytes > 512<<10 || s.Uptime <= 0 || s.Calls != 21 || s.Name != "hostile" {
		t.Errorf("got %+v", s)
	}
}

func TestRefusals(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		b.start(1, nil)
		for name, test := range map[string]struct {
			err  error
			want error
		}{
			"another workload": {b.Deliver(2, "do", Value{}, 0), ErrUnknown},
			"another input":    {b.Deliver(1, "undo", Value{}, 0), ErrUnknown},
			"another type":     {b.Deliver(1, "do", Value{Bytes: []byte{}}, 0), ErrValue},
			"too long":         {b.Deliver(1, "text", Value{Bytes: make([]byte, MaxValue+1)}, 0), ErrValue},
			"round and round":  {b.Deliver(1, "do", Value{}, MaxHops+1), ErrLoop},
			"twice":            {b.Start(t.Context(), 1, hostile(t), nil), ErrTooMany},
		} {
			if !errors.Is(test.err, test.want) {
				t.Errorf("%s: got %v", name, test.err)
			}
		}
		b.order(1, emitsTooMuch)
		if s := b.failure(1); !strings.Contains(s.Error, "workload.too-many") {
			t.Errorf("got %+v", s)
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	w := &workload{life: life{manifest: &wasmabi.Manifest{Workload: wasmabi.Workload{Inputs: []wasmabi.Port{{Name: "a"}}}}}}
	for n := range MaxQueue + 5 {
		if err := w.accept("a", Value{Number: float64(n)}, 0); err != nil {
			t.Fatal(err)
		}
	}
	first, _ := w.take()
	if len(w.queue) != MaxQueue-1 || w.dropped != 5 || first.value.Number != 5 {
		t.Errorf("%d wait, %d dropped, the first is %v", len(w.queue)+1, w.dropped, first)
	}
}

func TestCheckRefusesOtherKinds(t *testing.T) {
	alone(t, func(t *testing.T) {
		b := newBench(t)
		if _, err := b.Check(t.Context(), []byte("no module")); err == nil {
			t.Error("accepted what is no module")
		}
		m, err := b.Check(t.Context(), hostile(t))
		if err != nil || m.Name != "hostile" {
			t.Error(m, err)
		}
	})
}
