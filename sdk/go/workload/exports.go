//go:build wasm || tinygo.wasm

package workload

import (
	"unsafe"

	"github.com/edgehold/edgehold/wasmabi"
)

// window is the size of each window: a workload is for small devices, and its messages are small.
const window = 4 << 10

// The windows are static, so that the host's writes need no allocation and the frozen image holds them as zeros.
var (
	requestWindow  [window]byte
	responseWindow [window]byte
	windowRecord   [wasmabi.WindowSize / 4]uint32
)

//go:wasmexport edgehold_abi_v1
func exportMarker() {}

//go:wasmexport edgehold_window
func exportWindow() uint32 {
	windowRecord = [...]uint32{address(&requestWindow[0]), window, address(&responseWindow[0]), window}
	return uint32(uintptr(unsafe.Pointer(&windowRecord)))
}

func address(p *byte) uint32 { return uint32(uintptr(unsafe.Pointer(p))) }

//go:wasmexport edgehold_call
func exportCall(op, requestLength uint32) uint64 {
	if requestLength > window {
		return wasmabi.Pack(wasmabi.StatusInvalid, 0)
	}
	status, response := registered.Call(wasmabi.Op(op), requestWindow[:requestLength])
	if len(response) > window {
		return wasmabi.Pack(wasmabi.StatusTooLarge, 0)
	}
	return wasmabi.Pack(status, uint32(copy(responseWindow[:], response)))
}

//go:wasmimport edgehold1 log
func hostLog(level uint32, text unsafe.Pointer, size uint32)

func writeLog(level wasmabi.Level, text string) {
	hostLog(uint32(level), unsafe.Pointer(unsafe.StringData(text)), uint32(len(text)))
}

//go:wasmimport edgehold1 call
func hostCall(handle, op uint32, in unsafe.Pointer, inLength uint32, out unsafe.Pointer, outCapacity uint32) uint64

// theHost is the module's own.
var theHost Host = imported{}

type imported struct{}

// results has room for what the device answers; a longer answer is asked for again, which has no second effect.
var results [256]byte

// Call asks the device. The result holds until the next call.
func (imported) Call(op uint32, in []byte) (wasmabi.Status, []byte) {
	out := results[:]
	for {
		status, n := wasmabi.Unpack(hostCall(wasmabi.HandleDevice, op, unsafe.Pointer(unsafe.SliceData(in)), uint32(len(in)), unsafe.Pointer(unsafe.SliceData(out)), uint32(len(out))))
		if status != wasmabi.StatusMore {
			return status, out[:min(int(n), len(out))]
		}
		out = make([]byte, n)
	}
}
