//go:build wasip1

package main

import (
	"unsafe"

	"github.com/edgehold/edgehold/cmd/internal/bench/policy"
	"github.com/edgehold/edgehold/wasmabi"
)

var (
	request  [wasmabi.DefaultRequestWindow]byte
	response [wasmabi.DefaultResponseWindow]byte
	window   [4]uint32

	observation wasmabi.Observation
	plan        wasmabi.Plan
	actions     []policy.Action
)

//go:wasmexport edgehold_abi_v1
func marker() {}

//go:wasmexport edgehold_window
func describeWindow() uint32 {
	window = [4]uint32{address(&request[0]), uint32(len(request)), address(&response[0]), uint32(len(response))}
	return uint32(uintptr(unsafe.Pointer(&window)))
}

func address(b *byte) uint32 { return uint32(uintptr(unsafe.Pointer(b))) }

//go:wasmexport edgehold_call
func call(op, length uint32) uint64 {
	if wasmabi.Op(op) != wasmabi.OpPlan {
		return wasmabi.Pack(wasmabi.StatusOK, 0)
	}
	if wasmabi.DecodeObservation(request[:length], &observation) != nil {
		return wasmabi.Pack(wasmabi.StatusInvalid, 0)
	}
	actions = policy.Decide(observation.Values, actions[:0])
	plan.Why = ""
	if variant(0) != 0 {
		plan.Why = "variant"
	}
	write(&plan, actions)
	return wasmabi.Pack(wasmabi.StatusOK, uint32(len(wasmabi.AppendPlan(response[:0], &plan))))
}

// Columns of the plan, as long as it can get.
var (
	mechanisms, verbs, knobs, leases [policy.MaxActions]uint32
	settings                         [policy.MaxActions]float64
)

func write(p *wasmabi.Plan, actions []policy.Action) {
	n := len(actions)
	p.Seq = observation.Seq
	p.Mechanisms, p.Verbs, p.Knobs, p.Values, p.LeaseMS = mechanisms[:n], verbs[:n], knobs[:n], settings[:n], leases[:n]
	for i, a := range actions {
		knobs[i], settings[i] = a.Target, a.Value
	}
}
