//go:build wasm || tinygo.wasm

package adapter

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

// headroom is heap that is touched once while the image is made: memory that grows later can't be taken back by a reset.
const headroom = 256 << 10

var spare []byte

func init() {
	spare = make([]byte, headroom)
	for i := 0; i < len(spare); i += 4096 {
		spare[i] = 1
	}
	spare = nil
}

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

//go:wasmimport edgehold1 call
func hostCall(handle, op uint32, in unsafe.Pointer, inLength uint32, out unsafe.Pointer, outCapacity uint32) uint64

// theHost is the module's own.
var theHost Host = imported{}

type imported struct{}

// firstResult is how much room the first try for a result has.
const firstResult = 2 << 10

// Call asks the host, and once more with room enough when the result was longer: that has no second effect.
func (imported) Call(handle, op uint32, in []byte) (wasmabi.Status, []byte) {
	out := make([]byte, firstResult)
	for {
		status, n := wasmabi.Unpack(hostCall(handle, op, unsafe.Pointer(unsafe.SliceData(in)), uint32(len(in)), unsafe.Pointer(unsafe.SliceData(out)), uint32(len(out))))
		if status != wasmabi.StatusMore {
			return status, out[:min(int(n), len(out))]
		}
		out = make([]byte, n)
	}
}
