//go:build wasm || tinygo.wasm

package main

import (
	"unsafe"

	"github.com/edgehold/edgehold/wasmabi"
)

var (
	request, response [wasmabi.DefaultRequestWindow]byte
	record            [4]uint32
)

//go:wasmexport edgehold_abi_v1
func marker() {}

//go:wasmexport edgehold_window
func window() uint32 {
	record = [4]uint32{address(&request[0]), uint32(len(request)), address(&response[0]), uint32(len(response))}
	return uint32(uintptr(unsafe.Pointer(&record)))
}

func address(p *byte) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }

//go:wasmexport edgehold_call
func call(_, length uint32) uint64 {
	for i, b := range request[:length] {
		if b == 0 {
			return answer(string(request[:i]), request[i+1:length])
		}
	}
	return wasmabi.Pack(wasmabi.StatusUnsupported, 0)
}

func answer(message string, b []byte) uint64 {
	switch message {
	case "init":
		return again(b, wasmabi.DecodeInit, wasmabi.AppendInit)
	case "observation":
		return again(b, wasmabi.DecodeObservation, wasmabi.AppendObservation)
	case "analysis":
		return again(b, wasmabi.DecodeAnalysis, wasmabi.AppendAnalysis)
	case "plan":
		return again(b, wasmabi.DecodePlan, wasmabi.AppendPlan)
	case "error":
		return again(b, wasmabi.DecodeError, wasmabi.AppendError)
	case "migrate":
		return again(b, wasmabi.DecodeMigrate, wasmabi.AppendMigrate)
	}
	return wasmabi.Pack(wasmabi.StatusUnsupported, 0)
}

func again[T any](b []byte, decode func([]byte, *T) error, encode func([]byte, *T) []byte) uint64 {
	m := new(T)
	if decode(b, m) != nil {
		return wasmabi.Pack(wasmabi.StatusInvalid, 0)
	}
	return wasmabi.Pack(wasmabi.StatusOK, uint32(copy(response[:], encode(nil, m))))
}
