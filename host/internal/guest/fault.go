package guest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/tetratelabs/wazero/sys"

	"github.com/edgehold/edgehold/host/internal/imports"
	"github.com/edgehold/edgehold/host/internal/rewrite"
	"github.com/edgehold/edgehold/wasmabi"
)

// Kind says what ended a call.
type Kind uint8

// The kinds. Guest and Unsupported are answers of a healthy guest; after every other kind the instance is dirty.
const (
	KindNone        Kind = iota
	KindTrap             // the guest executed something forbidden, or gave up by itself
	KindFuel             // the budget of instructions is used up
	KindDeadline         // wall time is up, or the caller went away
	KindMemory           // it needed more memory than it may have
	KindStack            // calls nest too deeply
	KindOutput           // the response is outside its window or too long
	KindHostCalls        // too many host calls
	KindGuest            // the guest answered with an error
	KindUnsupported      // the guest does not know the operation
	KindRequest          // the request does not fit the guest's window, or the guest could not decode it
	Kinds                // how many there are
)

var kindNames = [Kinds]string{
	"none", "trap", "fuel", "deadline", "memory", "stack", "output", "host-calls", "guest", "unsupported", "request",
}

// String returns the kind's name in kebab-case.
func (k Kind) String() string {
	if k < Kinds {
		return kindNames[k]
	}
	return fmt.Sprintf("kind-%d", uint8(k))
}

// Fault is why a call did not end well. The instance has to be reset before it is called again.
type Fault struct {
	Kind  Kind
	Cause string   // one sentence
	Trace []string // the guest's stack, innermost call first
	At    []uint32 // for each of them the offset in the code, or 0 where that is not known

	exited   bool // by itself, with a code
	exitCode uint32
}

// Error returns the cause.
func (f *Fault) Error() string { return f.Cause }

// stop is what a host function panics with to end the guest's call.
func stop(kind Kind, format string, args ...any) {
	panic(&Fault{Kind: kind, Cause: fmt.Sprintf(format, args...)})
}

const (
	tracePrefix  = "wasm stack trace:"
	engineTrace  = "Go runtime stack trace:"
	trapPrefix   = "wasm error: "
	stackTrap    = "stack overflow"
	recoveredBit = " (recovered by wazero)"
	unreachable  = "unreachable"
)

// faultOf turns what the engine returned into a Fault.
func (i *Instance) faultOf(err error) *Fault {
	message, trace, at := splitTrace(err.Error())
	var f *Fault
	var exit *sys.ExitError
	switch {
	case errors.As(err, &f):
		f.Trace, f.At = trace, at
		return f
	case errors.As(err, &exit):
		f = &Fault{Kind: KindTrap, Cause: fmt.Sprintf("the guest exited with code %d", exit.ExitCode())}
	default:
		f = &Fault{Kind: KindTrap, Cause: message}
	}
	f.Trace, f.At = trace, at
	i.refine(f)
	return f
}

// refine names the limit behind a trap that looks like any other.
func (i *Instance) refine(f *Fault) {
	switch {
	case strings.Contains(f.Cause, stackTrap):
		f.Kind, f.Cause = KindStack, "its calls nest too deeply"
	case f.Cause == unreachable && !i.memory.Refused():
		f.Cause = i.lastWords()
	case i.memory.Refused():
		f.Kind, f.Cause = KindMemory, fmt.Sprintf("it needed more than %d bytes of memory", i.program.MemoryLimit)
	}
}

func splitTrace(message string) (cause string, trace []string, at []uint32) {
	cause, rest, _ := strings.Cut(message, "\n"+tracePrefix)
	cause = strings.TrimSuffix(strings.TrimPrefix(cause, trapPrefix), recoveredBit)
	rest, _, _ = strings.Cut(rest, engineTrace)
	guests := false // whether the frame above is the guest's
	for line := range strings.Lines(rest) {
		line = strings.TrimSpace(line)
		if offset, ok := codeOffset(line); ok {
			if guests {
				at[len(at)-1] = offset
			}
			continue
		}
		if !strings.HasPrefix(line, "..") { // an anonymous module's functions have an empty first name
			line = strings.TrimPrefix(line, ".")
		}
		if guests = line != "" && !injected(line); guests {
			trace, at = append(trace, line), append(at, 0)
		}
	}
	return cause, trace, at
}

// codeOffset reads the line that the engine writes below a frame, because of what package rewrite leaves in the module.
func codeOffset(line string) (uint32, bool) {
	number, ok := strings.CutPrefix(line, "0x")
	if !ok {
		return 0, false
	}
	number, _, _ = strings.Cut(number, ":")
	offset, err := strconv.ParseUint(number, 16, 32)
	return uint32(offset), err == nil
}

// injected reports whether a frame is the host's own: its functions, the yield and what leads to it.
func injected(frame string) bool {
	return strings.HasPrefix(frame, wasmabi.ModuleHost+".") || strings.HasPrefix(frame, imports.Kernel+".") ||
		strings.HasPrefix(frame, rewrite.ReservedPrefix)
}

// lastWords explains a guest that executed unreachable: runtimes say why on standard error first.
func (i *Instance) lastWords() string {
	for _, line := range i.log.lines() {
		if line.Level >= wasmabi.LevelWarn {
			return "it gave up: " + line.Text
		}
	}
	return "it executed unreachable code"
}
