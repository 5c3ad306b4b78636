//go:build !(386 || amd64 || arm || arm64 || loong64 || mips64le || mipsle || ppc64le || riscv64 || wasm)

package wasmabi

func appendRaw32(b []byte, v []uint32) []byte { return appendPortable32(b, v) }

func appendRaw64(b []byte, v []float64) []byte { return appendPortable64(b, v) }

func copyRaw32(dst []uint32, raw []byte) { copyPortable32(dst, raw) }

func copyRaw64(dst []float64, raw []byte) { copyPortable64(dst, raw) }
