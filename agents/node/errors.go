package node

// Error is what a person sees of a failure that this package found.
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
