package capability

import (
	"fmt"

	"github.com/edgehold/edgehold/host"
	"github.com/edgehold/edgehold/wasmabi"
)

// Error is what a guest, and the person who reads its log, is told.
type Error struct {
	Code   string // one of wasmabi's: wasmabi.CodeNotGranted, ...
	Op     string // what was attempted
	Why    string
	Err    error // beneath, may be nil
	status error // host.ErrDenied, host.ErrInvalid or nil
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string {
	s := e.Op + ": " + e.Why
	if e.Err != nil {
		s += ": " + e.Err.Error()
	}
	return s
}

// Unwrap returns the cause and what the host makes the guest's status of.
func (e *Error) Unwrap() []error {
	var all []error
	for _, err := range []error{e.Err, e.status} {
		if err != nil {
			all = append(all, err)
		}
	}
	return all
}

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause.
func (e *Error) ErrorWhy() string { return e.Why }

func denied(op, format string, args ...any) error {
	return &Error{Code: wasmabi.CodeNotGranted, Op: op, Why: fmt.Sprintf(format, args...), status: host.ErrDenied}
}

func limited(op, format string, args ...any) error {
	return &Error{Code: wasmabi.CodeLimit, Op: op, Why: fmt.Sprintf(format, args...), status: host.ErrDenied}
}

func invalid(op string, err error) error {
	return &Error{Code: wasmabi.CodeFailed, Op: op, Why: "the request can't be read", Err: err, status: host.ErrInvalid}
}

func failed(code, op, why string, err error) error {
	return &Error{Code: code, Op: op, Why: why, Err: err}
}
