// Command cpuboost is a policy written as an ordinary Extism plugin: it raises the frequency limit while the node is busy,
// lowers it when it is not, and counts its plans in a variable.
package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

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
		Value *number  `json:"value"`
		Min   *float64 `json:"min"`
		Max   *float64 `json:"max"`
	} `json:"knobs"`
}

// number is a knob's value; that of a choice is a text, which is none of our business.
type number float64

func (n *number) UnmarshalJSON(b []byte) error {
	v, _ := strconv.ParseFloat(string(b), 64)
	*n = number(v)
	return nil
}

type verdict struct {
	Plan   bool    `json:"plan"`
	Why    string  `json:"why,omitempty"`
	Bounds []bound `json:"bounds,omitempty"`
}

type bound struct {
	Metric string  `json:"metric"`
	Above  float64 `json:"above"`
	Below  float64 `json:"below"`
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

// target is where a knob should be, and whether it is this policy's business.
func (o *observation) target(name string, load float64) (to float64, ours bool) {
	k := o.Knobs[name]
	if !strings.HasSuffix(name, "/max_frequency") || k.Min == nil || k.Max == nil {
		return 0, false
	}
	if load > high() {
		return *k.Max, true
	}
	return *k.Min, true
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
	v := verdict{Why: fmt.Sprintf("utilisation %g, high %g", *load, high()), Bounds: []bound{{busy, high(), high()}}}
	for name, k := range o.Knobs {
		if to, ours := o.target(name, *load); ours && (k.Value == nil || float64(*k.Value) != to) {
			v.Plan = true
		}
	}
	return answer(v)
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
	for name := range o.Knobs {
		if to, ours := o.target(name, *o.Metrics[busy].Value); ours {
			changes = append(changes, change{name, to})
		}
	}
	slices.SortFunc(changes, func(a, b change) int { return strings.Compare(a.Knob, b.Knob) })
	return answer(map[string]any{"why": fmt.Sprintf("plan %d", count), "changes": changes})
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
