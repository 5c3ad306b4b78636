// Package host runs guests: WebAssembly modules that implement ABI version 1 of package wasmabi. It takes a module in,
// makes it ready once, and from then on calls it in microseconds, under limits on everything it can use. It does not know
// what a guest decides about, where modules come from, or which of them should run.
//
// The life of a module:
//
//  1. [Runtime.Prepare] checks it, rewrites it with fuel and yields, compiles it in a child process, initialises it once
//     and freezes its memory. What is not acceptable comes back as a [*Refusal].
//  2. [Module.Begin] takes an instance in exactly the frozen state and gives it a time, a seed and handles: a [Session].
//  3. [Session.Call] runs one operation. What goes wrong comes back as a [*CallError]; the session is over then, unless
//     the guest itself answered with the error.
//  4. [Session.Close] puts the instance back to the frozen state for the next session.
//  5. [Module.Close] lets sessions that run finish and gives up the rest.
//
// A module comes in by one of two doors: it was built for that ABI, or it is an Extism plugin and says so in its manifest. Behind
// the doors there is no difference; package extism has what goes in and out of plugins, and calls those that have no manifest.
//
// A session is a function of the module's digest, the image, the requests, the time, the seed and the answers of its
// handles: the same in gives the same bytes and the same fuel out, on every machine and engine. Package record uses that.
//
// A program that calls Prepare calls [RunChild] first thing in main.
package host
