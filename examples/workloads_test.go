package examples

import (
	"context"
	"encoding/binary"
	"os/exec"
	"testing"
	"time"

	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/data"
	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/model"
	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/plugins/pluginstest"
	"github.com/edgehold/edgehold/wasmabi"
)

// onDevice runs a workload as a device does: interpreted, under the limits of its manifest, one instance for good.
type onDevice struct {
	t *testing.T
	*host.Module
}

func startWorkload(t *testing.T, dir string) onDevice {
	t.Helper()
	module, err := pluginstest.TinyGo("./" + dir)
	pluginstest.Need(t, err)
	r, err := host.New(t.Context(), host.Config{Engine: host.Interpreter, InProcess: true, MaxInstances: 1, Limits: host.Limits{Memory: 256 << 10, Deadline: time.Minute}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(context.Background()) })
	m, err := r.Prepare(t.Context(), pluginstest.Patient(t, pluginstest.Pack(t, dir, module)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	w := onDevice{t, m}
	s := wasmabi.Start{Name: m.Manifest().Name}
	for _, p := range m.Manifest().Workload.Inputs {
		s.Inputs = append(s.Inputs, p.Name)
	}
	for _, p := range m.Manifest().Workload.Outputs {
		s.Outputs = append(s.Outputs, p.Name)
	}
	w.call(wasmabi.OpStart, wasmabi.AppendStart(nil, &s))
	return w
}

func (w onDevice) call(op wasmabi.Op, request []byte) (m wasmabi.Emission) {
	w.t.Helper()
	s, err := w.Begin(w.t.Context(), host.SessionConfig{Time: time.Unix(1e9, 0), Warm: true})
	if err != nil {
		w.t.Fatal(err)
	}
	defer s.Close()
	response, err := s.Call(w.t.Context(), op, request)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := wasmabi.DecodeEmission(append([]byte(nil), response...), &m); err != nil {
		w.t.Fatal(err)
	}
	return m
}

// The network on the device gives what the same network gives natively, and is right about windows that it has not seen.
func TestTinyMLUnderTheHost(t *testing.T) {
	if _, err := exec.LookPath("go"); err != nil {
		t.Skip(err)
	}
	w := startWorkload(t, "08-tinyml-vibration")
	const windows = 400
	right := 0
	for _, window := range data.Make(windows, 300) {
		var raw []byte
		for _, v := range window.Samples {
			raw = binary.LittleEndian.AppendUint16(raw, uint16(v))
		}
		m := w.call(wasmabi.OpInput, wasmabi.AppendInput(nil, &wasmabi.Input{DataIDs: []uint32{0}, Data: [][]byte{raw}}))
		class, margin := model.Classify(&window.Samples)
		if len(m.Values) != 2 || int(m.Values[0]) != class || m.Values[1] != float64(margin)/255 || string(m.Data[0]) != model.Names[class] {
			t.Fatalf("the device says %v, %s; natively it is %s", m.Values, m.Data, model.Names[class])
		}
		if class == window.Class {
			right++
		}
	}
	if right*100 < windows*96 {
		t.Errorf("%d of %d are told rightly", right, windows)
	}
	s := w.Stats()
	t.Logf("%d bytes of memory, %d units of fuel for a window, %v each", s.MemoryBytes, s.Fuel.Quantile(0.5), time.Duration(s.Latency.Quantile(0.5)))
}
