// Package fault is the failures that the node finds, as people see them. It is not for what a part below the node found: that
// has an error type of its own, and is passed on.
package fault

import "errors"

// Error is a failure: what was attempted, why it failed and what to do.
type Error struct {
	Code string // stable
	What string // was attempted
	Why  string // the cause
	Hint string // what to do
	Err  error  // beneath, may be nil
}

func (e *Error) Error() string {
	if e.Why == "" {
		return e.What
	}
	return e.What + ": " + e.Why
}

// Unwrap returns the error beneath.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

// Code returns the code of an error, of whatever part it is; empty if it has none.
func Code(err error) string {
	if coded := (interface{ ErrorCode() string })(nil); errors.As(err, &coded) {
		return coded.ErrorCode()
	}
	return ""
}

// Why returns the cause of an error, without what was attempted.
func Why(err error) string {
	if cause := (interface{ ErrorWhy() string })(nil); errors.As(err, &cause) {
		return cause.ErrorWhy()
	}
	return err.Error()
}
