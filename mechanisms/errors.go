package mechanisms

import "errors"

// ErrUnavailable marks a knob that exists but can't be reached at present, for example because the CPUs that it
// belongs to are offline. Such a knob is skipped when set, and put back later when reverted.
var ErrUnavailable = errors.New("not available at present")

// Stable codes of the errors that a person may see.
const (
	CodeUnknown     = "mechanism.unknown"
	CodeBadCommand  = "mechanism.bad-command"
	CodeNoKnob      = "mechanism.no-such-knob"
	CodeReadOnly    = "mechanism.read-only"
	CodeOutOfRange  = "mechanism.out-of-range"
	CodeForbidden   = "mechanism.forbidden"
	CodeHeld        = "mechanism.held"
	CodePaced       = "mechanism.too-often"
	CodeUnavailable = "mechanism.unavailable"
	CodeHandsOff    = "mechanism.hands-off"
	CodeJournal     = "mechanism.journal"
	CodeWrite       = "mechanism.write-failed"
	CodeNoLease     = "mechanism.no-such-lease"
	CodeBusy        = "mechanism.busy"
	CodeConfig      = "mechanism.bad-config"
	CodeDriver      = "mechanism.driver"
	CodeStuck       = "mechanism.stuck"
)

// Error is what this package tells a person: what was attempted, why it failed, what to do.
type Error struct {
	Code string
	Op   string // what was attempted: "set policy0/max_frequency"
	Why  string // the cause
	Hint string // what to do
	Err  error  // beneath, may be nil
}

func (e *Error) Error() string {
	s := e.Op + ": " + e.Why
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause.
func (e *Error) ErrorWhy() string {
	if e.Err != nil {
		return e.Why + ": " + e.Err.Error()
	}
	return e.Why
}

// ErrorHint returns what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }
