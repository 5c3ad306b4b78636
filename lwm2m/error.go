package lwm2m

// Error is an error that a person may read.
type Error struct {
	Code string // stable, "lwm2m.*"
	What string // was attempted and failed
	Why  string
	Hint string
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return e.What + ": " + e.Why }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// Codes of this package's errors.
const (
	CodePath      = "lwm2m.bad-path"      // not the form of a path
	CodeVersion   = "lwm2m.bad-version"   // not the form of a version
	CodeValue     = "lwm2m.bad-value"     // text that is not a value of its kind
	CodeAttribute = "lwm2m.bad-attribute" // not a notification attribute, or one out of its range
	CodeLinks     = "lwm2m.bad-links"     // not the CoRE Link Format
)
