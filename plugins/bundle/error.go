package bundle

// Error is an error that a person may read.
type Error struct {
	Code string // stable, "bundle.*"
	What string // was attempted and failed
	Why  string
	Hint string
	Err  error
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return e.What + ": " + e.Why }

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// Codes of this package's errors.
const (
	CodeForm     = "bundle.bad-form"     // not the form of a Wasm artefact
	CodeTooLarge = "bundle.too-large"    // more than is taken
	CodeMismatch = "bundle.mismatch"     // bytes that are not what their digest or length says
	CodeMissing  = "bundle.missing-part" // something is named and not there
)

func badForm(what, why string) error {
	return &Error{Code: CodeForm, What: what, Why: why, Hint: "make it with `edgehold policy pack` or `edgehold registry push`; " +
		"other tools have to use the CNCF layout: one layer application/wasm"}
}

func tooLarge(what, why string) error {
	return &Error{Code: CodeTooLarge, What: what, Why: why, Hint: "a node takes no larger ones"}
}
