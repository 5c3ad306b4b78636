// Command cpuboost is a policy written as an ordinary Extism plugin: it raises the frequency limit while the node is busy, and
// counts in a variable how often.
package main

import (
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/extism/go-pdk"
)

type observation struct {
	Seq        uint64             `json:"seq"`
	Parameters map[string]float64 `json:"parameters"`
	Metrics    map[string]struct {
		Value *float64 `json:"value"`
		Unit  string   `json:"unit"`
	} `json:"metrics"`
	Knobs map[string]struct {
		Mechanism string   `json:"mechanism"`
		Max       *float64 `json:"max"`
	} `json:"knobs"`
}

type verdict struct {
	Plan   bool    `json:"plan"`
	Why    string  `json:"why,omitempty"`
	Bounds []bound `json:"bounds,omitempty"`
}

type bound struct {
	Metric string  `json:"metric"`
	Above  float64 `json:"above"`
}

type change struct {
	Knob  string  `json:"knob"`
	Value float64 `json:"value"`
}

const busy = "node_cpu_utilisation_ratio"

func high() float64 {
	text, _ := pdk.GetConfig("high")
	v, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return 0.8
	}
	return v
}

//go:wasmexport analyze
func analyze() int32 {
	var o observation
	if err := json.Unmarshal(pdk.Input(), &o); err != nil {
		pdk.SetError(err)
		return 1
	}
	load := o.Metrics[busy].Value
	if load == nil {
		return answer(verdict{Why: "utilisation is not known"})
	}
	pdk.Log(pdk.LogInfo, fmt.Sprintf("utilisation %g", *load))
	return answer(verdict{Plan: *load > high(), Why: fmt.Sprintf("utilisation %g, high %g", *load, high()),
		Bounds: []bound{{busy, high()}}})
}

//go:wasmexport plan
func plan() int32 {
	var o observation
	if err := json.Unmarshal(pdk.Input(), &o); err != nil {
		pdk.SetError(err)
		return 1
	}
	count := 1
	if kept := pdk.GetVar("count"); len(kept) > 0 {
		count, _ = strconv.Atoi(string(kept))
		count++
	}
	pdk.SetVar("count", strconv.AppendInt(nil, int64(count), 10))
	var changes []change
	for name, k := range o.Knobs {
		if k.Max != nil {
			changes = append(changes, change{name, *k.Max})
		}
	}
	return answer(map[string]any{"why": fmt.Sprintf("busy for the %d. time", count), "changes": changes})
}

func answer(v any) int32 {
	if err := pdk.OutputJSON(v); err != nil {
		pdk.SetError(err)
		return 1
	}
	return 0
}

// misbehave is no operation of a policy: tests call it for what it does wrong.
//
//go:wasmexport misbehave
func misbehave() int32 {
	switch pdk.InputString() {
	case "loop":
		for {
		}
	case "panic":
		panic("at the disco")
	case "memory":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	case "blocks":
		for {
			pdk.Allocate(1 << 16)
		}
	case "log":
		for {
			pdk.Log(pdk.LogError, "again")
		}
	}
	return 7
}

func main() {}
