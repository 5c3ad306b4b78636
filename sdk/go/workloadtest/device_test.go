package workloadtest

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/edgehold/edgehold/sdk/go/workload"
	"github.com/edgehold/edgehold/wasmabi"
)

// thermostat turns its knob by what comes in and what it measures.
type thermostat struct {
	out, text   workload.Output
	temperature workload.Property
	knob        workload.Knob
	high        float64
}

func (w *thermostat) Start(s *workload.Setup) error {
	w.out, w.text, w.temperature, w.knob, w.high = s.Output("difference"), s.Output("text"), s.Property("temperature"), s.Knob("FAN"), s.Parameter("high")
	return nil
}

func (w *thermostat) Input(t *workload.Turn, v workload.Value) error {
	if v.Bytes != nil {
		t.EmitBytes(w.text, v.Bytes)
		return nil
	}
	if v.Number < 0 {
		return workload.Error("it is never so cold")
	}
	t.Emit(w.out, v.Number-w.high)
	return w.knob.Set("ON")
}

func (w *thermostat) Stop(t *workload.Turn) error {
	t.Emit(w.out, float64(t.TimeNS()))
	return nil
}

type ticking struct{ thermostat }

func (w *ticking) Tick(t *workload.Turn) error {
	v, err := w.temperature.Number()
	if err != nil {
		return nil
	}
	t.Emit(w.out, v)
	t.Next(500)
	return nil
}

func device(t *testing.T, w workload.Workload) *Device {
	d := New(t, w)
	d.Inputs("in", "raw")
	d.Outputs("difference", "text")
	d.Property("temperature", math.NaN())
	d.Knob("FAN", "OFF")
	d.Parameter("high", 20)
	return d
}

func TestDevice(t *testing.T) {
	d := device(t, &ticking{})
	d.Start()
	d.Tick().WantNothing()
	d.Property("temperature", 21.5)
	e := d.Tick()
	e.Want("difference", 21.5)
	if e.Next != 500*time.Millisecond {
		t.Errorf("the next tick comes after %v", e.Next)
	}
	d.Receive("in", 22).Want("difference", 2)
	if got := d.KnobValue("FAN"); got != "ON" {
		t.Errorf("the knob is %s", got)
	}
	if diff := cmp.Diff(d.ReceiveBytes("raw", []byte("x")).Bytes, []Bytes{{"text", []byte("x")}}); diff != "" {
		t.Error(diff)
	}
	if _, err := d.Try("in", -1); err == nil || !strings.Contains(err.Error(), "never so cold") {
		t.Errorf("got %v", err)
	}
	d.Advance(time.Second)
	d.Stop()
	if _, err := d.Try("in", 1); err == nil {
		t.Error("it goes on after the stop")
	}
}

func TestWhatIsNotDeclared(t *testing.T) {
	d := New(t, &thermostat{})
	if err := d.TryStart(); err == nil || !strings.Contains(err.Error(), "there is no output difference") {
		t.Errorf("got %v", err)
	}
	d = device(t, &thermostat{})
	d.Start()
	if _, err := d.batch(wasmabi.OpTick, new(wasmabi.Input)); err == nil || !strings.Contains(err.Error(), "no method") {
		t.Errorf("got %v", err)
	}
}
