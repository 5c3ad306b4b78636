package scaffold

// Error is a failure that a person sees.
type Error struct {
	Attempt string // "build policy in ./cpu-boost"
	Code    string // stable: "scaffold.no-go", "scaffold.compile", ...
	Why     string
	Hint    string
	Err     error // the cause, when there is one
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return e.Attempt + ": " + e.Why }

// ErrorCode is stable.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

func (e *Error) Unwrap() error { return e.Err }
