package ring

import "errors"

// What Append can answer. Each is counted in [Stats]; callers that feed many samples may ignore them.
var (
	ErrDuplicate  = errors.New("ring: a sample with this time is already there")
	ErrOutOfOrder = errors.New("ring: sample is older than the last of its series")
	ErrTooOld     = errors.New("ring: sample has left the window")
	ErrTooFar     = errors.New("ring: sample lies too far in the future")
)

// Error is what a person sees when the ring refuses something.
type Error struct {
	code, what, why, hint string
	cause                 error
}

func (e *Error) Error() string {
	if e.why == "" {
		return e.what
	}
	return e.what + ": " + e.why
}

// Unwrap returns the error underneath, if there is one.
func (e *Error) Unwrap() error { return e.cause }

// ErrorCode is stable, in the form telemetry.kebab-case.
func (e *Error) ErrorCode() string { return e.code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.hint }
