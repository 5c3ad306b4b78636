package extism

import "fmt"

// Error says why something was not done.
type Error struct {
	Attempt string // "prepare Extism plugin"
	Code    string // stable: "extism." and the rule
	Why     string
	Hint    string
}

// Error says what was attempted, and the cause.
func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.Attempt, e.Why) }

// ErrorCode is stable.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }
