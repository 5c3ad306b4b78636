//go:build 386 || amd64 || arm || arm64 || loong64 || mips64le || mipsle || ppc64le || riscv64 || wasm

package wasmabi

import "unsafe"

// On a little endian machine a column is the array's own bytes, and a copy is one memmove. Go's compiler does not
// merge byte loads on wasm, so the portable loop would cost eight loads for each number there.

func appendRaw32(b []byte, v []uint32) []byte {
	return append(b, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*4)...)
}

func appendRaw64(b []byte, v []float64) []byte {
	return append(b, unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(v))), len(v)*8)...)
}

func copyRaw32(dst []uint32, raw []byte) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst)*4), raw)
}

func copyRaw64(dst []float64, raw []byte) {
	copy(unsafe.Slice((*byte)(unsafe.Pointer(unsafe.SliceData(dst))), len(dst)*8), raw)
}
