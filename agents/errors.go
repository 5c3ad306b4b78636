package agents

import (
	"errors"
	"fmt"
	"strings"
)

// Error is an error that a person may read.
type Error struct {
	Code string // stable
	What string // was attempted and failed
	Why  string
	Hint string
	Err  error
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string {
	switch {
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.What, e.Err)
	case e.Why != "":
		return e.What + ": " + e.Why
	}
	return e.What
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string {
	if e.Why == "" && e.Err != nil {
		return e.Err.Error()
	}
	return e.Why
}

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// failure turns an error into the part of a decision that tells of it.
func failure(phase string, err error) *Failure {
	f := &Failure{Phase: phase, Code: "policy.failed", Message: clip(err.Error(), maxErrorBytes)}
	var coded interface{ ErrorCode() string }
	if errors.As(err, &coded) {
		f.Code = coded.ErrorCode()
	}
	var hinted interface{ ErrorHint() string }
	if errors.As(err, &hinted) {
		f.Hint = clip(hinted.ErrorHint(), maxErrorBytes)
	}
	return f
}

// clip bounds what a policy says, and makes it text: guests may say anything.
func clip(s string, n int) string {
	if len(s) > n {
		s = s[:n] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

func notBound(k Key) error {
	return &Error{
		Code: "policy.not-bound", What: fmt.Sprintf("find the loop of %s", k),
		Why: "no such policy is bound to that asset", Hint: "list the policies that run",
	}
}
