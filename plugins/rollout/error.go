package rollout

import "fmt"

// Error is what is wrong with something that a person wrote. Code is stable.
type Error struct {
	Code string // for example "rollout.bad-gate"
	What string // what was attempted
	Why  string
	Hint string
}

func (e *Error) Error() string { return fmt.Sprintf("%s: %s", e.What, e.Why) }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }
