// Command fan-state is a workload with a neural network: it tells from a machine's vibration whether it is off, healthy, out of balance or has a worn
// bearing. Network and features compute in integers; weights.go in model is what train made.
package main

import (
	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/model"
	"github.com/edgehold/edgehold/sdk/go/workload"
)

type watch struct {
	state, label, confidence workload.Output
	window                   [model.Samples]int16
}

func init() { workload.Register(&watch{}) }

func main() {}

func (w *watch) Start(s *workload.Setup) error {
	w.state, w.label, w.confidence = s.Output("state"), s.Output("label"), s.Output("confidence")
	return nil
}

func (w *watch) Input(t *workload.Turn, v workload.Value) error {
	if len(v.Bytes) != 2*model.Samples {
		return workload.Error("a window is 64 samples of 2 bytes")
	}
	for i := range w.window {
		w.window[i] = int16(uint16(v.Bytes[2*i]) | uint16(v.Bytes[2*i+1])<<8)
	}
	class, margin := model.Classify(&w.window)
	t.Emit(w.state, float64(class))
	t.EmitBytes(w.label, []byte(model.Names[class]))
	t.Emit(w.confidence, float64(margin)/255)
	return nil
}
