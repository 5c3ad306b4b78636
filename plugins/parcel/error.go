package parcel

// Codes of errors. They are stable.
const (
	CodeMalformed = "parcel.malformed"
	CodeUnsigned  = "parcel.unsigned"     // by none of the keys that are trusted
	CodeDigest    = "parcel.digest"       // the module is not the one that was signed
	CodeDevice    = "parcel.other-device" // it is for others
	CodeOlder     = "parcel.older"        // than what was accepted before
	CodeKind      = "parcel.kind"         // nothing that runs here
	CodeTooLarge  = "parcel.too-large"
)

// Error says why a parcel is not taken.
type Error struct{ Code, What, Why, Hint string }

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return e.What + ": " + e.Why }

// ErrorCode is stable.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy is the cause.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do.
func (e *Error) ErrorHint() string { return e.Hint }

func malformed(what, why string) *Error {
	return &Error{Code: CodeMalformed, What: what, Why: why, Hint: "make it with `edgehold device push`, from a bundle or a trust folder"}
}
