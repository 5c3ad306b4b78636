// Package device puts a far-edge device together: an LwM2M client (package client) with the machine's objects, sensors, knobs, and workloads
// that come signed, run under limits, are measured, and pass values on. It neither parses flags (cmd/edgehold-device does) nor knows
// anything that could not run on a machine with a few megabytes of memory.
package device
