package workloadtest

import (
	"testing"
	"time"

	"github.com/edgehold/edgehold/wasmabi"
)

// Emitted is what one turn gave, in its order.
type Emitted struct {
	Numbers []Number
	Bytes   []Bytes
	Next    time.Duration // until the next tick; 0: the manifest's holds

	t testing.TB
}

// Number is a value of an output of type number.
type Number struct {
	Output string
	Value  float64
}

// Bytes is a value of an output of type bytes.
type Bytes struct {
	Output string
	Value  []byte
}

func (d *Device) emitted(m *wasmabi.Emission) Emitted {
	e := Emitted{Next: time.Duration(m.NextMS) * time.Millisecond, t: d.t}
	for i, id := range m.IDs {
		e.Numbers = append(e.Numbers, Number{d.output(id), m.Values[i]})
	}
	for i, id := range m.DataIDs {
		e.Bytes = append(e.Bytes, Bytes{d.output(id), m.Data[i]})
	}
	return e
}

func (d *Device) output(id uint32) string {
	if int(id) >= len(d.start.Outputs) {
		d.t.Fatalf("the workload emits to output %d, which was not found at the start", id)
	}
	return d.start.Outputs[id]
}

// Want fails the test unless the output's last value is this.
func (e Emitted) Want(output string, value float64) {
	e.t.Helper()
	for i := len(e.Numbers) - 1; i >= 0; i-- {
		if n := e.Numbers[i]; n.Output == output {
			if n.Value != value {
				e.t.Errorf("%s is %v, want %v", output, n.Value, value)
			}
			return
		}
	}
	e.t.Errorf("there is no %s, want %v; emitted is %v", output, value, e.Numbers)
}

// WantNothing fails the test if there is anything.
func (e Emitted) WantNothing() {
	e.t.Helper()
	if len(e.Numbers) > 0 || len(e.Bytes) > 0 {
		e.t.Errorf("emitted are %v and %q, want nothing", e.Numbers, e.Bytes)
	}
}
