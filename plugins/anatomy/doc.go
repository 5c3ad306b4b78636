// Package anatomy tells what a Wasm module is made of, for people who look at it or compare two: sections, imports, exports,
// functions by name, and which toolchain made it. It judges nothing: package host decides what may run, with a reader of
// its own that understands every instruction.
package anatomy
