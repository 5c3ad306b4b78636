// Command hostile is a policy that answers whatever its parameter says, by the ABI and not by the SDK.
package main

import (
	"math"
	"strings"
	"unsafe"

	"github.com/edgehold/edgehold/wasmabi"
)

var (
	request  [wasmabi.DefaultRequestWindow]byte
	response [wasmabi.DefaultResponseWindow]byte
	record   [4]uint32
	setup    wasmabi.Init
	kept     []byte
	seen     wasmabi.Observation
)

func main() {}

//go:wasmexport edgehold_abi_v1
func marker() {}

//go:wasmexport edgehold_window
func window() uint32 {
	at := func(p *byte) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }
	record = [...]uint32{at(&request[0]), uint32(len(request)), at(&response[0]), uint32(len(response))}
	return uint32(uintptr(unsafe.Pointer(&record)))
}

//go:wasmexport edgehold_call
func call(op, n uint32) uint64 {
	switch wasmabi.Op(op) {
	case wasmabi.OpInit:
		if err := wasmabi.DecodeInit(append([]byte(nil), request[:n]...), &setup); err != nil {
			return wasmabi.Pack(wasmabi.StatusInvalid, 0)
		}
		kept = setup.Context
		return wasmabi.Pack(wasmabi.StatusOK, 0)
	case wasmabi.OpAnalyze:
		_ = wasmabi.DecodeObservation(append([]byte(nil), request[:n]...), &seen)
		return answer(wasmabi.AppendAnalysis(nil, analysis(mode())))
	case wasmabi.OpPlan:
		return answer(wasmabi.AppendPlan(nil, plan(mode())))
	case wasmabi.OpSnapshot:
		return answer(snapshot(mode()))
	}
	return wasmabi.Pack(wasmabi.StatusUnsupported, 0)
}

func mode() int { return int(setup.Parameters[0]) }

func answer(b []byte) uint64 {
	return wasmabi.Pack(wasmabi.StatusOK, uint32(copy(response[:], b)))
}

func snapshot(mode int) []byte {
	switch mode {
	case 1:
		return append(kept, make([]byte, 8<<10)...)
	case 2:
		return make([]byte, len(response))
	}
	return kept
}

func analysis(mode int) *wasmabi.Analysis {
	a := &wasmabi.Analysis{Seq: seen.Seq, Plan: true, Why: "because"}
	nan := math.NaN()
	bound := func(id uint32, above, below float64) {
		a.BoundIDs, a.Above, a.Below = append(a.BoundIDs, id), append(a.Above, above), append(a.Below, below)
	}
	switch mode {
	case 3:
		a.Why = strings.Repeat("why? ", 800)
	case 4:
		a.Why = "\xff\xfe\x00\x1b[31m</script>\u202e"
	case 5:
		a.NextMS = 1
	case 6:
		a.NextMS = math.MaxUint32
	case 7:
		for range wasmabi.MaxSettings {
			bound(0, 0, 0)
		}
	case 8:
		bound(math.MaxUint32, 1, nan)
	case 9:
		bound(0, nan, nan)
		bound(0, math.Inf(1), math.Inf(-1))
	case 10:
		a.Seq = math.MaxUint64
	}
	return a
}

func plan(mode int) *wasmabi.Plan {
	p := &wasmabi.Plan{Seq: seen.Seq, Why: "so"}
	add := func(mechanism, verb, knob uint32, value float64, lease uint32) {
		p.Mechanisms, p.Verbs, p.Knobs = append(p.Mechanisms, mechanism), append(p.Verbs, verb), append(p.Knobs, knob)
		p.Values, p.LeaseMS = append(p.Values, value), append(p.LeaseMS, lease)
	}
	switch mode {
	case 3:
		p.Why = strings.Repeat("so! ", 1000)
	case 4:
		p.Why = "\xc3\x28"
	case 11:
		add(0, wasmabi.VerbSet, 0, math.NaN(), 0)
	case 12:
		add(0, wasmabi.VerbSet, 0, math.Inf(1), 0)
	case 13:
		add(0, wasmabi.VerbSet, math.MaxUint32-1, 1, 0)
	case 14:
		for range wasmabi.MaxSettings {
			add(0, wasmabi.VerbSet, 0, 1.2e9, 0)
		}
	case 15:
		add(0, 99, 0, 1, 0)
	case 16:
		add(0, wasmabi.VerbSet, wasmabi.AllKnobs, 1, 0)
	case 17:
		add(math.MaxUint32, wasmabi.VerbSet, 0, 1, 0)
	case 18:
		for id := range setup.Knobs {
			add(0, wasmabi.VerbSet, uint32(id), -1e300, math.MaxUint32)
		}
	case 19:
		for id := range setup.Knobs {
			add(0, wasmabi.VerbSet, uint32(id), 0, 1)
		}
	case 20:
		add(0, wasmabi.VerbReset, wasmabi.AllKnobs, math.NaN(), math.MaxUint32)
		add(0, wasmabi.VerbReset, 0, math.NaN(), 0)
	}
	return p
}
