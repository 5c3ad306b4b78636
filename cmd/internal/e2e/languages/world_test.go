package languages

import (
	"math"
	"strconv"

	"github.com/edgehold/edgehold/wasmabi"
)

const (
	busy      = "node_cpu_utilisation_ratio"
	mechanism = "CPUFrequency"
)

var nan = math.NaN()

// newInit grants knobs to the example, on a node that has what it asks for.
func newInit(knobs ...wasmabi.KnobInfo) *wasmabi.Init {
	return &wasmabi.Init{
		Policy: "cpu-boost", Version: "1.0.0", Scope: wasmabi.ScopeNode, Asset: "node-7", Layer: wasmabi.LayerNode,
		Metrics:        []wasmabi.MetricInfo{{Name: busy, Unit: "ratio"}},
		Mechanisms:     []string{mechanism},
		Parameters:     []float64{0.8, 0.3, 10},
		ParameterNames: []string{"high", "low", "calm"},
		ContextSchema:  1,
		Knobs:          knobs,
	}
}

func frequency(number int, least, most float64) wasmabi.KnobInfo {
	return wasmabi.KnobInfo{
		Name: "policy" + strconv.Itoa(number) + "/max_frequency", Unit: "Hz", Kind: wasmabi.KnobNumber,
		Min: least, Max: most, Step: nan,
	}
}

func governor() wasmabi.KnobInfo {
	return wasmabi.KnobInfo{
		Name: "policy0/governor", Kind: wasmabi.KnobChoice, Min: nan, Max: nan, Step: nan, Choices: []string{"performance", "powersave"},
	}
}

// frequencies are n knobs with ranges of their own, every third with a table.
func frequencies(n int) []wasmabi.KnobInfo {
	var knobs []wasmabi.KnobInfo
	for i := range n {
		k := frequency(i, 8e8, 3.5e9+float64(i)*1e5)
		if i%3 == 2 {
			k.Table = []float64{1.2e9, 9e8, 2.4e9 + float64(i)}
		}
		knobs = append(knobs, k)
	}
	return knobs
}

// observed is an observation of metric 0 alone.
func observed(second int64, value float64, ageMS uint32) *wasmabi.Observation {
	return &wasmabi.Observation{
		Seq: uint64(second), TimeNS: 1_700_000_000_000_000_000 + second*1_000_000_000,
		IDs: []uint32{0}, Values: []float64{value}, AgesMS: []uint32{ageMS},
	}
}
