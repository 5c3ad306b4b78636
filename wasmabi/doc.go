// Package wasmabi is the contract between an Edgehold host and a Wasm guest, version 1: names, codes, windows and
// messages with their codecs.
// It is neither the host (package host runs guests) nor what an author imports (sdk/go/policy wraps it), and it
// does no input or output.
//
// It uses the standard library only, and neither fmt nor reflection, so that the same code runs in the daemon, in a
// Go guest (GOOS=wasip1) and in a TinyGo guest.
//
// # A call
//
// A guest exports [ExportMemory], [ExportMarker], [ExportWindow] and [ExportCall]. The host reads the window record
// once, writes a request to the request window, calls ExportCall with an [Op] and the length of the request, and
// reads the response window. The result of the call packs a [Status] and the response's length; see [Pack].
//
// # Messages
//
// Every message is CBOR (RFC 8949) in Core Deterministic form, so that equal messages are equal bytes: shortest heads and
// floats, definite lengths, map keys in bytewise order, no duplicates. A decoder refuses anything else.
//
//   - Cold messages ([Manifest], [Init], [Error], [Migrate], those of adapters and handles, and [Start]) are maps with text keys. A field that is empty, zero or
//     false is left out; a float that is NaN ("none") is left out. Unknown keys are skipped, so that a message can
//     grow.
//   - Hot messages ([Observation], [Analysis], [Plan], [Input], [Emission]) are arrays of fixed length whose columns are RFC 8746 typed
//     arrays: tag 70 (uint32, little endian) and tag 86 (float64, little endian). A NaN in a column has the bits
//     [CanonicalNaN] and no others.
//
// schema.cddl says the same in CDDL (RFC 8610); testdata/vectors holds examples for the SDKs of other languages.
package wasmabi
