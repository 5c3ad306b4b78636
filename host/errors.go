package host

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/edgehold/edgehold/host/internal/guest"
	"github.com/edgehold/edgehold/wasmabi"
)

// Kind says what ended a call.
type Kind = guest.Kind

// The kinds. After Guest, Unsupported and Request the session goes on; after the others it is over.
const (
	Trap        = guest.KindTrap        // it did something forbidden, or gave up by itself
	Fuel        = guest.KindFuel        // its budget of instructions is used up
	Deadline    = guest.KindDeadline    // wall time is up, or the caller went away
	Memory      = guest.KindMemory      // it needed more memory than it may have
	Stack       = guest.KindStack       // its calls nest too deeply
	Output      = guest.KindOutput      // its response does not fit
	HostCalls   = guest.KindHostCalls   // it made too many host calls
	Guest       = guest.KindGuest       // it answered with an error
	Unsupported = guest.KindUnsupported // it does not know the operation
	Request     = guest.KindRequest     // it can not take the request
)

// ErrClosed is returned by Begin on a module, and by Prepare on a runtime, that was closed.
var ErrClosed = errors.New("closed")

// ErrSessionOver is returned by Call on a session that was closed or that a failed call ended.
var ErrSessionOver = errors.New("the session is over")

// CallError says why a call gave no response.
type CallError struct {
	Policy  string     // name from the manifest
	Op      wasmabi.Op // what was attempted
	Export  string     // or which export of an Extism plugin, by name
	Kind    Kind
	Code    string // stable: "call." and the kind, or "guest." and the guest's own code
	Message string // the cause, one sentence
	Stack   []string
	Log     []string // the last lines the guest wrote in this call
	Fuel    uint64   // spent until then

	Retryable bool // the guest says that the same call may work later
}

// Error says what was attempted, and the cause with its place.
func (e *CallError) Error() string {
	return fmt.Sprintf("call %s of %s: %s", cmp.Or(e.Export, e.Op.String()), e.Policy, e.ErrorWhy())
}

// ErrorCode is stable.
func (e *CallError) ErrorCode() string { return e.Code }

// maxTold is how many of the guest's calls stand in one sentence.
const maxTold = 4

// ErrorWhy is the cause, with the innermost of the guest's own calls if they are known.
func (e *CallError) ErrorWhy() string {
	if len(e.Stack) == 0 {
		return e.Message
	}
	return e.Message + " (in " + strings.Join(e.Stack[:min(len(e.Stack), maxTold)], ", called by ") + ")"
}

// ErrorHint says what to do.
func (e *CallError) ErrorHint() string { return hints[e.Kind] }

// Format writes the stack and the log too, for %+v.
func (e *CallError) Format(f fmt.State, verb rune) {
	fmt.Fprint(f, e.Error())
	if verb != 'v' || !f.Flag('+') {
		return
	}
	for _, line := range e.Stack {
		fmt.Fprintf(f, "\n\tat %s", line)
	}
	for _, line := range e.Log {
		fmt.Fprintf(f, "\n\t| %s", line)
	}
}

var hints = map[Kind]string{
	Trap:        "the stack and the log lines name the place; run the policy's tests with the same request (decision replay)",
	Fuel:        "look for a loop that does not end; otherwise raise limits.fuel",
	Deadline:    "look for a loop that does not end; otherwise raise limits.deadline",
	Memory:      "look for something that is kept for ever; otherwise raise limits.memory",
	Stack:       "look for a recursion that does not end; otherwise raise limits.stack",
	Output:      "return less, or reserve a larger response window",
	HostCalls:   "make fewer host calls in one operation; otherwise raise limits.hostCalls",
	Guest:       "this is the policy's own answer; its documentation explains the code",
	Unsupported: "the policy does not implement this operation; use another version of it",
	Request:     "reserve a larger request window; the policy was perhaps built for another ABI",
}

func newCallError(m *Module, op wasmabi.Op, f *guest.Fault) *CallError {
	return &CallError{
		Policy: m.manifest.Name, Op: op, Kind: f.Kind, Code: "call." + f.Kind.String(), Message: f.Cause, Stack: m.sources.stack(f),
	}
}

// answered makes a CallError of a status other than StatusOK that the guest returned.
func answered(policy string, op wasmabi.Op, status wasmabi.Status, response []byte) *CallError {
	e := &CallError{Policy: policy, Op: op, Kind: Trap, Code: "call.status",
		Message: fmt.Sprintf("the guest returned status %s, which a guest has no use for", status)}
	switch status {
	case wasmabi.StatusGuest:
		e.Kind, e.Code, e.Message = Guest, "call.guest", "the guest failed without saying why"
		var g wasmabi.Error
		if wasmabi.DecodeError(response, &g) == nil && g.Message != "" {
			e.Message, e.Retryable = strings.ToValidUTF8(g.Message, "?"), g.Retryable
			if g.Code != "" {
				e.Code = "guest." + strings.ToValidUTF8(g.Code, "?")
			}
		}
	case wasmabi.StatusUnsupported:
		e.Kind, e.Code, e.Message = Unsupported, "call.unsupported", "the guest does not implement it"
	case wasmabi.StatusInvalid:
		e.Kind, e.Code, e.Message = Request, "call.request", "the guest could not decode the request"
	case wasmabi.StatusTooLarge:
		e.Kind, e.Code, e.Message = Output, "call.output", "the guest's response does not fit its window"
	}
	return e
}

// healthy reports whether the guest that caused an error of this kind can be called again.
func healthy(k Kind) bool { return k == Guest || k == Unsupported || k == Request }

// Refusal says why a module was not accepted.
type Refusal struct {
	Code string // stable: "intake." or "manifest." and the rule
	Why  string
	Hint string
	Err  error // the cause, if it has a type of its own
}

// Error says what was attempted, and the cause.
func (r *Refusal) Error() string { return "prepare module: " + r.Why }

// ErrorCode is stable.
func (r *Refusal) ErrorCode() string { return r.Code }

// ErrorWhy is the cause.
func (r *Refusal) ErrorWhy() string { return r.Why }

// ErrorHint says what to do.
func (r *Refusal) ErrorHint() string { return r.Hint }

// Unwrap returns the cause.
func (r *Refusal) Unwrap() error { return r.Err }

// explained is an error of ours that already knows its code, cause and remedy.
type explained interface {
	error
	ErrorCode() string
	ErrorWhy() string
	ErrorHint() string
}

// refusal makes a Refusal of an error that blames the module; other errors stay what they are.
func refusal(err error) error {
	if r, ok := errors.AsType[*Refusal](err); ok {
		return r
	}
	if e, ok := errors.AsType[explained](err); ok {
		return &Refusal{Code: e.ErrorCode(), Why: e.ErrorWhy(), Hint: e.ErrorHint(), Err: err}
	}
	return fmt.Errorf("prepare module: %w", err)
}
