// Package adapter makes a mechanism's driver of a Wasm module: what package cpufreq does for a kernel interface, a [Driver]
// does for whatever the module reaches through its capabilities. It neither decides what is granted nor holds a lease: the
// supervisor in front of it treats it as any other driver.
//
// RATIONALE.md says what becomes of an adapter's knobs when the module, the daemon or the device fails.
package adapter
