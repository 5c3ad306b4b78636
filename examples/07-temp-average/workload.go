// Command temp-average is a workload: the moving average of a temperature, of the device's own sensor and of what a route brings.
package main

import "github.com/edgehold/edgehold/sdk/go/workload"

// maxWindow is the manifest's bound of the parameter.
const maxWindow = 64

type average struct {
	temperature workload.Property
	out         workload.Output

	readings [maxWindow]float64
	window   int
	seen     int // of all time
}

func init() { workload.Register(&average{}) }

func main() {}

func (a *average) Start(s *workload.Setup) error {
	a.temperature, a.out = s.Property("temperature"), s.Output("temp_avg")
	a.window = int(s.Parameter("window"))
	return nil
}

// Tick takes the sensor's value; a device without one averages what comes in.
func (a *average) Tick(t *workload.Turn) error {
	v, err := a.temperature.Number()
	if err != nil {
		return nil
	}
	a.add(t, v)
	return nil
}

func (a *average) Input(t *workload.Turn, v workload.Value) error {
	a.add(t, v.Number)
	return nil
}

func (a *average) add(t *workload.Turn, v float64) {
	a.readings[a.seen%a.window] = v
	a.seen++
	n := min(a.seen, a.window)
	sum := 0.0
	for _, r := range a.readings[:n] {
		sum += r
	}
	t.Emit(a.out, sum/float64(n))
}
