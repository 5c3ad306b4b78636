package intake

import (
	"errors"
	"fmt"

	"github.com/edgehold/edgehold/host/internal/wasm"
)

// Refusal says why a module is not accepted.
type Refusal struct {
	Code string // stable
	What string // what is wrong with the module
	Why  string // why that matters
	Hint string // what to do
}

// Codes of refusals.
const (
	CodeTooLarge    = "intake.too-large"           // more bytes than allowed
	CodeMalformed   = "intake.malformed"           // not a WebAssembly module, or a broken one
	CodeUnsupported = "intake.unsupported-feature" // uses a part of WebAssembly that guests may not use
	CodeLimit       = "intake.limit-exceeded"      // declares more of something than allowed
	CodeTooComplex  = "intake.too-complex"         // would cost too much to compile
	CodeImport      = "intake.import-not-granted"  // imports what no guest gets
	CodeImportType  = "intake.wrong-import-type"   // imports a function under another type
	CodeExport      = "intake.missing-export"      // lacks an export of the ABI
	CodeExportType  = "intake.wrong-export-type"   // exports it as something else
	CodeReserved    = "intake.reserved-name"       // uses a name that belongs to the host
)

// Error says what was attempted and what is wrong.
func (r *Refusal) Error() string { return "check module: " + r.What }

// ErrorCode returns the stable code of the refusal.
func (r *Refusal) ErrorCode() string { return r.Code }

// ErrorWhy returns the cause.
func (r *Refusal) ErrorWhy() string { return r.Why }

// ErrorHint returns what to do.
func (r *Refusal) ErrorHint() string { return r.Hint }

const hintABI = "build the guest with the SDK, or export what the ABI names: " +
	"memory, edgehold_abi_v1, edgehold_window, edgehold_call"

func tooLarge(got, most int) *Refusal {
	return &Refusal{
		Code: CodeTooLarge,
		What: fmt.Sprintf("it has %d bytes, at most %d are allowed", got, most),
		Why:  "every node that runs the module keeps it and compiles it",
		Hint: "strip symbols (Go: -ldflags='-s -w'), leave out large packages, or build with TinyGo",
	}
}

func malformed(what string) *Refusal {
	return &Refusal{
		Code: CodeMalformed,
		What: what,
		Why:  "the bytes do not follow the WebAssembly binary format",
		Hint: "check that the file is a core WebAssembly module and was copied whole",
	}
}

func overLimit(what string, got, most uint64) *Refusal {
	return &Refusal{
		Code: CodeLimit,
		What: fmt.Sprintf("it has %d %s, at most %d are allowed", got, what, most),
		Why:  "the host reserves resources for what a module declares before it runs",
		Hint: "make the guest smaller, or split it into several policies",
	}
}

func tooComplex(what string) *Refusal {
	return &Refusal{
		Code: CodeTooComplex,
		What: what,
		Why:  "the time to compile grows much faster than the code's size",
		Hint: "split large functions, and replace long generated switches and tables of branches by data",
	}
}

// refusalOf makes a refusal of a decoder's error.
func refusalOf(err error) *Refusal {
	if limit, ok := errors.AsType[*wasm.LimitError](err); ok {
		return overLimit(limit.What, limit.Got, limit.Max)
	}
	if feature, ok := errors.AsType[*wasm.FeatureError](err); ok {
		return &Refusal{
			Code: CodeUnsupported,
			What: fmt.Sprintf("it uses %s at byte %d", feature.Feature, feature.Offset),
			Why:  "guests are core WebAssembly 2.0 without threads, so that they run alike on every node",
			Hint: "turn the feature off in the compiler; a component has to be unpacked to its core module",
		}
	}
	if format, ok := errors.AsType[*wasm.FormatError](err); ok {
		return malformed(fmt.Sprintf("%s at byte %d", format.What, format.Offset))
	}
	return malformed(err.Error())
}
