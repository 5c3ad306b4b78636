package wasmtest

import (
	"github.com/edgehold/edgehold/host/internal/wasm"
	"github.com/edgehold/edgehold/wasmabi"
)

// Idle answers every call with StatusOK and nothing.
func Idle() []byte { return (&Guest{}).Module() }

// Echo answers every call with its request.
func Echo() []byte {
	g := echo()
	return g.Module()
}

func echo() Guest {
	return Guest{
		Call: Code{}.I32(ResponseAddress).I32(RequestAddress).Index(wasm.OpLocalGet, LocalRequestLength).
			Memory(wasm.OpMemoryCopy, 2).Index(wasm.OpLocalGet, LocalRequestLength).Op(wasm.OpI64ExtendI32).End(),
	}
}

// Counter counts its calls in memory and in a global, and answers with both counts (two u32, little end first). A guest
// that is reset always answers with the same.
func Counter() []byte {
	const counter = 48 << 10
	g := Guest{
		Globals: []wasm.Global{{
			GlobalType: wasm.GlobalType{Type: wasm.I32, Mutable: true}, Init: wasm.ConstExpr{Op: wasm.OpI32Const},
		}},
		Call: Code{}.
			I32(counter).I32(counter).Access(wasm.OpI32Load, 0).I32(1).Op(wasm.OpI32Add).Access(wasm.OpI32Store, 0).
			Index(wasm.OpGlobalGet, 0).I32(1).Op(wasm.OpI32Add).Index(wasm.OpGlobalSet, 0).
			I32(ResponseAddress).I32(counter).Access(wasm.OpI32Load, 0).Access(wasm.OpI32Store, 0).
			I32(ResponseAddress).Index(wasm.OpGlobalGet, 0).Access(wasm.OpI32Store, 4).
			I64(8).End(),
	}
	return g.Module()
}

// ConstantResponse answers every call with a status and fixed bytes, at most ResponseBytes of them.
func ConstantResponse(status wasmabi.Status, response []byte) []byte {
	g := Guest{Call: Code{}.I64(int64(uint64(status)<<32 | uint64(len(response)))).End()}
	m := g.Build()
	m.Data = append(m.Data, wasm.Data{
		Offset: wasm.ConstExpr{Op: wasm.OpI32Const, Bits: [2]uint64{ResponseAddress}}, Bytes: response,
	})
	return m.Encode()
}

// HostCaller passes its request to the host's call as (handle, op, request, response window) and hands on what comes
// back.
func HostCaller(handle, op int32) []byte {
	g := Guest{}
	call := g.ImportHost(wasmabi.ImportCall)
	g.Call = Code{}.I32(handle).I32(op).I32(RequestAddress).Index(wasm.OpLocalGet, LocalRequestLength).
		I32(ResponseAddress).I32(ResponseBytes).Index(wasm.OpCall, call).End()
	return g.Module()
}

// Clock answers with the host's time and eight random bytes.
func Clock() []byte {
	g := Guest{}
	now, random := g.ImportHost(wasmabi.ImportNow), g.ImportHost(wasmabi.ImportRandom)
	g.Call = Code{}.I32(ResponseAddress).Index(wasm.OpCall, now).Access(wasm.OpI64Store, 0).
		I32(ResponseAddress+8).I32(8).Index(wasm.OpCall, random).I64(16).End()
	return g.Module()
}

// WithManifest is a guest that answers with its request and carries the manifest, already encoded, in its custom
// section.
func WithManifest(manifest []byte) []byte {
	g := echo()
	g.Manifest = manifest
	return g.Module()
}
