// Package rewrite changes a guest's module before it is compiled: it makes the module account for its own fuel and
// stack, caps its memory, and freezes an initialised instance into a new module. It does not judge modules (package
// intake does) and does not run them.
//
// RATIONALE.md has the cost model and the reasons.
package rewrite

import "fmt"

// Names that Instrument adds. Everything that begins with ReservedPrefix is the host's; intake refuses guests that
// export such names.
const (
	ReservedPrefix = "edgehold."

	// FuelGlobal is the exported mutable i64 that counts down. Below zero, the guest calls the host's yield at its next
	// check. It starts at zero, so nothing runs before the host has been asked.
	FuelGlobal = ReservedPrefix + "fuel"

	// DepthGlobal is the exported mutable i64 with the bytes of stack that are left. Below zero, the guest calls yield,
	// which must not return; if it does, the guest traps. After any trap the host puts Options.StackBytes back.
	DepthGlobal = ReservedPrefix + "stack"

	// StartExport is the exported function that was the module's start function, if it had one. The host calls it
	// once, before anything else, so that no guest code runs while a module is being instantiated.
	StartExport = ReservedPrefix + "start"

	// GlobalPrefix and a global's index name each mutable global of the guest, so that the host can read and reset it.
	GlobalPrefix = ReservedPrefix + "global."

	// YieldModule and YieldName name the injected import of type () -> (). The host refills FuelGlobal and returns, or
	// panics to end the call.
	YieldModule = "edgehold1"
	YieldName   = "yield"
)

// Options are the limits that Instrument builds into a module. A zero field takes its default.
type Options struct {
	// MemoryMaxPages caps the memory, in pages of 64 KiB. Default 256 (16 MiB).
	MemoryMaxPages uint32
	// StackBytes is the stack that a call may use, in the estimate that RATIONALE.md explains. Default 256 KiB.
	StackBytes uint32
	// TableMaxEntries caps each table. Default 65536.
	TableMaxEntries uint32
}

func (o Options) withDefaults() Options {
	if o.MemoryMaxPages == 0 {
		o.MemoryMaxPages = 256
	}
	if o.StackBytes == 0 {
		o.StackBytes = 256 << 10
	}
	if o.TableMaxEntries == 0 {
		o.TableMaxEntries = 1 << 16
	}
	return o
}

// LimitError says that a module asks at the start for more than its limit.
type LimitError struct {
	What     string // "memory pages"
	Got, Max uint64
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("instrument module: it starts with %d %s, its limit is %d", e.Got, e.What, e.Max)
}

// ErrorCode returns the stable code of the error.
func (e *LimitError) ErrorCode() string { return "rewrite.limit" }

// ErrorWhy returns the cause.
func (e *LimitError) ErrorWhy() string {
	return "what a module declares to have from the start must fit its own limit"
}

// ErrorHint returns what to do.
func (e *LimitError) ErrorHint() string {
	return "build the guest with less initial memory, or grant it a higher limit"
}
