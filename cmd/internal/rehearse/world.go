package rehearse

import (
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strings"

	"github.com/edgehold/edgehold/cmd/internal/rehearse/report"
	"github.com/edgehold/edgehold/wasmabi"
)

// copies is how many knobs stand for a pattern.
const copies = 2

// world is a node as a policy's manifest suggests it, and what happens there: the same every time.
type world struct {
	init   *wasmabi.Init
	values []float64 // that are worth seeing: around the parameters and the bounds
	input  *report.Input
	random *rand.Rand
	now    int64
}

func newWorld(m *wasmabi.Manifest, input *report.Input) *world {
	w := &world{init: wasmabi.NewInit(m), input: input, random: rand.New(rand.NewPCG(1, 2)), now: 1_700_000_000_000_000_000}
	w.init.Asset = "rehearsal"
	for i, r := range m.Mechanisms {
		w.init.Mechanisms = append(w.init.Mechanisms, r.Name)
		w.init.Knobs = append(w.init.Knobs, knobs(uint32(i), r)...)
	}
	for _, p := range m.Parameters {
		w.around(p.Default)
	}
	for _, b := range m.Wake {
		w.around(b.Above)
		w.around(b.Below)
	}
	w.values = append(w.values, 0, 0.5, 1, 100)
	return w
}

func (w *world) around(v float64) {
	if !math.IsNaN(v) && !math.IsInf(v, 0) {
		w.values = append(w.values, v/2, v*0.99, v*1.01, v*2)
	}
}

// units of mechanisms that are known; others get numbers from 0 to 100.
var units = map[string]wasmabi.KnobInfo{
	"CPUFrequency": {Unit: "Hz", Min: 800e6, Max: 3.5e9},
	"Powercap":     {Unit: "W", Min: 5, Max: 100},
}

// knobs are such as a mechanism would offer for the patterns that are asked for.
func knobs(mechanism uint32, r wasmabi.MechanismRequest) []wasmabi.KnobInfo {
	patterns := r.Knobs
	if len(patterns) == 0 {
		patterns = []string{"*"}
	}
	var all []wasmabi.KnobInfo
	for _, pattern := range patterns {
		for n := range copies {
			name := strings.ReplaceAll(pattern, "*", fmt.Sprintf("policy%d", n))
			k, known := units[r.Name]
			if !known {
				k.Max = 100
			}
			k.Name, k.Mechanism, k.Kind, k.Step = name, mechanism, wasmabi.KnobNumber, math.NaN()
			all = append(all, k)
			if name == pattern { // it names one knob
				break
			}
		}
	}
	return all[:min(len(all), wasmabi.MaxKnobs)]
}

// observation is what the node tells in pass n.
func (w *world) observation(n int) *wasmabi.Observation {
	w.now += int64(4e9)
	o := &wasmabi.Observation{Seq: uint64(n) + 1, TimeNS: w.now}
	for i, m := range w.init.Metrics {
		value, age := w.values[w.random.IntN(len(w.values))], uint32(w.random.IntN(1000))
		if w.input != nil {
			value, age = recorded(w.input, m.Name)
		}
		o.IDs, o.Values, o.AgesMS = append(o.IDs, uint32(i)), append(o.Values, value), append(o.AgesMS, age)
	}
	for i, k := range w.init.Knobs {
		o.KnobIDs, o.KnobValues = append(o.KnobIDs, uint32(i)), append(o.KnobValues, k.Min)
	}
	return o
}

// ReadInput reads what every pass is to see.
func ReadInput(path string) (*report.Input, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the input: %w", err)
	}
	input := new(report.Input)
	if err := json.Unmarshal(text, input); err != nil {
		return nil, fmt.Errorf("read the input %s: %w", path, err)
	}
	return input, nil
}

// recorded finds a metric in a decision's input; what is not there is missing.
func recorded(input *report.Input, metric string) (float64, uint32) {
	for _, v := range input.Values {
		if v.Metric == metric {
			return v.Value, v.AgeMS
		}
	}
	return math.NaN(), wasmabi.AgeMissing
}
