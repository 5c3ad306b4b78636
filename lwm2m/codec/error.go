package codec

import (
	"strconv"

	"github.com/edgehold/edgehold/lwm2m"
)

// Error is an error that a person may read.
type Error struct {
	Code   string // stable, "codec.*"
	What   string // was attempted and failed
	Why    string
	Hint   string
	Offset int // in the payload, where one was decoded
}

// Error says what was attempted and why it failed.
func (e *Error) Error() string { return e.What + ": " + e.Why }

// ErrorCode returns the stable code.
func (e *Error) ErrorCode() string { return e.Code }

// ErrorWhy returns the cause in words.
func (e *Error) ErrorWhy() string { return e.Why }

// ErrorHint says what to do about it.
func (e *Error) ErrorHint() string { return e.Hint }

// Codes of this package's errors. A server answers CodeFormat with 4.15 and the others with 4.00.
const (
	CodeMalformed = "codec.malformed"          // not the form that the format asks for
	CodeFormat    = "codec.unsupported-format" // a format that is not known here
	CodeType      = "codec.wrong-type"         // a value that is none of the resource's type
	CodePath      = "codec.wrong-path"         // a path that is none, or not below the one that was asked for
	CodeTooLarge  = "codec.too-large"          // more records than are taken
	CodeEncode    = "codec.cannot-encode"      // the format has no way to say it
)

func unsupported(what string, f lwm2m.Format) error {
	return &Error{
		Code: CodeFormat, What: what + " a payload in " + f.String(), Why: "the format is not known",
		Hint: "use one of SenML CBOR (112), SenML JSON (110), TLV (11542), LwM2M CBOR (11544), CBOR (60), text (0), opaque (42)",
	}
}

func cannotEncode(f lwm2m.Format, p lwm2m.Path, why string) error {
	return &Error{Code: CodeEncode, What: "encode " + p.String() + " in " + f.String(), Why: why, Hint: "use SenML CBOR (112), which says everything"}
}

// fail keeps the first failure of a decoding.
func (b *builder) fail(code string, at int, why string) {
	if b.err != nil {
		return
	}
	b.err = &Error{
		Code: code, What: "decode " + b.base.String() + " from " + b.format.String(), Why: why + " (byte " + strconv.Itoa(at) + ")",
		Hint: "the device, or whoever wrote the payload, does not follow the format", Offset: at,
	}
}
