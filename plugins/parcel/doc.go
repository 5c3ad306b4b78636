// Package parcel is the form in which a module reaches a microcontroller: the module behind a short statement about it that is signed
// with Ed25519. Operators seal, gateways look, devices verify, all by this package; it is neither a store of modules nor TUF, from
// whose targets key the signature comes (package sign).
//
// A parcel is CBOR (RFC 8949) with definite lengths and shortest heads:
//
//	parcel    = [1, statement: bstr, signatures, module: bstr]
//	seal      = [1, statement: bstr, signatures]              ; what an operator keeps of it
//	signatures = [1*4 [key: bstr .size 8, signature: bstr .size 64]]
//	statement = [name: tstr, version: tstr, kind: tstr, digest: bstr .size 32, length: uint, counter: uint, devices: tstr]
//
// The statement comes first, so that a device can refuse before it has stored anything: [ParseHead] wants at most [MaxHead] bytes. What
// is signed is [Domain] and the bytes of the statement. A key is named by the first 8 bytes of its SHA-256. The counter never goes down
// for one name; a device remembers the highest. Devices is a pattern of endpoint names as in path.Match.
package parcel
