// Package data makes windows of vibration as an accelerometer on a fan would see them. It is a model and no measurement: turning at 20 to 30 Hz,
// a healthy fan shakes a little at that frequency and its double; one out of balance shakes several times as much at the frequency itself; a worn bearing adds
// bursts that ring at 100 to 140 Hz, several in each turn. All have noise, and gravity as an offset.
package data

import (
	"math"
	"math/rand/v2"

	"github.com/edgehold/edgehold/examples/08-tinyml-vibration/model"
)

// Rate is how many samples there are in a second.
const Rate = 400

// Window is one example.
type Window struct {
	Samples [model.Samples]int16 // milli g
	Class   int
}

// Make returns n windows, the classes in turn. The same seed gives the same windows.
func Make(n int, seed uint64) []Window {
	r := rand.New(rand.NewPCG(seed, 8))
	all := make([]Window, n)
	for i := range all {
		all[i] = one(r, i%model.Classes)
	}
	return all
}

func one(r *rand.Rand, class int) Window {
	w := Window{Class: class}
	turn := 20 + 10*r.Float64()
	phase := 2 * math.Pi * r.Float64()
	noise := 4 + 8*r.Float64()
	offset := 1000 + 40*r.NormFloat64()
	first, second, burst := 0.0, 0.0, 0.0
	switch class {
	case model.Healthy:
		first, second = 25+35*r.Float64(), 10+15*r.Float64()
	case model.Imbalance:
		first, second = 160+240*r.Float64(), 15+40*r.Float64()
	case model.Bearing:
		first, second, burst = 25+60*r.Float64(), 10+25*r.Float64(), 80+140*r.Float64()
	}
	ring, each := 100+40*r.Float64(), turn*(3+1.5*r.Float64())
	for i := range w.Samples {
		t := float64(i) / Rate
		v := first*math.Sin(2*math.Pi*turn*t+phase) + second*math.Sin(4*math.Pi*turn*t+2*phase)
		since := math.Mod(t+phase, 1/each)
		v += burst * math.Exp(-since*60) * math.Sin(2*math.Pi*ring*since)
		w.Samples[i] = int16(math.Round(offset + v + noise*r.NormFloat64()))
	}
	return w
}
