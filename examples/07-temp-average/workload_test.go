package main

import (
	"testing"

	"github.com/edgehold/edgehold/sdk/go/workload"
	"github.com/edgehold/edgehold/wasmabi"
)

// device has a sensor, or none.
type device struct{ celsius []byte }

func (d device) Call(op uint32, _ []byte) (wasmabi.Status, []byte) {
	if op != wasmabi.HandleDeviceRead || d.celsius == nil {
		return wasmabi.StatusHost, wasmabi.AppendError(nil, &wasmabi.Error{Code: wasmabi.CodeFailed, Message: "no sensor"})
	}
	return wasmabi.StatusOK, d.celsius
}

func call(t *testing.T, i *workload.Instance, op wasmabi.Op, request []byte) (m wasmabi.Emission) {
	t.Helper()
	status, response := i.Call(op, request)
	if status != wasmabi.StatusOK {
		t.Fatalf("%s: %s", op, status)
	}
	if err := wasmabi.DecodeEmission(response, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func started(t *testing.T, d device) *workload.Instance {
	i := workload.NewInstance(&average{}).On(d)
	call(t, i, wasmabi.OpStart, wasmabi.AppendStart(nil, &wasmabi.Start{
		Outputs: []string{"temp_avg"}, Properties: []string{"temperature"}, Parameters: []float64{2}, ParameterNames: []string{"window"},
	}))
	return i
}

func TestAverageOfInputs(t *testing.T) {
	i := started(t, device{})
	for _, step := range []struct{ in, want float64 }{{20, 20}, {22, 21}, {24, 23}} {
		m := call(t, i, wasmabi.OpInput, wasmabi.AppendInput(nil, &wasmabi.Input{IDs: []uint32{0}, Values: []float64{step.in}}))
		if len(m.Values) != 1 || m.Values[0] != step.want {
			t.Errorf("after %v: got %v, want %v", step.in, m.Values, step.want)
		}
	}
	if m := call(t, i, wasmabi.OpTick, wasmabi.AppendInput(nil, &wasmabi.Input{})); len(m.Values) != 0 {
		t.Errorf("without a sensor a tick gives %v", m.Values)
	}
}

func TestAverageOfTheSensor(t *testing.T) {
	i := started(t, device{celsius: []byte{0, 0, 0, 0, 0, 0, 0x34, 0x40}}) // 20
	if m := call(t, i, wasmabi.OpTick, wasmabi.AppendInput(nil, &wasmabi.Input{})); len(m.Values) != 1 || m.Values[0] != 20 {
		t.Errorf("got %v", m.Values)
	}
}
