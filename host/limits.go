package host

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Limits bound what one call may use. A zero field means its default.
type Limits struct {
	Fuel          uint64        // units, about one for each instruction; default 10 million
	Deadline      time.Duration // wall time; default 50 ms
	Memory        uint64        // bytes of linear memory; default 16 MiB
	Stack         uint32        // bytes that nested calls may use; default 256 KiB
	Slice         uint64        // units between two looks at the deadline; default 250,000
	HostCalls     uint32        // default 256
	LogBytes      uint32        // what a call logs beyond is dropped; default 4 KiB
	ResponseBytes uint32        // of a response, and of a host call's result; default 64 KiB
	KernelBytes   uint64        // of input, output and blocks that an Extism plugin shares with the host; default 1 MiB
	VarBytes      uint32        // of an Extism plugin's variables; default 64 KiB
}

// DefaultLimits returns the limits that the zero value stands for.
func DefaultLimits() Limits {
	return Limits{
		Fuel:          10_000_000,
		Deadline:      50 * time.Millisecond,
		Memory:        16 << 20,
		Stack:         256 << 10,
		Slice:         250_000,
		HostCalls:     256,
		LogBytes:      4 << 10,
		ResponseBytes: wasmabi.DefaultResponseWindow,
		KernelBytes:   1 << 20,
		VarBytes:      wasmabi.MaxContext,
	}
}

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	return Limits{
		Fuel:          cmp.Or(l.Fuel, d.Fuel),
		Deadline:      cmp.Or(l.Deadline, d.Deadline),
		Memory:        cmp.Or(l.Memory, d.Memory),
		Stack:         cmp.Or(l.Stack, d.Stack),
		Slice:         cmp.Or(l.Slice, d.Slice),
		HostCalls:     cmp.Or(l.HostCalls, d.HostCalls),
		LogBytes:      cmp.Or(l.LogBytes, d.LogBytes),
		ResponseBytes: cmp.Or(l.ResponseBytes, d.ResponseBytes),
		KernelBytes:   cmp.Or(l.KernelBytes, d.KernelBytes),
		VarBytes:      cmp.Or(l.VarBytes, d.VarBytes),
	}
}

// What the limits may be at most: sums of fuel stay far from overflowing, and memory fits 32-bit addresses.
const (
	maxFuel     = 1 << 56
	maxDeadline = time.Hour
	maxMemory   = 4 << 30
	maxStack    = 64 << 20
	maxKernel   = 1 << 30
)

func (l Limits) validate() error {
	var errs []error
	check := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	check(l.Fuel <= maxFuel && l.Slice <= maxFuel, "fuel of %d in slices of %d: at most %d", l.Fuel, l.Slice, uint64(maxFuel))
	check(l.Deadline > 0 && l.Deadline <= maxDeadline, "a deadline of %v: more than 0, at most %v", l.Deadline, maxDeadline)
	check(l.Memory <= maxMemory, "memory of %d bytes: at most %d", l.Memory, uint64(maxMemory))
	check(l.KernelBytes <= maxKernel && l.VarBytes <= maxKernel, "%d bytes shared with a plugin and %d of variables: at most %d",
		l.KernelBytes, l.VarBytes, maxKernel)
	check(l.Stack <= maxStack, "a stack of %d bytes: at most %d", l.Stack, maxStack)
	return errors.Join(errs...)
}

// grant returns the limits for a guest: what it asks for, or the most there is. A guest that asks for more than that is
// refused now rather than stopped later.
func (l Limits) grant(asked wasmabi.Limits) (Limits, error) {
	if asked.Fuel > l.Fuel {
		return l, tooMuch("fuel for each call", asked.Fuel, l.Fuel)
	}
	if most := uint64(l.Deadline / time.Millisecond); uint64(asked.DeadlineMS) > most {
		return l, tooMuch("milliseconds for each call", uint64(asked.DeadlineMS), most)
	}
	if asked.MemoryBytes > l.Memory {
		return l, tooMuch("bytes of memory", asked.MemoryBytes, l.Memory)
	}
	l.Fuel = cmp.Or(asked.Fuel, l.Fuel)
	l.Memory = cmp.Or(asked.MemoryBytes, l.Memory)
	l.Deadline = cmp.Or(time.Duration(asked.DeadlineMS)*time.Millisecond, l.Deadline)
	return l, nil
}

func tooMuch(what string, asked, most uint64) error {
	return &Refusal{
		Code: "intake.limits",
		Why:  fmt.Sprintf("its manifest asks for %d %s; this node grants at most %d", asked, what, most),
		Hint: "ask for less in the manifest, or raise the limit in the node's configuration",
	}
}

func (l Limits) perCall() guest.Limits {
	return guest.Limits{
		Fuel: l.Fuel, Slice: l.Slice, Deadline: l.Deadline,
		HostCalls: l.HostCalls, LogBytes: l.LogBytes, ResponseBytes: l.ResponseBytes,
		KernelBytes: l.KernelBytes, VarBytes: l.VarBytes,
	}
}

// initialise bounds what a module does while it is frozen: in the interpreter, once, off the path of any call.
func (l Limits) initialise() guest.Limits {
	g := l.perCall()
	g.Fuel = l.Fuel * initialiseCalls
	g.Slice = max(g.Slice/interpreterFactor, 1)
	g.Deadline = max(initialiseDeadline, l.Deadline*initialiseCalls)
	g.HostCalls = math.MaxUint32
	return g
}

const (
	initialiseCalls    = 4               // worth of fuel and time
	initialiseDeadline = 8 * time.Second // at least
)
