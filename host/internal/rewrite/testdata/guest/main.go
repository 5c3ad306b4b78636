//go:build wasip1

// A guest as a Go policy author's compiler makes it: one export decodes a columnar observation and averages it, the others
// do what policies do between: sort, and count in maps.
package main

import (
	"sort"

	"github.com/edgehold/edgehold/wasmabi"
)

var (
	request     []byte
	observation wasmabi.Observation
	analysis    wasmabi.Analysis
	response    [1 << 12]byte
	means       [36]float64
	words       = []string{"node", "cluster", "continuum", "policy", "mechanism", "lease", "knob", "plan"}
)

func main() {}

func init() {
	for i := range 36 {
		observation.IDs = append(observation.IDs, uint32(i))
		observation.Values = append(observation.Values, float64(i*i%17))
		observation.AgesMS = append(observation.AgesMS, uint32(i))
	}
	observation.Seq, observation.TimeNS = 1, 1
	request = wasmabi.AppendObservation(nil, &observation)
}

//go:wasmexport columns
func columns() {
	if err := wasmabi.DecodeObservation(request, &observation); err != nil {
		panic(err)
	}
	sum := 0.0
	for i, v := range observation.Values {
		means[i] += (v - means[i]) / 8
		sum += means[i]
	}
	analysis = wasmabi.Analysis{Seq: observation.Seq, Plan: sum > 100, NextMS: 100}
	wasmabi.AppendAnalysis(response[:0], &analysis)
}

//go:wasmexport sort
func sortExport() {
	var v [100]int
	for i := range v {
		v[i] = i * 7919 % 101
	}
	sort.Ints(v[:])
	if v[0] > v[99] {
		panic("not sorted")
	}
}

//go:wasmexport maps
func mapsExport() {
	m := map[string]int{}
	for i := range 64 {
		m[words[i%len(words)]] += i
	}
	if len(m) != len(words) {
		panic("lost words")
	}
}
