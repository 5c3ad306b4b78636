// Package sources reads the host's metrics from /proc and /sys into the ring, each source at its own
// pace, under the names of the Prometheus node exporter.
//
// It is not a collector of anything else: applications push theirs over OTLP.
//
// # Contract
//
//   - The root of the file system is a value: a recorded tree reads like the machine.
//   - One unreadable file costs what it would have said, never the rest of the source.
//   - The shortest interval that anyone asks for is in force, down to [LeastInterval]; a source that
//     would take more than its share of the processor is read less often than asked, and says so.
//   - [Runner.Run] starts a goroutine for each source and waits for all: a file that hangs in the
//     kernel holds up its own source only.
package sources
