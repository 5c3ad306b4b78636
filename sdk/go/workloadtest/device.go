package workloadtest

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/edgehold/edgehold/sdk/go/workload"
	"github.com/edgehold/edgehold/wasmabi"
)

// Device is the device of one workload. Declare what the manifest names before the start.
type Device struct {
	t        testing.TB
	instance *workload.Instance
	start    wasmabi.Start
	panel    panel
	now      time.Time
}

// New makes a device that is to run w, with nothing declared. It is noon there.
func New(t testing.TB, w workload.Workload) *Device {
	d := &Device{t: t, now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC), start: wasmabi.Start{Name: "under-test", Version: "0.0.0", Device: "test-device"}}
	d.instance = workload.NewInstance(w).On(&d.panel)
	return d
}

// Inputs declares inputs.
func (d *Device) Inputs(names ...string) { d.start.Inputs = append(d.start.Inputs, names...) }

// Outputs declares outputs.
func (d *Device) Outputs(names ...string) { d.start.Outputs = append(d.start.Outputs, names...) }

// Parameter declares a parameter with its value.
func (d *Device) Parameter(name string, value float64) {
	d.start.ParameterNames, d.start.Parameters = append(d.start.ParameterNames, name), append(d.start.Parameters, value)
}

// Property declares a property, or changes what the device has for it. NaN is a sensor that is not there.
func (d *Device) Property(name string, value float64) {
	if math.IsNaN(value) {
		d.PropertyBytes(name, nil)
		return
	}
	d.PropertyBytes(name, binary.LittleEndian.AppendUint64(nil, math.Float64bits(value)))
}

// PropertyBytes is [Device.Property] for one of type bytes; nil is a sensor that is not there.
func (d *Device) PropertyBytes(name string, value []byte) {
	if i := slices.Index(d.start.Properties, name); i >= 0 {
		d.panel.properties[i] = value
		return
	}
	d.start.Properties, d.panel.properties = append(d.start.Properties, name), append(d.panel.properties, value)
}

// Knob declares a knob with its position.
func (d *Device) Knob(name, value string) {
	d.start.Knobs, d.panel.knobs = append(d.start.Knobs, name), append(d.panel.knobs, value)
}

// KnobValue is where a knob stands.
func (d *Device) KnobValue(name string) string {
	d.t.Helper()
	return d.panel.knobs[d.place("knob", name, d.start.Knobs)]
}

// Time is the device's clock, which only Advance moves.
func (d *Device) Time() time.Time { return d.now }

// Advance moves the clock.
func (d *Device) Advance(by time.Duration) { d.now = d.now.Add(by) }

// Start starts the workload. One that fails ends the test.
func (d *Device) Start() {
	d.t.Helper()
	d.must(d.TryStart())
}

// TryStart is [Device.Start] for a workload that is expected to fail: with what the device would be told.
func (d *Device) TryStart() error {
	d.start.TimeNS = d.now.UnixNano()
	_, err := d.call(wasmabi.OpStart, wasmabi.AppendStart(nil, &d.start))
	return err
}

// Receive hands a number to an input. A workload that fails ends the test.
func (d *Device) Receive(input string, value float64) Emitted {
	d.t.Helper()
	return d.turn(d.Try(input, value))
}

// Try is [Device.Receive] for a workload that is expected to fail: with what the device would be told.
func (d *Device) Try(input string, value float64) (Emitted, error) {
	d.t.Helper()
	return d.batch(wasmabi.OpInput, &wasmabi.Input{IDs: []uint32{d.place("input", input, d.start.Inputs)}, Values: []float64{value}})
}

// ReceiveBytes hands bytes to an input.
func (d *Device) ReceiveBytes(input string, value []byte) Emitted {
	d.t.Helper()
	return d.turn(d.batch(wasmabi.OpInput, &wasmabi.Input{DataIDs: []uint32{d.place("input", input, d.start.Inputs)}, Data: [][]byte{value}}))
}

// Tick ticks once.
func (d *Device) Tick() Emitted {
	d.t.Helper()
	return d.turn(d.batch(wasmabi.OpTick, &wasmabi.Input{}))
}

// Stop stops the workload.
func (d *Device) Stop() Emitted {
	d.t.Helper()
	return d.turn(d.call(wasmabi.OpStop, nil))
}

func (d *Device) batch(op wasmabi.Op, in *wasmabi.Input) (Emitted, error) {
	in.TimeNS = d.now.UnixNano()
	return d.call(op, wasmabi.AppendInput(nil, in))
}

func (d *Device) turn(e Emitted, err error) Emitted {
	d.t.Helper()
	d.must(err)
	return e
}

func (d *Device) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *Device) place(what, name string, all []string) uint32 {
	d.t.Helper()
	i := slices.Index(all, name)
	if i < 0 {
		d.t.Fatalf("the test declares no %s %s", what, name)
	}
	return uint32(i)
}

// call makes one call, and says what the device would be told of a failure.
func (d *Device) call(op wasmabi.Op, request []byte) (Emitted, error) {
	status, response := d.instance.Call(op, request)
	if status == wasmabi.StatusUnsupported {
		return Emitted{}, fmt.Errorf("the workload has no method for %s", op)
	}
	if status != wasmabi.StatusOK {
		e := new(wasmabi.Error)
		if err := wasmabi.DecodeError(response, e); err != nil {
			return Emitted{}, fmt.Errorf("%s: %s, and what was said of it can't be read: %w", op, status, err)
		}
		return Emitted{}, e
	}
	var m wasmabi.Emission
	if err := wasmabi.DecodeEmission(slices.Clone(response), &m); err != nil {
		return Emitted{}, err
	}
	return d.emitted(&m), nil
}
