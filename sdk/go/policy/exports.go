//go:build wasm || tinygo.wasm

package policy

import (
	"unsafe"

	"github.com/edgehold/edgehold/wasmabi"
)

// The windows are static, so that the host's writes need no allocation and the frozen image holds them as zeros.
var (
	requestWindow  [wasmabi.DefaultRequestWindow]byte
	responseWindow [wasmabi.DefaultResponseWindow]byte
	windowRecord   [wasmabi.WindowSize / 4]uint32
)

func init() { rehearse() }

//go:wasmexport edgehold_abi_v1
func exportMarker() {}

//go:wasmexport edgehold_window
func exportWindow() uint32 {
	windowRecord = [...]uint32{
		address(&requestWindow[0]), uint32(len(requestWindow)),
		address(&responseWindow[0]), uint32(len(responseWindow)),
	}
	return uint32(uintptr(unsafe.Pointer(&windowRecord)))
}

func address(p *byte) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }

//go:wasmexport edgehold_call
func exportCall(op, requestLength uint32) uint64 {
	if requestLength > uint32(len(requestWindow)) {
		return wasmabi.Pack(wasmabi.StatusInvalid, 0)
	}
	status, response := registered.Call(wasmabi.Op(op), requestWindow[:requestLength])
	if len(response) > len(responseWindow) {
		return wasmabi.Pack(wasmabi.StatusTooLarge, 0)
	}
	return wasmabi.Pack(status, uint32(copy(responseWindow[:], response)))
}

//go:wasmimport edgehold1 log
func hostLog(level uint32, text unsafe.Pointer, size uint32)

func writeLog(level wasmabi.Level, text string) {
	hostLog(uint32(level), unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}
