package wasmabi

// WindowSize is the size in bytes of the record at the address that [ExportWindow] returns.
const WindowSize = 16

// Window locates the two windows in the guest's memory: four little endian 32-bit numbers.
type Window struct {
	RequestPtr, RequestCap   uint32
	ResponsePtr, ResponseCap uint32
}

// ParseWindow reads the record from the first [WindowSize] bytes of b. It reports false when b is shorter. Whether
// the windows lie in memory is the host's question.
func ParseWindow(b []byte) (Window, bool) {
	if len(b) < WindowSize {
		return Window{}, false
	}
	return Window{
		RequestPtr:  little32(b),
		RequestCap:  little32(b[4:]),
		ResponsePtr: little32(b[8:]),
		ResponseCap: little32(b[12:]),
	}, true
}
