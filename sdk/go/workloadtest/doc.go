// Package workloadtest runs a workload in plain `go test`, without Wasm and without a device. It has no clock that runs and no routes:
// a test hands in what would come.
//
// A [Device] speaks the same calls and bytes as the real one:
//
//	func TestMean(t *testing.T) {
//		d := workloadtest.New(t, &mean{})
//		d.Inputs("value")
//		d.Outputs("mean")
//		d.Property("temperature", 24)
//		d.Start()
//
//		d.Receive("value", 20).Want("mean", 20)
//		d.Tick().Want("mean", 22)
//	}
package workloadtest
