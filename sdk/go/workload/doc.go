// Package workload is what the author of an Edgehold workload imports: code that runs on a device and turns inputs into outputs. It
// is neither a policy (package policy decides about knobs of a node) nor an adapter, and it does no input or output of its own: what
// comes in and where outputs go is the device's business, set by data routes.
//
// A workload is a type with a Start method, registered in an init function of package main, and one or both of Input and Tick:
//
//	type average struct {
//		out      workload.Output
//		sum      float64
//		n        int
//	}
//
//	func init() { workload.Register(&average{}) }
//
//	func main() {}
//
//	func (a *average) Start(s *workload.Setup) error {
//		a.out = s.Output("temp_avg")
//		return nil
//	}
//
//	func (a *average) Input(t *workload.Turn, in workload.Value) error {
//		a.sum, a.n = a.sum+in.Number, a.n+1
//		t.Emit(a.out, a.sum/float64(a.n))
//		return nil
//	}
//
// The manifest, policy.yaml, says `kind: workload` and names inputs, outputs, properties, knobs and the tick. What it does not name does
// not exist. Package workloadtest runs the workload in a test, without Wasm.
//
// # What lives how long
//
// One instance lives from Start to Stop: fields and globals keep their values. When a method returns an error the workload goes on
// and the device reports it; when it panics, runs out of fuel or of memory, the device throws it away and starts it anew, less and less often. Knobs that it has turned go back to their defaults then, and when it stops.
//
// # Small devices
//
// Build it with TinyGo (`language: tinygo`): the module then imports nothing but the host, and its windows have 4 KiB each. fmt and encoding/json make a
// module many times as large.
package workload
